"""Servers on loopback that messages are sent to: a mail server, a webhook, and one that never answers."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.controller import Controller

from dev.system.ports import LOOPBACK


@dataclass
class Mailbox:
    """What has arrived, in order. Mails with `refuses` in their subject are refused for now."""

    port: int = 0
    refuses: str | None = None
    mails: list[EmailMessage] = field(default_factory=list)

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        mail = message_from_bytes(envelope.content, policy=policy.default)
        if self.refuses is not None and self.refuses in mail["subject"]:
            return "451 come back later"
        self.mails.append(mail)
        return "250 OK"

    def connection(self, **extra: Any) -> str:
        """The value of an Airflow connection variable."""
        return smtp_connection(self.port, **extra)

    def about(self, title: str) -> list[EmailMessage]:
        """The mails of this subject."""
        return [mail for mail in self.mails if mail["subject"] == title]


def smtp_connection(port: int, **extra: Any) -> str:
    plain = {"disable_tls": True, "disable_ssl": True, "to": "oncall@example.com", "from_email": "taxi@example.com"}
    return json.dumps({"conn_type": "smtp", "host": LOOPBACK, "port": port, "extra": plain | extra})


def words_of(mail: EmailMessage) -> str:
    """The text of a mail of one part, as it was sent."""
    [part] = mail.iter_parts()
    return str(part.get_content())


@contextmanager
def mailbox() -> Iterator[Mailbox]:
    """A mail server on loopback."""
    box = Mailbox(free_port())
    controller = Controller(box, hostname=LOOPBACK, port=box.port)
    controller.start()
    try:
        yield box
    finally:
        controller.stop()


@contextmanager
def webhook(status: int = 200) -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """A server that takes JSON: its port, and the bodies it was sent."""
    bodies: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer((LOOPBACK, 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server.server_address[1], bodies
        finally:
            server.shutdown()


@contextmanager
def silent_server() -> Iterator[int]:
    """A server that takes connections and says nothing: its port."""
    with socket.create_server((LOOPBACK, 0)) as server:
        yield server.getsockname()[1]


def free_port() -> int:
    """One that nothing listens on."""
    with socket.create_server((LOOPBACK, 0)) as probe:
        return int(probe.getsockname()[1])
