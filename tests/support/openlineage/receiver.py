"""A server on loopback that takes OpenLineage's events, as Marquez or DataHub would."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from dev.system.ports import LOOPBACK
from tests.support.stack.mailbox import free_port

Event = dict[str, Any]


@dataclass
class Receiver:
    """What has arrived, in order. `status`: of its answers. `seconds`: how long it waits before each answer."""

    port: int
    status: int = 201
    seconds: float = 0
    events: list[Event] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    def of(self, job: str, kind: str = "COMPLETE") -> list[Event]:
        """The events of this kind of this job, in order."""
        return [each for each in self.events if each["job"]["name"] == job and each["eventType"] == kind]

    def listen(self) -> None:
        self._server = ThreadingHTTPServer((LOOPBACK, self.port), self._handler())
        self._server.daemon_threads = True
        self._server.block_on_close = False  # an answer may wait
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                event = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                time.sleep(receiver.seconds)
                if receiver.status < 300:
                    receiver.events.append(event)
                self.send_response(receiver.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                pass

        return Handler


@contextmanager
def lineage_receiver() -> Iterator[Receiver]:
    """A server that keeps each event."""
    receiver = Receiver(free_port())
    receiver.listen()
    yield receiver
    receiver.close()
