"""Servers of many kinds: each file is loaded, and one that is replaced meanwhile is noticed.

Each kind answers HEAD and GET for one file; what it says of the file differs, the bytes do not.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from threading import Thread
from typing import Any

import pytest
import requests

from dev.system.ports import LOOPBACK
from include.source.address import Address
from include.source.client import Client
from include.source.download import (
    FileChanged,
    FileUnavailable,
    FileVersion,
    download,
    is_available,
    is_same_etag,
    is_unchanged,
    require_unchanged,
)

FIRST, SECOND = b"PAR1 the first" * 1000, b"PAR1 another" * 1000
SAME_LENGTH = FIRST.replace(b"first", b"later")
DATE, LATER = "Mon, 01 Jan 2024 00:00:00 GMT", "Tue, 02 Jan 2024 00:00:00 GMT"
Headers = dict[str, str | None]


@dataclass
class Server:
    """`content`: what it has now. `asked`: method, path with query, and headers of each request."""

    content: bytes = FIRST
    asked: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    numbers: Any = field(default_factory=lambda: count(1))
    signed: set[str] = field(default_factory=set)
    url: str = ""

    @property
    def etag(self) -> str:
        return f'"{hashlib.sha256(self.content).hexdigest()[:8]}"'

    @property
    def date(self) -> str:
        return DATE if self.content == FIRST else LATER


class Request(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, *arguments: Any, server_of_kind: Server, kind: Callable[[Request, Server], None]) -> None:
        self.of, self.kind = server_of_kind, kind
        super().__init__(*arguments)

    def do_GET(self) -> None:
        self.of.asked.append((self.command, self.path, dict(self.headers)))
        self.kind(self, self.of)

    do_HEAD = do_GET

    @property
    def is_head(self) -> bool:
        return self.command == "HEAD"

    def file(self, body: bytes | None = None, status: int = 200, **headers: str | None) -> None:
        """The file, with ETag, length and date of its own, unless other ones, or (None) none, are given."""
        body = self.of.content if body is None else body
        given: Headers = {"ETag": self.of.etag, "Content_Length": str(len(body)), "Last_Modified": self.of.date}
        self.send_response(status)
        for name, value in (given | headers).items():
            if value is not None:
                self.send_header(name.replace("_", "-"), value)
        self.send_header("Connection", "close")
        self.end_headers()
        if not self.is_head:
            self.wfile.write(body)

    def refuse(self, status: int, **headers: str) -> None:
        self.file(b"refused", status, ETag=None, Last_Modified=None, **headers)

    def log_message(self, *_: object) -> None: ...


def compresses(request: Request, of: Server, dressed: str) -> None:
    """Compresses what may be compressed, as proxies and CDNs do, and dresses the ETag of that."""
    if "gzip" not in request.headers.get("Accept-Encoding", ""):
        request.file()
    else:
        request.file(gzip.compress(of.content), ETag=dressed.format(of.etag), Content_Encoding="gzip")


def chunked(request: Request, of: Server) -> None:
    request.file(b"", Content_Length=None, Transfer_Encoding="chunked")
    if not request.is_head:
        half = len(of.content) // 2
        for part in (of.content[:half], of.content[half:], b""):
            request.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))


def always_compressed(request: Request, of: Server) -> None:
    """Compressed whatever is asked for, and each answer compressed anew: of another length."""
    body = gzip.compress(of.content, compresslevel=next(of.numbers) % 9)
    request.file(body, ETag=None, Last_Modified=None, Content_Encoding="gzip")


def signs(request: Request, of: Server, methods: tuple[str, ...]) -> None:
    """Leads to an address that is good for one request, by one of these methods."""
    _, _, token = request.path.partition("?once=")
    if not token:
        of.signed.add(token := f"signature{next(of.numbers)}")
        request.refuse(302, Location=f"/elsewhere?once={token}")
    elif token in of.signed and request.command in methods:
        of.signed.remove(token)
        request.file()
    else:
        request.refuse(403)


def takes_no_head(request: Request, of: Server, status: int) -> None:
    request.refuse(status) if request.is_head else request.file()


def needs_login(request: Request, of: Server) -> None:
    request.file() if request.headers.get("Authorization") == "Basic w7xzZXI6cEBzc3clMg==" else request.refuse(401)


def needs_query(request: Request, of: Server) -> None:
    request.file() if request.path.endswith("?sv=1&sig=a%2Fb%3D") else request.refuse(403)


LOGIN = "%C3%BCser:p%40ssw%252@"
KINDS: dict[str, Callable[[Request, Server], Any]] = {
    "all is said": lambda request, of: request.file(),
    "weak ETags": lambda request, of: request.file(ETag=f"W/{of.etag}"),
    "a weak ETag of what is compressed": partial(compresses, dressed="W/{}"),
    "an ETag of its own for what is compressed": partial(compresses, dressed='"other"'),
    "a weak ETag to HEAD alone": lambda request, of: request.file(ETag=f"{'W/' * request.is_head}{of.etag}"),
    "another suffix to HEAD": lambda request, of: request.file(
        ETag=f'{of.etag[:-1]}-gzip"' if request.is_head else of.etag
    ),
    "no ETag": lambda request, of: request.file(ETag=None),
    "no ETag, no date": lambda request, of: request.file(ETag=None, Last_Modified=None),
    "nothing at all": lambda request, of: request.file(ETag=None, Last_Modified=None, Content_Length=None),
    "an ETag to HEAD alone": lambda request, of: request.file(ETag=of.etag if request.is_head else None),
    "an ETag to GET alone": lambda request, of: request.file(ETag=None if request.is_head else of.etag),
    "an ETag of each node": lambda request, of: request.file(ETag=f'"node {next(of.numbers)}"'),
    "a date of each node": lambda request, of: request.file(
        ETag=None, Last_Modified=f"Mon, 01 Jan 2024 00:00:{next(of.numbers):02} GMT"
    ),
    "no length": lambda request, of: request.file(Content_Length=None),
    "no length to HEAD": lambda request, of: request.file(**{"Content_Length": None} if request.is_head else {}),
    "the length of what is compressed, to HEAD": lambda request, of: request.file(
        ETag=None, **{"Content_Length": str(len(gzip.compress(of.content)))} if request.is_head else {}
    ),
    "chunks": chunked,
    "always compressed": always_compressed,
    "leads to a signed address": partial(signs, methods=("HEAD", "GET")),
    "leads to an address signed for GET": partial(signs, methods=("GET",)),
    "HEAD is not allowed": partial(takes_no_head, status=405),
    "HEAD is not known": partial(takes_no_head, status=501),
    "needs a login": needs_login,
    "needs a query": needs_query,
}


@pytest.fixture
def server(request: pytest.FixtureRequest):
    of = Server()
    handler = partial(Request, server_of_kind=of, kind=request.param)
    serving = ThreadingHTTPServer((LOOPBACK, 0), handler)
    Thread(target=serving.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    of.url = f"http://{LOOPBACK}:{serving.server_port}"
    yield of
    serving.shutdown()
    serving.server_close()


ANY_KIND = pytest.mark.parametrize("server", list(KINDS.values()), ids=list(KINDS), indirect=True)


def of_kind(name: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("server", [KINDS[name]], ids=[name], indirect=True)


def address_of(server: Server) -> Address:
    return Address.parse(server.url.replace("//", f"//{LOGIN}") + "?sv=1&sig=a%2Fb%3D").below("trip-data/x.parquet")


@ANY_KIND
def test_a_file_of_any_server_is_there_arrives_whole_and_is_not_taken_for_replaced(server: Server):
    address = address_of(server)
    assert is_available(address)
    with download(address) as file:
        assert file.file.read() == FIRST
        for _ in range(2):
            require_unchanged(file)
    # every question is asked alike, and begins at the file's own address
    assert {headers["Accept-Encoding"] for _, _, headers in server.asked} == {"identity"}


@ANY_KIND
@pytest.mark.parametrize("later", [SECOND, SAME_LENGTH], ids=["longer", "as long"])
def test_a_file_of_any_server_that_is_replaced_meanwhile_is_noticed(server: Server, later: bytes):
    address = address_of(server)
    with download(address) as file:
        server.content = later
        with pytest.raises(FileChanged, match=rf"{address} was replaced while it was being loaded"):
            require_unchanged(file)
    with download(address) as file:
        assert file.file.read() == later
        require_unchanged(file)


@ANY_KIND
def test_the_daily_question_is_answered_by_any_server(server: Server):
    address = address_of(server)
    with Client(address) as client:
        assert client.head(address).status == 200


@pytest.mark.parametrize(
    "server",
    [KINDS[name] for name in ("all is said", "weak ETags", "no ETag", "another suffix to HEAD", "no length")],
    indirect=True,
)
def test_a_server_that_says_enough_sends_a_file_once(server: Server):
    with download(address_of(server)) as file:
        require_unchanged(file)
    assert [method for method, _, _ in server.asked] == ["GET", "HEAD"]


# ---------- what does not load


def redirects(request: Request, of: Server, to: str) -> None:
    request.refuse(302, Location=to)


@pytest.mark.parametrize(
    ("server", "kind", "words"),
    [
        (partial(takes_no_head, status=401), requests.HTTPError, "401 Unauthorized: {url}"),
        (partial(redirects, to="/again?sig=a-secret"), requests.TooManyRedirects, "{url}: Exceeded 30 redirects."),
        (
            partial(redirects, to="ftp://somebody:a-secret@host/x?sig=a-secret"),
            requests.exceptions.InvalidSchema,
            "{url}: it cannot be asked, or where it leads to, or the proxy",
        ),
        (
            partial(redirects, to="http://somebody:a-secret@[::1/x?sig=a-secret"),
            requests.exceptions.RequestException,
            "{url}: it cannot be asked, or where it leads to, or the proxy",
        ),
        (
            partial(redirects, to="http://127.0.0.1:9/x?sig=a-secret"),
            requests.ConnectionError,
            "{url}: HTTPConnection(host='127.0.0.1', port=9): Failed to establish a new connection",
        ),
    ],
    indirect=["server"],
    ids=["a login", "a circle", "another protocol", "no address", "nobody there"],
)
def test_what_a_server_leads_to_is_in_no_message(server: Server, kind: type[Exception], words: str):
    address = address_of(server)
    with pytest.raises(kind) as caught:
        is_available(address)
    assert str(caught.value).startswith(words.format(url=address.shown))
    assert "a-secret" not in str(caught.value)
    assert caught.value.__context__ is None
    assert caught.value.__cause__ is None


@of_kind("needs a login")
def test_without_the_login_the_message_says_so(server: Server):
    address = Address.parse(f"{server.url}/trip-data/x.parquet")
    with pytest.raises(requests.HTTPError, match="401 Unauthorized"), download(address):
        pass


@of_kind("needs a query")
def test_a_file_elsewhere_is_asked_for_without_what_is_secret_here(server: Server):
    address = address_of(server)
    assert is_available(address.of(f"{server.url}/another"))
    elsewhere = address.of("http://127.0.0.1:9/another")
    assert (elsewhere.login, elsewhere.query) == (None, "")
    with pytest.raises(FileUnavailable), download(Address.parse(f"{server.url}/another")):
        pass


GONE = pytest.mark.parametrize("server", [lambda request, of: request.refuse(404)], ids=["gone"], indirect=True)


@GONE
def test_a_file_that_is_gone_is_another_than_the_one_that_was_loaded(server: Server):
    address = address_of(server)
    assert not is_available(address)
    loaded = FileVersion(url=address.shown, etag=None, sha256="of before", bytes=1)
    assert not is_unchanged(address, loaded)


@pytest.mark.parametrize(
    ("one", "other", "are_the_same"),
    [
        ('"a"', '"a"', True),
        ('"a"', 'W/"a"', True),
        ('"a-gzip"', '"a"', True),
        ('"a;gzip"', 'W/"a"', True),
        ('"a--gzip"', '"a"', True),
        ('W/"a:br"', '"a"', True),
        ("a", '"a"', True),
        ('"a"', '"b"', False),
        ('"a-1"', '"a-2"', False),
        ('"a-gzip"', '"b-gzip"', False),
        ('""', '"-gzip"', False),
        ('"a"', '"A"', False),
    ],
)
def test_etags_that_say_the_same(one: str, other: str, are_the_same: bool):
    assert is_same_etag(one, other) is is_same_etag(other, one) is are_the_same
