"""A proxy in front of a server. It cuts every connection after so many messages, or passes nothing on for a while."""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

LOOPBACK = "127.0.0.1"


class CuttingProxy(socketserver.ThreadingTCPServer):
    """Passes everything on, until it is told to cut."""

    daemon_threads = True

    def __init__(self, target_port: int) -> None:
        super().__init__((LOOPBACK, 0), _Relay)
        self.target_port = target_port
        self.port = self.server_address[1]
        self._left: int | None = None
        self.flowing = threading.Event()
        self.flowing.set()
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()

    @contextmanager
    def cutting_after(self, messages: int) -> Iterator[None]:
        """Within the context, all connections together may send so many messages; then each is cut, and any new one."""
        self._left = messages
        try:
            yield
        finally:
            self._left = None

    @contextmanager
    def silent(self) -> Iterator[None]:
        """Within the context nothing arrives and nothing is refused, as where the network drops packets."""
        self.flowing.clear()
        try:
            yield
        finally:
            self.flowing.set()

    def opened(self, *sockets: socket.socket) -> None:
        with self._lock:
            self._open.update(sockets)

    def closed(self, *sockets: socket.socket) -> None:
        with self._lock:
            self._open.difference_update(sockets)

    def may_send(self) -> bool:
        """Counts a message. When no more are allowed, cuts all connections."""
        with self._lock:
            if self._left is None:
                return True
            self._left -= 1
            if self._left >= 0:
                return True
            for each in self._open:
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
            return False


class _Relay(socketserver.BaseRequestHandler):
    server: CuttingProxy

    def handle(self) -> None:
        with socket.create_connection((LOOPBACK, self.server.target_port)) as database:
            self.server.opened(self.request, database)
            answers = threading.Thread(target=self._pass_on, args=(database, self.request, False), daemon=True)
            answers.start()
            self._pass_on(self.request, database, True)
            answers.join()
            self.server.closed(self.request, database)

    def _pass_on(self, source: socket.socket, sink: socket.socket, counted: bool) -> None:
        with suppress(OSError):
            while (message := source.recv(65536)) and (not counted or self.server.may_send()):
                self.server.flowing.wait()
                sink.sendall(message)
        for each in (source, sink):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


@contextmanager
def cutting_proxy(target_port: int) -> Iterator[CuttingProxy]:
    with CuttingProxy(target_port) as proxy:
        threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield proxy
        proxy.shutdown()
