"""Fetching a file over real HTTP, from the project's mirror."""

from __future__ import annotations

import hashlib
import os
import signal
import socket
import struct
import tempfile
import threading
from contextlib import suppress
from pathlib import Path

import pytest
import requests

from dev.system.ports import LOOPBACK
from include.failures.retry import heals
from include.source import client
from include.source import download as module
from include.source.address import Address
from include.source.download import DownloadError, FileUnavailable, download, is_available
from tests.support.helpers import JANUARY, cut, fork, trips_path

PATH = trips_path(JANUARY)
CONTENT = b"PAR1" + bytes(range(256)) * 20_000  # 5 MB: several chunks


@pytest.fixture
def url(tlc) -> Address:
    (tlc.folder / "green_tripdata_2024-01.parquet").write_bytes(CONTENT)
    return tlc.address.below(PATH[1:])


@pytest.fixture
def temporary(tmp_path, monkeypatch) -> Path:
    """The folder that temporary files go to."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def reset(request) -> None:
    """The same, by a TCP reset: what closing does to a socket that does not linger."""
    cut(request)
    request.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    request.rfile.close()
    request.connection.close()


def no_answer(request) -> None:
    request.close_connection = True


def far_too_long(request) -> None:
    """Sends 50 MB without a Content-Length, unless the client hangs up before."""
    request.send_response(200)
    request.end_headers()
    request.close_connection = True
    with suppress(OSError):
        for _ in range(500):
            request.wfile.write(b"x" * 100_000)


def status(code: int):
    return lambda request: request.answer(code, b"an error page")


# ---------- what arrives


def test_the_file_arrives_whole_with_what_its_server_said_of_it(url, temporary):
    with download(url) as file:
        assert file.file.read() == CONTENT
        assert os.fstat(file.file.fileno()).st_dev == temporary.stat().st_dev
        assert (file.url, file.bytes, file.sha256) == (url.shown, len(CONTENT), hashlib.sha256(CONTENT).hexdigest())
        assert file.etag == f'"{hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()}"'
        assert file.content_type == "binary/octet-stream"


def test_a_server_without_etag_will_do(tlc):
    tlc.faults[PATH] = status(200)
    with download(tlc.address.below(PATH[1:])) as file:
        assert (file.etag, file.file.read()) == (None, b"an error page")


def test_no_file_is_there_to_be_left_behind(url, temporary):
    with download(url):
        assert not list(temporary.iterdir())
    assert not list(temporary.iterdir())


def test_a_process_killed_in_mid_transfer_leaves_nothing(tlc, url, temporary):
    arrived, killed = threading.Event(), threading.Event()

    def half(request) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str(len(CONTENT)))
        request.end_headers()
        request.wfile.write(CONTENT[: len(CONTENT) // 2])
        arrived.set()
        killed.wait(30)

    def fetch() -> None:
        with download(url):
            pass

    tlc.faults[PATH] = half
    process = fork(fetch)
    assert arrived.wait(30)
    process.kill()
    process.join()
    killed.set()
    assert process.exitcode == -signal.SIGKILL
    assert not list(temporary.iterdir())


def test_no_file_is_left_behind_by_an_error_in_its_use(url, temporary):
    with pytest.raises(ZeroDivisionError), download(url):
        raise ZeroDivisionError
    assert not list(temporary.iterdir())


@pytest.mark.parametrize("fault", [cut, reset, no_answer, status(403), status(503)])
def test_no_file_is_left_behind_by_a_failed_transfer(tlc, url, temporary, fault):
    tlc.faults[PATH] = fault
    with pytest.raises((requests.RequestException, FileUnavailable)), download(url):
        pass
    assert not list(temporary.iterdir())


# ---------- what does not


@pytest.mark.parametrize("code", [403, 404])
def test_a_file_the_source_will_not_give_is_unavailable(tlc, url, code):
    tlc.faults[PATH] = status(code)
    with pytest.raises(FileUnavailable, match=rf"{url} answered {code}.*tlc_base_url") as caught, download(url):
        pass
    assert not heals(caught.value)


@pytest.mark.parametrize("code", [429, 500, 502, 503, 504])
def test_a_busy_source_is_an_http_error_that_heals(tlc, url, code):
    tlc.faults[PATH] = status(code)
    with pytest.raises(requests.HTTPError) as caught, download(url):
        pass
    assert heals(caught.value)


@pytest.mark.parametrize("code", [400, 401, 410])
def test_a_request_the_source_refuses_does_not_heal(tlc, url, code):
    tlc.faults[PATH] = status(code)
    with pytest.raises(requests.HTTPError) as caught, download(url):
        pass
    assert not heals(caught.value)


@pytest.mark.parametrize("fault", [cut, reset, no_answer])
def test_a_transfer_cut_short_is_an_error_that_heals(tlc, url, fault):
    tlc.faults[PATH] = fault
    with pytest.raises(requests.RequestException) as caught, download(url):
        pass
    assert heals(caught.value)


def test_a_source_that_does_not_listen_is_an_error_that_heals():
    with socket.create_server((LOOPBACK, 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(requests.ConnectionError) as caught, download(Address.parse(f"http://{LOOPBACK}:{port}{PATH}")):
        pass
    assert heals(caught.value)


def test_a_source_that_never_answers_is_given_up_and_heals(tlc, url, monkeypatch):
    given_up = threading.Event()
    tlc.faults[PATH] = lambda request: given_up.wait()
    monkeypatch.setattr(client, "CONNECT_AND_READ_TIMEOUT", (0.2, 0.2))
    with pytest.raises(requests.RequestException) as caught, download(url):
        pass
    given_up.set()
    assert heals(caught.value)


def test_an_answer_far_too_long_stops_at_the_size_bound(tlc, url, monkeypatch, temporary):
    tlc.faults[PATH] = far_too_long
    monkeypatch.setattr(module, "MAX_BYTES", 3_000_000)
    with pytest.raises(DownloadError, match=rf"{url} is larger than 3,000,000 bytes") as caught, download(url):
        pass
    assert not heals(caught.value)
    assert not list(temporary.iterdir())


def test_a_file_of_exactly_the_bound_is_taken(url, monkeypatch):
    monkeypatch.setattr(module, "MAX_BYTES", len(CONTENT))
    with download(url) as file:
        assert file.bytes == len(CONTENT)


def test_an_answer_far_too_long_stops_at_the_time_bound(tlc, url, monkeypatch):
    tlc.faults[PATH] = far_too_long
    monkeypatch.setattr(module, "MAX_SECONDS", 0)
    with pytest.raises(DownloadError, match=rf"{url} was not complete after 0 seconds"), download(url):
        pass


# ---------- whether it is there


def test_a_file_that_is_there_is_available(url):
    assert is_available(url) is True


def test_a_file_that_is_not_there_is_not_available(tlc):
    assert is_available(tlc.address.below(PATH[1:])) is False  # the mirror answers 403, as TLC does


def test_404_is_not_available_either(tlc, url):
    tlc.faults[PATH] = status(404)
    assert is_available(url) is False


@pytest.mark.parametrize("fault", [status(400), status(429), status(500), status(503), no_answer])
def test_no_clear_answer_is_an_error_not_an_absence(tlc, url, fault):
    tlc.faults[PATH] = fault
    with pytest.raises(requests.RequestException):
        is_available(url)


def test_asking_fetches_nothing(tlc, url):
    asked = []

    def note(request) -> bool:
        asked.append(request.command)
        return False

    tlc.faults[PATH] = note
    is_available(url)
    assert asked == ["HEAD"]
