"""Certificates and proxies: one set of variables for all questions, and no proxy for this machine's own servers."""

from __future__ import annotations

import asyncio
import select
import shutil
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from dev.system.ports import LOOPBACK
from dev.tlc.mirror import TlcMirror
from include.alerts.runbook import SETTING, SOURCE
from include.failures.diagnosis import entry_of
from include.failures.retry import heals
from include.settings import SettingError
from include.source.address import Address
from include.source.client import Client, is_loopback
from include.source.download import download, is_available
from include.source.etag_trigger import Asked, Pace, ask
from tests.support.helpers import JANUARY, trips_path
from tests.support.postgres.certificates import Authority

PATH = trips_path(JANUARY)[1:]
CERTIFICATES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
ELSEWHERE = "tlc.invalid"  # a name that nobody has: only a proxy can lead there


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable of the machine's own."""
    for name in (*CERTIFICATES, *PROXIES):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def mirror(tlc: TlcMirror) -> TlcMirror:
    (tlc.folder / "green_tripdata_2024-01.parquet").write_bytes(b"PAR1")
    return tlc


def with_tls(folder: Path, context: ssl.SSLContext) -> TlcMirror:
    (folder / "green_tripdata_2024-01.parquet").write_bytes(b"PAR1")
    mirror = TlcMirror(folder)
    mirror.server.socket = context.wrap_socket(mirror.server.socket, server_side=True)
    return mirror


@pytest.fixture
def secure(tmp_path: Path, authority: Authority) -> Iterator[Address]:
    """The address of a mirror whose certificate is of our own authority."""
    with with_tls(tmp_path, authority.server()) as mirror:
        yield Address.parse(f"https://localhost:{mirror.server.server_port}")


def daily(base: Address) -> Asked:
    return asyncio.run(ask(base, {"2024-01": PATH}, Pace(between=0, first_pause=0.01, tries=1)))


def asked_in_every_way(base: Address) -> None:
    """As wait_for_month, load_month and taxi_restatements ask."""
    assert is_available(base.below(PATH))
    with download(base.below(PATH)) as file:
        assert file.bytes == 4
    assert daily(base).answers["2024-01"][1] == 4


# ---------- certificates


def hashed(certificate: Path, folder: Path) -> Path:
    """A folder of certificates under the names by which OpenSSL finds them."""
    if not shutil.which("openssl"):
        pytest.skip("openssl, which names the files of a folder of certificates, is not installed")
    command = ["openssl", "x509", "-noout", "-subject_hash", "-in", str(certificate)]
    name = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    folder.mkdir()
    shutil.copy(certificate, folder / f"{name}.0")
    return folder


@pytest.mark.parametrize("name", CERTIFICATES)
def test_any_variable_alone_has_an_authority_trusted_in_every_question(
    name: str, secure: Address, authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    trusted = authority.certificate
    monkeypatch.setenv(name, str(hashed(trusted, tmp_path / "authorities") if name.endswith("DIR") else trusted))
    asked_in_every_way(secure)


@pytest.mark.parametrize("set_to", [None, "another authority's"])
def test_a_certificate_that_is_not_trusted_is_a_fault_of_the_source_and_not_tried_again(
    secure: Address, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, set_to: str | None
):
    if set_to:
        (tmp_path / "other").mkdir()
        monkeypatch.setenv("SSL_CERT_FILE", str(Authority(tmp_path / "other").certificate))
    questions: list[Callable[[], Any]] = [
        lambda: is_available(secure.below(PATH)),
        lambda: download(secure.below(PATH)).__enter__(),
    ]
    for question in questions:
        with pytest.raises(requests.exceptions.SSLError, match="certificate verify failed") as caught:
            question()
        assert entry_of(caught.value, "taxi_pipeline", "load_month") is SOURCE  # which speaks of no sslrootcert
        assert not heals(caught.value)
    assert daily(secure).silent["2024-01"].startswith("SSLError")


@pytest.mark.parametrize("name", CERTIFICATES)
def test_certificates_that_are_not_there_are_named_by_the_variable(name: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(name, "/nowhere/authority.pem")
    with pytest.raises(SettingError, match=f"^{name}=/nowhere/authority.pem: there is no such file") as caught:
        is_available(Address.parse("https://localhost:9/x"))
    assert entry_of(caught.value, "taxi_pipeline", "load_month") is SETTING


# ---------- proxies


class Proxy:
    """A forward proxy, which leads every host to one port of this machine. `seen`: what it was asked, and with what."""

    def __init__(self, port: int) -> None:
        self.seen: list[tuple[str, dict[str, str]]] = []
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                proxy.seen.append((f"{self.command} {self.path}", dict(self.headers)))
                with requests.Session() as session:
                    session.trust_env = False
                    parts = urlsplit(self.path)
                    answer = session.request(self.command, f"http://{LOOPBACK}:{port}{parts.path}")
                self.send_response(answer.status_code)
                for name in ("Content-Length", "ETag"):
                    self.send_header(name, answer.headers[name])
                self.end_headers()
                self.wfile.write(answer.content)

            do_HEAD = do_GET

            def do_CONNECT(self) -> None:
                proxy.seen.append((f"CONNECT {self.path}", dict(self.headers)))
                self.send_response(200)
                self.end_headers()
                self.close_connection = True
                with socket.create_connection((LOOPBACK, port)) as server:
                    sides = {self.connection: server, server: self.connection}
                    while True:
                        for side in select.select([*sides], [], [], 10)[0]:
                            if not (data := side.recv(65536)):
                                return
                            sides[side].sendall(data)

            def log_message(self, *_: object) -> None: ...

        self.server = ThreadingHTTPServer((LOOPBACK, 0), Handler)
        self.url = f"http://{LOOPBACK}:{self.server.server_port}"


@pytest.fixture
def proxy_to(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Proxy]]:
    proxies = []

    def start(port: int, *variables: str) -> Proxy:
        proxies.append(proxy := Proxy(port))
        Thread(target=proxy.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        for name in variables:
            monkeypatch.setenv(name, proxy.url)
        return proxy

    yield start
    for proxy in proxies:
        proxy.server.shutdown()
        proxy.server.server_close()


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
@pytest.mark.parametrize("host", [LOOPBACK, "localhost"])
def test_loopback_is_asked_by_no_proxy(mirror: TlcMirror, proxy_to: Callable[..., Proxy], name: str, host: str):
    proxy = proxy_to(9, name)
    asked_in_every_way(Address.parse(f"http://{host}:{mirror.server.server_port}"))
    assert proxy.seen == []


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_another_host_is_asked_by_the_proxy_in_every_question(
    mirror: TlcMirror, proxy_to: Callable[..., Proxy], name: str
):
    proxy = proxy_to(mirror.server.server_port, name)
    asked_in_every_way(Address.parse(f"http://{ELSEWHERE}/"))
    assert [line for line, _ in proxy.seen] == [
        f"HEAD http://{ELSEWHERE}/{PATH}",
        f"GET http://{ELSEWHERE}/{PATH}",
        f"HEAD http://{ELSEWHERE}/{PATH}",
    ]


def test_a_proxy_sees_neither_login_nor_path_of_https(
    tmp_path: Path, authority: Authority, proxy_to: Callable[..., Proxy], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.certificate))
    with with_tls(tmp_path, authority.server(ELSEWHERE)) as mirror:
        proxy = proxy_to(mirror.server.server_port, "HTTPS_PROXY")
        asked_in_every_way(Address.parse(f"https://user:S3cret@{ELSEWHERE}/?sig=S3cret"))
    assert {line for line, _ in proxy.seen} == {f"CONNECT {ELSEWHERE}:443"}
    assert "S3cret" not in str(proxy.seen)
    assert "Authorization" not in str(proxy.seen)


def test_a_host_in_no_proxy_is_asked_directly(
    mirror: TlcMirror, proxy_to: Callable[..., Proxy], monkeypatch: pytest.MonkeyPatch
):
    proxy = proxy_to(mirror.server.server_port, "HTTP_PROXY")
    monkeypatch.setenv("NO_PROXY", ELSEWHERE)
    with pytest.raises(requests.ConnectionError, match=ELSEWHERE):
        is_available(Address.parse(f"http://{ELSEWHERE}/{PATH}"))
    assert proxy.seen == []


@pytest.mark.parametrize(
    ("proxy", "heals_by_itself", "words"),
    [
        ("http://user:S3cret@127.0.0.1:9", True, "Unable to connect to proxy"),
        ("http://user:S3cret@[::1", False, "or the proxy in HTTP_PROXY, HTTPS_PROXY or ALL_PROXY"),
    ],
)
def test_a_proxy_at_fault_is_told_without_its_password(
    monkeypatch: pytest.MonkeyPatch, proxy: str, heals_by_itself: bool, words: str
):
    monkeypatch.setenv("HTTP_PROXY", proxy)
    address = Address.parse(f"http://{ELSEWHERE}/{PATH}")
    with pytest.raises(requests.RequestException, match=words) as caught:
        is_available(address)
    assert "S3cret" not in str(caught.value)
    assert str(caught.value).startswith(address.shown)
    assert heals(caught.value) is heals_by_itself
    assert entry_of(caught.value, "taxi_pipeline", "load_month") is SOURCE


@pytest.mark.parametrize(
    ("host", "is_here"),
    [
        *((host, True) for host in ("localhost", "a.localhost", "127.0.0.1", "127.1.2.3", "::1")),
        *((host, False) for host in ("", "localhost.example", "notlocalhost", "10.0.0.1", "::2", "127.0.0.1.example")),
    ],
)
def test_which_hosts_are_this_machine(host: str, is_here: bool):
    assert is_loopback(host) is is_here


def test_the_client_of_another_host_reads_logins_as_requests_does(tmp_path: Path, mirror, proxy_to, monkeypatch):
    """From ~/.netrc, where the address has none."""
    (tmp_path / "netrc").write_text(f"machine {ELSEWHERE} login user password S3cret\n")
    (tmp_path / "netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    proxy = proxy_to(mirror.server.server_port, "HTTP_PROXY")
    base = Address.parse(f"http://{ELSEWHERE}")
    with Client(base) as client:
        assert client.head(base.below(PATH)).status == 200
    [(_, headers)] = proxy.seen
    assert headers["Authorization"] == "Basic dXNlcjpTM2NyZXQ="
