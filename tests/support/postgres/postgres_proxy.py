"""A proxy in front of Postgres that speaks its protocol: TLS, which the embedded server lacks, errors in German."""

from __future__ import annotations

import asyncio
import ssl
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

LOOPBACK = "127.0.0.1"
SSL_REQUEST, GSS_REQUEST = 80877103, 80877104
# ErrorResponse: what a server of another language says in its own words. The severity in `V` and the SQLSTATE in `C`
# are the same in every language.
TRANSLATED = {b"S": "SCHWERWIEGEND", b"M": "etwas ging schief", b"D": "Näheres", b"H": "Rat", b"W": "Umstände"}


@dataclass
class PostgresProxy:
    """Listens on `port` once started. Without `tls` it answers that it has none; `foreign` translates errors.

    `sessions` holds the startup parameters of each session, in order.
    """

    target_port: int
    tls: ssl.SSLContext | None = None
    foreign: bool = False
    port: int = 0
    sessions: list[dict[str, str]] = field(default_factory=list)

    async def serve(self, started: threading.Event) -> None:
        server = await asyncio.start_server(self._handle, LOOPBACK, 0)
        self.port = server.sockets[0].getsockname()[1]
        started.set()
        await asyncio.Event().wait()

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # a client that breaks off, as one does that is not content with the certificate
        with suppress(OSError, asyncio.IncompleteReadError):
            try:
                while (startup := await _startup_packet(reader))[:4] in (_code(SSL_REQUEST), _code(GSS_REQUEST)):
                    secured = self.tls is not None and startup[:4] == _code(SSL_REQUEST)
                    writer.write(b"S" if secured else b"N")
                    if secured:
                        await writer.start_tls(self.tls)
                words = startup[4:].decode().split("\0")
                self.sessions.append(dict(zip(words[::2], words[1::2], strict=False)))
                to_reader, to_writer = await asyncio.open_connection(LOOPBACK, self.target_port)
                to_writer.write(struct.pack("!i", len(startup) + 4) + startup)
                await asyncio.gather(_relay(reader, to_writer), self._answers(to_reader, writer))
            finally:
                writer.close()

    async def _answers(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Message by message."""
        try:
            while True:
                head = await reader.readexactly(5)
                body = await reader.readexactly(struct.unpack("!i", head[1:])[0] - 4)
                if self.foreign and head[:1] == b"E":
                    body = translated(body)
                writer.write(head[:1] + struct.pack("!i", len(body) + 4) + body)
                await writer.drain()
        finally:
            writer.close()


def translated(error: bytes) -> bytes:
    """The body of an ErrorResponse, its texts replaced."""
    fields = [(each[:1], each[1:]) for each in error.split(b"\0") if each]
    said = [kind + (TRANSLATED[kind].encode() if kind in TRANSLATED else text) for kind, text in fields]
    return b"".join(each + b"\0" for each in said) + b"\0"


async def _startup_packet(reader: asyncio.StreamReader) -> bytes:
    return await reader.readexactly(struct.unpack("!i", await reader.readexactly(4))[0] - 4)


async def _relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()


def _code(number: int) -> bytes:
    return struct.pack("!i", number)


@contextmanager
def postgres_proxy(
    target_port: int, tls: ssl.SSLContext | None = None, foreign: bool = False
) -> Iterator[PostgresProxy]:
    proxy, started, loop = PostgresProxy(target_port, tls, foreign), threading.Event(), asyncio.new_event_loop()
    serving = loop.create_task(proxy.serve(started))

    def run() -> None:
        with suppress(asyncio.CancelledError):
            loop.run_until_complete(serving)
        sessions = asyncio.all_tasks(loop)
        for session in sessions:
            session.cancel()
        if sessions:
            loop.run_until_complete(asyncio.wait(sessions))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert started.wait(10)
    try:
        yield proxy
    finally:
        loop.call_soon_threadsafe(serving.cancel)
        thread.join()
        loop.close()
