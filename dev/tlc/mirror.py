"""A mirror of TLC's file host on loopback, over a flat folder of files in TLC's names.

`python -m dev.tlc.mirror FOLDER --port 8000`; in tests: `with TlcMirror(folder) as mirror: ... mirror.url`.
"""

import argparse
import hashlib
import threading
from collections.abc import Callable
from email.utils import formatdate
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path, PurePosixPath
from shutil import copyfileobj
from typing import Any, Self
from urllib.parse import unquote, urlsplit

from dev.system.ports import LOOPBACK
from include.source.address import Address

# The CDN in front of TLC's bucket answers 403, not 404, for a file that is not there.
ACCESS_DENIED = (
    b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>'
)
CONTENT_TYPES = {".parquet": "binary/octet-stream", ".csv": "text/csv"}
FOLDERS = {"/trip-data": ".parquet", "/misc": ".csv"}

Fault = Callable[["TlcRequest"], bool]


class TlcRequest(BaseHTTPRequestHandler):
    """Answers one request; a fault registered for its path answers instead, unless it returns False."""

    protocol_version = "HTTP/1.1"
    timeout = 60

    def __init__(self, *arguments: Any, folder: Path, faults: dict[str, Fault], log: bool, requests: list[str]) -> None:
        self.folder, self.faults, self.log, self.requests = folder, faults, log, requests
        super().__init__(*arguments)

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.requests.append(f"{self.command} {path}")
        if (fault := self.faults.get(path)) and fault(self) is not False:
            self.close_connection = True  # so that an answer cut short, or none, is seen at once
            return
        file = self._file_of(PurePosixPath(path))
        if file is None:
            self.answer(HTTPStatus.FORBIDDEN, ACCESS_DENIED, "application/xml")
        else:
            self._send(file)

    do_HEAD = do_GET

    def answer(self, status: int, body: bytes, content_type: str = "text/plain", **headers: str) -> None:
        """Send a whole answer; its body only to a GET. Header names are written with `_` for `-`."""
        self.send_response(status)
        headers = {"Content-Type": content_type, "Content-Length": str(len(body))} | headers
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:
        if self.log:
            super().log_message(format, *arguments)

    def _file_of(self, path: PurePosixPath) -> Path | None:
        """The folder's file for the path, as the folder is now."""
        if FOLDERS.get(str(path.parent)) != path.suffix:
            return None
        file = self.folder / path.name
        return file if file.is_file() else None

    def _send(self, file: Path) -> None:
        with file.open("rb") as content:
            digest = hashlib.file_digest(content, "md5").hexdigest()  # what S3 gives for an object put in one part
            size = content.seek(0, 2)
            content.seek(0)
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Type", CONTENT_TYPES[file.suffix])
            self.send_header("Content-Length", str(size))
            self.send_header("ETag", f'"{digest}"')
            self.send_header("Last-Modified", formatdate(file.stat().st_mtime, usegmt=True))
            self.end_headers()
            if self.command != "HEAD":
                copyfileobj(content, self.wfile)


class TlcMirror:
    """A mirror in a thread of this process, for `with`.

    `faults` maps a path such as `/trip-data/green_tripdata_2024-01.parquet` to a function that is given the
    `TlcRequest` and answers in the mirror's place (`request.answer(503, b"")`, or nothing: a cut connection); it
    returns False to let the mirror answer after all. It may be changed while the mirror runs. `requests`: what was
    asked so far, such as `GET /misc/taxi_zone_lookup.csv`.
    """

    def __init__(self, folder: Path, port: int = 0, log: bool = False) -> None:
        self.folder = folder
        self.faults: dict[str, Fault] = {}
        self.requests: list[str] = []
        handler = partial(TlcRequest, folder=folder, faults=self.faults, log=log, requests=self.requests)
        self.server = ThreadingHTTPServer((LOOPBACK, port), handler)
        self.url = f"http://{LOOPBACK}:{self.server.server_port}"
        self.address = Address.parse(self.url)

    def __enter__(self) -> Self:
        # __exit__ waits for so long, at the end of each test that has a mirror
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--port", type=int, required=True)
    arguments = parser.parse_args()
    TlcMirror(arguments.folder, arguments.port, log=True).server.serve_forever()


if __name__ == "__main__":
    main()
