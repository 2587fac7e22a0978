"""What is secret in a source's address is in no text: of objects, errors and records, nor in what is stored."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from urllib.parse import quote, urlsplit

import pytest
import requests
from airflow.sdk._shared.secrets_masker import SecretsMasker
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from dev.stack.trip_source import Source
from dev.system.ports import LOOPBACK
from dev.tlc.mirror import TlcMirror, TlcRequest
from include.datasets import GREEN, TLC
from include.settings import SettingError
from include.source.address import Address
from include.source.base_url import address_to_show, base_url
from include.source.download import FileUnavailable, download, is_available, require_unchanged
from include.source.etag_trigger import AskSource, digest
from tests.support.helpers import JANUARY, cut, trips_path

PATH = trips_path(JANUARY)[1:]
# Long enough to be in no text by chance; with what has to be written otherwise in an address.
WORDS = st.text(st.sampled_from("aZ9 %/?#@:&=+;,'\"\\ü€é~-_.<>"), min_size=3, max_size=12).map(
    lambda text: f"S3{text}x7"
)


def addresses(place: str) -> st.SearchStrategy[tuple[str, list[str]]]:
    """An address with secrets in it, and the secrets, as they are written in it and decoded."""

    def written(user: str, password: str, token: str, safe: str) -> tuple[str, list[str]]:
        forms = [quote(each, safe=safe) for each in (user, password, token)]
        text = f"http://{forms[0]}:{forms[1]}@{place}/?sv=2024&sig={forms[2]}#{forms[2]}"
        return text, [user, password, token, *forms]

    return st.builds(written, WORDS, WORDS, WORDS, st.sampled_from(["", "!$'()*,;~"]))


def texts_of(error: BaseException) -> Iterator[str]:
    """All that a log, a message or a listener could show of the error."""
    yield from (str(error), repr(error), *traceback.format_exception(error))
    for chained in (error.__cause__, error.__context__):
        if chained is not None:
            yield from texts_of(chained)
    response = getattr(error, "response", None)
    if response is not None:
        yield from (str(response.url), str(response.history), str(vars(response)))
    yield str(getattr(error, "request", None) and vars(error.request))  # type: ignore[attr-defined]


def closed(request: TlcRequest) -> None:
    request.close_connection = True


def leads_on(to: str) -> Callable[[TlcRequest], None]:
    """To an address that has the request's own login and signature."""

    def answer(request: TlcRequest) -> None:
        request.answer(302, b"", Location=to + urlsplit(request.path).query)

    return answer


def refuses(status: int) -> Callable[[TlcRequest], None]:
    """As servers do that quote the whole address."""
    return lambda request: request.answer(status, request.path.encode(), X_Asked=request.path, Retry_After="1")


FAULTS: dict[str, Callable[[TlcRequest], object]] = {
    "cut": cut,
    "closed": closed,
    "in a circle": leads_on(f"/{PATH}?"),
    "to nowhere": leads_on("http://127.0.0.1:9/x?"),
    "to another protocol": leads_on("ftp://127.0.0.1/x?"),
    "to no address": leads_on("http://[::1/x?"),
    "refused": refuses(401),
    "not there": refuses(403),
    "busy": refuses(503),
}


@pytest.fixture(scope="module")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlcMirror]:
    folder = tmp_path_factory.mktemp("tlc")
    (folder / "green_tripdata_2024-01.parquet").write_bytes(b"PAR1")
    with TlcMirror(folder) as mirror:
        yield mirror


class Records(logging.Handler):
    """What was logged by anything, at any level."""

    def __init__(self) -> None:
        super().__init__(0)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(self.format(record))


@pytest.fixture
def records(monkeypatch: pytest.MonkeyPatch) -> Iterator[Records]:
    records, root = Records(), logging.getLogger()
    monkeypatch.setattr(root, "level", logging.DEBUG)
    root.addHandler(records)
    yield records
    root.removeHandler(records)


@pytest.mark.parametrize("fault", [None, *FAULTS])
def test_no_secret_of_an_address_is_in_what_comes_of_it(mirror: TlcMirror, records: Records, fault: str | None):
    place = mirror.url.removeprefix("http://")

    @given(addresses(place))
    @hypothesis_settings(max_examples=10)
    def check(address_and_secrets: tuple[str, list[str]]) -> None:
        text, secrets = address_and_secrets
        base = Address.parse(text)
        address = base.below(PATH)
        trigger = AskSource("tlc_base_url", TLC.address, digest(base), {"2024-01": PATH})
        seen = [str(base), repr(address), str(Source("url", text)), str(trigger.serialize())]
        mirror.faults.clear()
        if fault:
            mirror.faults["/" + PATH] = FAULTS[fault]
            for question in (lambda: is_available(address), lambda: download(address).__enter__()):
                with suppress(FileUnavailable, requests.RequestException):
                    try:
                        question()
                    except Exception as error:
                        seen += texts_of(error)
                        raise
        else:
            with download(address) as file:
                require_unchanged(file)
                seen += [file.url, repr(file)]
        shown = "\n".join([*seen, *records.texts])
        for secret in secrets:
            assert secret not in shown
        assert base.shown == mirror.url

    check()


# ---------- where it comes in


@pytest.mark.parametrize(
    ("text", "shown", "login", "query"),
    [
        ("https://mirror.example", "https://mirror.example", None, ""),
        ("https://mirror.example/", "https://mirror.example", None, ""),
        ("  https://Mirror.example:8443/a/b/ \n", "https://Mirror.example:8443/a/b", None, ""),
        ("https://user:pass@mirror.example/a?sig=1#x", "https://mirror.example/a", ("user", "pass"), "sig=1"),
        ("https://token@mirror.example", "https://mirror.example", ("token", ""), ""),
        ("https://a%40b:c%2Fd%25@[::1]:80/", "https://[::1]:80", ("a@b", "c/d%"), ""),
        ("http://:only@h", "http://h", ("", "only"), ""),
    ],
)
def test_an_address_is_parted(text: str, shown: str, login: tuple[str, str] | None, query: str):
    address = Address.parse(text)
    assert (address.shown, address.login, address.query) == (shown, login, query)
    below = address.below("misc/zones.csv")
    assert below.to_ask() == f"{shown}/misc/zones.csv" + (f"?{query}" if query else "")


@pytest.mark.parametrize(
    "text",
    [
        *("", "mirror.example", "ftp://mirror.example", "http://", "http://h:port", "http://[::1", "http://a b"),
        *("https://user:S3/cret@host", "https://user:12/S3cret@host", "https://user:S3?cret@host", "http://h:0"),
        *("https://user:S3#cret@host", "https://user:S3 cret@host", "https://h/\nS3cret"),
    ],
)
def test_what_is_no_address_is_refused_by_the_variable_s_name_without_its_value(monkeypatch, text: str):
    monkeypatch.setenv("AIRFLOW_VAR_TLC_BASE_URL", text)
    with pytest.raises(
        SettingError, match=r"Airflow variable tlc_base_url: an address that begins with http"
    ) as caught:
        base_url(GREEN)
    assert not any("cret" in each for each in texts_of(caught.value))
    assert address_to_show(GREEN) == "<tlc_base_url>"


def test_airflow_s_logs_mask_what_is_secret_where_other_code_shows_it(monkeypatch):
    masked = set()
    monkeypatch.setattr(SecretsMasker, "add_mask", lambda self, secret, name=None: masked.add(secret))
    monkeypatch.setenv("AIRFLOW_VAR_TLC_BASE_URL", "https://user:p%40ss-word@mirror.example?sv=1&sig=signature%3D")
    assert base_url(GREEN).shown == address_to_show(GREEN) == "https://mirror.example"
    assert {"p@ss-word", "p%40ss-word", "sv=1&sig=signature%3D", "signature=", "signature%3D"} <= masked
    assert not {"user", "1", ""} & masked  # they may be any word
    monkeypatch.setenv("AIRFLOW_VAR_TLC_BASE_URL", "https://token-alone@mirror.example")
    base_url(GREEN)
    assert "token-alone" in masked


def test_a_file_of_another_server_is_asked_for_without_the_login():
    base = Address.parse(f"http://user:password@{LOOPBACK}:1/a?sig=1")
    assert base.of(f"http://{LOOPBACK}:1/b").login == ("user", "password")
    for other in (f"http://{LOOPBACK}:2/b", f"https://{LOOPBACK}:1/b", "http://localhost:1/b"):
        assert (base.of(other).login, base.of(other).query) == (None, "")


def test_the_login_that_an_earlier_revision_stored_is_not_shown():
    base = Address.parse("https://user:password@mirror.example?sig=1")
    stored = "https://user:of-before@mirror.example/a.parquet?sig=of-before"
    assert base.of(stored) == base.below("a.parquet")
    for text in ("https://user:12/of-before@mirror.example", "of-before"):
        assert "of-before" not in repr(base.of(text))
