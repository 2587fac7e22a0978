"""A source is asked gently, for a bounded time, and without what would weigh the triggerer down."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import pairwise

import pytest

from dev.tlc.mirror import TlcMirror, TlcRequest
from include.settings import ROOT
from include.source import etag_trigger as ask_source
from include.source.address import Address
from include.source.etag_trigger import GENTLY, LEAST_SECONDS, Asked, AskSource, Pace, ask, digest
from tests.support.stack.airflow_cfg import PROJECT

MONTHS = [f"2{number:03}-01" for number in range(20)]
QUICK = Pace(between=0, first_pause=0.02, longest_pause=0.1, pauses=6, most=5)
Answer = Callable[[TlcRequest, int], bool | None]


class Source:
    """A host of MONTHS. `answers` is given each request, and which in order it is."""

    def __init__(self, mirror: TlcMirror) -> None:
        self.mirror = mirror
        self.asked: list[tuple[float, str]] = []
        self.together, self.most_together = 0, 0
        self.answers: Answer = lambda request, number: False
        self._lock = threading.Lock()
        for month in MONTHS:
            (mirror.folder / f"green_tripdata_{month}.parquet").write_bytes(month.encode() * 3)
            mirror.faults[f"/{path(month)}"] = self._answer

    def _answer(self, request: TlcRequest) -> bool:
        with self._lock:
            self.together += 1
            self.most_together = max(self.most_together, self.together)
            self.asked.append((time.monotonic(), request.path))
            number = len(self.asked)
        try:
            return self.answers(request, number) is not False
        finally:
            with self._lock:
                self.together -= 1


def path(month: str) -> str:
    return f"trip-data/green_tripdata_{month}.parquet"


PATHS = {month: path(month) for month in MONTHS}


@pytest.fixture
def source(tlc: TlcMirror) -> Source:
    return Source(tlc)


def asked(source: Source, pace: Pace = QUICK) -> Asked:
    return asyncio.run(ask(source.mirror.address, PATHS, pace))


@contextmanager
def lasting_at_most(seconds: float) -> Iterator[None]:
    began = time.monotonic()
    yield
    assert time.monotonic() - began < seconds


def test_each_file_s_etag_and_length_are_told(source: Source):
    found = asked(source)
    assert sorted(found.answers) == MONTHS
    assert {length for _, length in found.answers.values()} == {21}
    assert len({etag for etag, _ in found.answers.values()}) == len(MONTHS)
    assert (found.refused, found.silent) == ({}, {})
    assert len(source.asked) == len(MONTHS)


def test_a_server_without_etag_and_length_is_told_as_such(source: Source):
    def bare(request: TlcRequest, number: int) -> None:
        request.send_response(200)
        request.end_headers()

    source.answers = bare
    assert set(asked(source).answers.values()) == {(None, None)}


def test_no_more_than_so_many_are_asked_together_or_one_after_the_other_sooner_than_the_pace(source: Source):
    source.answers = lambda request, number: time.sleep(0.05) or False
    pace = Pace(at_once=3, between=0.02)
    assert len(asked(source, pace).answers) == len(MONTHS)
    assert source.most_together <= 3
    times = sorted(at for at, _ in source.asked)
    assert times[-1] - times[0] >= 0.9 * pace.between * (len(MONTHS) - 1)
    # so 300 files take a minute, and never more than some of them together
    assert (GENTLY.between * 300, GENTLY.at_once) == (60, 4)


@pytest.mark.parametrize("status", [429, 403, 503])
def test_after_a_refusal_nothing_is_asked_for_a_while_and_all_is_told_in_the_end(source: Source, status: int):
    source.answers = lambda request, number: request.answer(status, b"") if number in (5, 6) else False
    pace = Pace(at_once=1, between=0, first_pause=0.05, longest_pause=1)
    found = asked(source, pace)
    assert sorted(found.answers) == MONTHS
    times = [at for at, _ in source.asked]
    waits = [later - earlier for earlier, later in pairwise(times)]
    assert waits[4] >= pace.first_pause  # after the fifth
    assert waits[5] >= 2 * pace.first_pause  # after the sixth, twice as long
    assert len(source.asked) == len(MONTHS) + 2


@pytest.mark.long
@pytest.mark.parametrize("as_a_date", [False, True])
def test_retry_after_is_honoured(source: Source, as_a_date: bool):
    def busy(request: TlcRequest, number: int) -> bool:
        if number > 1:
            return False
        at = format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)
        request.answer(429, b"", Retry_After=at if as_a_date else "1")
        return True

    source.answers = busy
    assert sorted(asked(source, Pace(at_once=1, between=0, first_pause=0.01)).answers) == MONTHS
    first, second = source.asked[:2]
    assert second[0] - first[0] >= 0.95


def test_a_source_that_asks_to_wait_longer_than_is_waited_is_not_asked_further(source: Source):
    source.answers = lambda request, number: request.answer(429, b"", Retry_After="86400")
    with lasting_at_most(5):
        found = asked(source)
    assert sorted(found.silent) == MONTHS
    assert "HTTP 429, not asked further, as the source asks to wait 86400 s" in found.silent.values()
    assert len(source.asked) <= GENTLY.at_once


def test_a_storm_of_403_passes_and_no_month_is_taken_for_withdrawn(source: Source):
    source.answers = lambda request, number: request.answer(403, b"") if number <= 8 else False
    assert sorted(asked(source).answers) == MONTHS


def test_a_month_alone_that_is_refused_time_and_again_is_told_apart(source: Source):
    withdrawn = f"/{path(MONTHS[7])}"
    source.answers = lambda request, number: request.answer(403, b"") if request.path == withdrawn else False
    found = asked(source)
    assert (found.refused, found.silent) == ({MONTHS[7]: "HTTP 403"}, {})
    assert len(found.answers) == len(MONTHS) - 1
    assert [url for _, url in source.asked].count(withdrawn) == QUICK.tries


def test_a_source_that_refuses_all_is_asked_a_few_times_and_given_up(source: Source):
    source.answers = lambda request, number: request.answer(403, b"")
    with lasting_at_most(5):
        found = asked(source)
    assert (found.answers, found.refused, sorted(found.silent)) == ({}, {}, MONTHS)
    assert any("HTTP 403, not asked further after 6 pauses without an answer" in why for why in found.silent.values())
    assert len(source.asked) <= (QUICK.pauses + 1) * QUICK.at_once


def test_a_server_that_is_gone_is_given_up_in_a_bounded_time(source: Source):
    source.mirror.server.shutdown()
    source.mirror.server.server_close()
    with lasting_at_most(5):
        found = asked(source)
    assert sorted(found.silent) == MONTHS
    assert any(why.startswith("ConnectionError") for why in found.silent.values())


@pytest.mark.long
def test_a_server_that_takes_long_is_given_up_when_the_time_is_over(source: Source):
    source.answers = lambda request, number: time.sleep(0.4) or False
    with lasting_at_most(5):
        found = asked(source, Pace(at_once=2, between=0, most=1))
    assert found.answers
    assert set(found.silent.values()) == {"not asked further after 1 s"}
    assert len(found.answers) + len(found.silent) == len(MONTHS)


# ---------- in the triggerer


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ask_source, "LEAST_SECONDS", 0)


def trigger_for(url: str) -> AskSource:
    return AskSource("tlc_base_url", "https://tlc.example", digest(Address.parse(url)), PATHS)


def event_of(trigger: AskSource) -> dict:
    async def first() -> dict:
        return (await anext(trigger.run())).payload

    return asyncio.run(first())


@pytest.mark.long
@pytest.mark.usefixtures("at_once")
def test_the_trigger_asks_the_address_of_the_variable_and_again_after_a_restart(source: Source, monkeypatch):
    monkeypatch.setenv("AIRFLOW_VAR_TLC_BASE_URL", source.mirror.url)
    monkeypatch.setattr(ask_source, "GENTLY", QUICK)
    path_of_class, arguments = trigger_for(source.mirror.url).serialize()
    assert path_of_class == f"{AskSource.__module__}.{AskSource.__name__}"
    events = [event_of(AskSource(**arguments)) for _ in range(2)]
    assert events[0] == events[1]
    assert sorted(events[0]["answers"]) == MONTHS


@pytest.mark.long
def test_the_trigger_fires_no_sooner_than_airflow_has_noticed_the_end_of_the_task_s_process(monkeypatch):
    monkeypatch.setattr(ask_source, "LEAST_SECONDS", 1)
    monkeypatch.setattr(ask_source, "ADDRESS_SECONDS", 0)
    began = time.monotonic()
    assert event_of(trigger_for("https://other.example"))["fault"]
    assert time.monotonic() - began >= 1
    # by so much a report may be late, and by what a busy machine adds
    assert int(PROJECT["workers", "min_heartbeat_interval"]) + 3 <= LEAST_SECONDS


def test_no_secret_of_the_address_is_in_airflow_s_database():
    trigger = trigger_for("https://someone:secret@mirror.example")
    assert "secret" not in str(trigger.serialize())
    assert "mirror.example" not in str(trigger.serialize())


@pytest.mark.usefixtures("at_once")
def test_a_triggerer_with_another_address_asks_nobody_and_says_which_setting(source: Source, monkeypatch):
    monkeypatch.setattr(ask_source, "ADDRESS_SECONDS", 0)
    monkeypatch.setenv("AIRFLOW_VAR_TLC_BASE_URL", source.mirror.url)
    assert event_of(trigger_for("https://other.example")) == {
        "fault": "the triggerer has another tlc_base_url (or AIRFLOW_VAR_TLC_BASE_URL) than the worker"
    }
    assert source.asked == []


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("SSL_CERT_FILE", "/nowhere", "SSL_CERT_FILE=/nowhere: there is no such file or folder of certificates"),
        ("AIRFLOW_VAR_TLC_BASE_URL", "S3cret", "Airflow variable tlc_base_url: an address that begins with http://"),
    ],
)
def test_a_setting_of_the_triggerer_that_cannot_work_is_told(source: Source, monkeypatch, variable, value, words):
    monkeypatch.setenv("AIRFLOW_VAR_TLC_BASE_URL", source.mirror.url)
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, value)
    fault = event_of(trigger_for(source.mirror.url))["fault"]
    assert fault.startswith(f"in the triggerer, {words}")
    assert "S3cret" not in fault
    assert source.asked == []


@pytest.mark.long
def test_the_triggerer_imports_no_arrow_dbt_or_driver_beyond_what_airflow_does():
    listed = "import sys, airflow.triggers.base; own = set(sys.modules); import include.source.etag_trigger; "
    listed += "print(*(set(sys.modules) - own))"
    done = subprocess.run([sys.executable, "-c", listed], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in done.stdout.split()}
    assert "include" in loaded
    assert not {"pyarrow", "dbt", "cosmos", "psycopg", "pandas"} & loaded
