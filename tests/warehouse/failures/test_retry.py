"""Which failures are tried again, and when: the failures are real. Those of Postgres are in test_postgres.py."""

from __future__ import annotations

from datetime import timedelta

import pytest
import requests
from airflow.sdk import RetryAction
from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
from airflow.sdk.execution_time.comms import ErrorResponse
from hypothesis import given
from hypothesis import strategies as st

from include.alerts.runbook import API_SERVER
from include.failures.diagnosis import entry_of
from include.failures.retry import MAX_DELAY, RETRIES, RetryWhatHeals, delay, heals
from include.month import MonthError
from include.processes.drift import OtherRevision
from include.settings import RETRY, SettingError
from include.source.availability import MonthUnavailable
from include.source.download import DownloadError, FileChanged, FileUnavailable, download
from include.source.reader import FileContentError
from tests.support.documents import shows
from tests.support.helpers import JANUARY, error_of, trips_path

PATH = trips_path(JANUARY)


@pytest.fixture(autouse=True)
def default_delay(monkeypatch):
    monkeypatch.delenv("PIPELINE_RETRY_SECONDS", raising=False)


def decision(exception: BaseException, try_number: int = 1, max_tries: int = RETRIES):
    return RetryWhatHeals().evaluate(exception, try_number=try_number, max_tries=max_tries)


# ---------- the source


def answered(tlc, status: int, **headers: str) -> requests.HTTPError:
    """The error of a download that the source answers so."""
    tlc.faults[PATH] = lambda request: request.answer(status, b"", **headers)

    def fetch() -> None:
        with download(tlc.address.below(PATH[1:])):
            pass

    error = error_of(fetch)
    assert isinstance(error, requests.HTTPError)
    return error


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_busy_source_heals(tlc, status):
    assert heals(answered(tlc, status))


@pytest.mark.parametrize("status", [400, 401, 405, 410, 451])
def test_a_source_that_refuses_does_not_heal(tlc, status):
    assert not heals(answered(tlc, status))


def test_a_source_that_denies_access_does_not_heal(tlc):
    def fetch() -> None:
        with download(tlc.address.below(PATH[1:])):
            pass

    assert not heals(error_of(fetch))  # the mirror answers 403, as TLC does, and download says so in its own words
    assert not heals(error_of(lambda: requests.get(tlc.url + PATH, timeout=10).raise_for_status()))


@pytest.mark.parametrize("url", ["http://", "ftp://127.0.0.1/file", "not a url"])
def test_an_address_that_cannot_be_one_does_not_heal(url):
    assert not heals(error_of(lambda: requests.get(url, timeout=10)))


# ---------- the decision


@pytest.mark.parametrize(
    "exception",
    [
        FileUnavailable("403"),
        DownloadError("larger than 2 GiB"),
        FileContentError("connection refused"),  # words count in a database's error only
        MonthUnavailable("in the future"),
        MonthError("month"),
        SettingError("AIRFLOW_STUDENT"),
        ValueError("deadlock detected"),
        KeyError("connection refused"),
        RuntimeError("could not serialize access"),
        OSError("No space left on device"),
    ],
    ids=lambda exception: type(exception).__name__,
)
def test_anything_else_fails_on_the_first_try_and_says_why(exception):
    made = decision(exception)
    assert made.action is RetryAction.FAIL
    assert type(exception).__name__ in made.reason


@pytest.mark.parametrize(
    ("error", "detail", "healing"),
    [
        (ErrorType.API_SERVER_ERROR, {"status_code": None, "message": "timed out"}, True),
        (ErrorType.API_SERVER_ERROR, {"status_code": 503}, True),
        (ErrorType.API_SERVER_ERROR, {"status_code": 429}, True),
        (ErrorType.API_SERVER_ERROR, {"status_code": 403}, False),
        (ErrorType.CONNECTION_NOT_FOUND, {"conn_id": "azure_pg"}, False),
        (ErrorType.GENERIC_ERROR, None, False),
    ],
)
def test_an_api_server_that_does_not_answer_a_task_heals_and_one_that_refuses_does_not(error, detail, healing):
    """`soak_faults.py` has the real one: workers that are cut off from it for a minute."""
    failure = AirflowRuntimeError(ErrorResponse(error=error, detail=detail))
    assert heals(failure) == healing
    if error is ErrorType.API_SERVER_ERROR:
        assert entry_of(failure, "taxi_pipeline", "load_month") is API_SERVER
        shows(API_SERVER.heading, "API_SERVER_ERROR", str(failure))


def test_another_revision_of_the_project_heals():
    assert heals(OtherRevision())


def test_what_heals_is_tried_again_and_says_why(tlc):
    made = decision(answered(tlc, 503))
    assert (made.action, made.retry_delay) == (RetryAction.RETRY, timedelta(seconds=30))
    assert "HTTPError" in made.reason


def test_each_delay_is_twice_the_last_up_to_a_bound(tlc):
    error = answered(tlc, 503)
    delays = [decision(error, try_number).retry_delay.total_seconds() for try_number in range(1, 9)]
    assert delays == [30, 60, 120, 240, 480, 600, 600, 600]


def test_the_first_delay_is_a_setting(tlc, monkeypatch):
    monkeypatch.setenv("PIPELINE_RETRY_SECONDS", "2")
    error = answered(tlc, 503)
    assert RETRY.value() == timedelta(seconds=2)
    assert [decision(error, number).retry_delay.total_seconds() for number in (1, 2, 3)] == [2, 4, 8]


@given(st.lists(st.integers(1, RETRIES + 1), max_size=50), st.integers(1, RETRIES))
def test_the_delay_counts_from_the_latest_clear(tries_before_each_clear, tries_since):
    """Airflow counts a task's tries on when it is cleared, and grants it RETRIES more than it has had."""
    had = sum(tries_before_each_clear)
    made = decision(FileChanged(), try_number=had + tries_since, max_tries=had + RETRIES)
    assert (
        made.retry_delay == decision(FileChanged(), tries_since).retry_delay == RETRY.value() * 2 ** (tries_since - 1)
    )


@given(st.integers(1, 10_000), st.integers(-1, 10_000))
def test_whatever_airflow_has_counted_the_delay_is_bounded(try_number, max_tries):
    made = decision(FileChanged(), try_number, max_tries)
    assert RETRY.value() <= made.retry_delay <= MAX_DELAY


@given(st.integers(1, 10_000))
def test_a_task_cleared_however_often_has_a_bounded_delay(try_number):
    """Airflow counts a task's tries on when it is cleared."""
    assert timedelta(0) < delay(requests.ConnectionError(), try_number) <= MAX_DELAY


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("asked", "seconds"),
    [
        ("7", 7),
        ("0", 0),
        ("600", 600),
        ("86400", 600),  # bounded
        ("9" * 30, 600),
        ("-5", 30),  # not understood: as if not asked
        ("1.5", 30),
        ("", 30),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 30),
    ],
)
def test_the_source_says_how_long_to_wait_within_bounds(tlc, status, asked, seconds):
    assert decision(answered(tlc, status, Retry_After=asked)).retry_delay == timedelta(seconds=seconds)
