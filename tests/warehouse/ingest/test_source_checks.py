"""Restatements are noticed: by the source's ETag, else by the length; each is told, and loaded again, once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest

from dev.tlc.mirror import TlcMirror
from dev.tlc.sample_months import write_month, write_zones
from include.alerts.runbook import ASKED, RESTATED
from include.datasets import GREEN
from include.ingest import restatements
from include.ingest.load import load_month
from include.ingest.restatements import FindRestated, find_restated
from include.ingest.source_checks import loaded_months
from include.ledger.queries import connect, figures_by_month
from include.month import Month
from include.runs.month_of_run import SOURCE
from include.source.address import Address
from include.source.etag_trigger import SourceNotAsked
from include.warehouse.session import Warehouse
from tests.support.documents import shows
from tests.support.helpers import FEBRUARY, JANUARY, NOWHERE, chosen, trips_path
from tests.support.postgres.warehouse_content import query

SCHEMA = "airflow_default"
Answers = dict[Month, tuple[str | None, int | None]]


@pytest.fixture
def airflow(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a task has: the connection; and a way to tell someone, which leads nowhere, so that it is kept."""
    monkeypatch.setenv("AIRFLOW_CONN_AZURE_PG", dsn)
    monkeypatch.setenv("PIPELINE_NOTIFY", "leads_nowhere")


@pytest.fixture
def source(tlc: TlcMirror, dsn: str, airflow: None, published: None) -> TlcMirror:
    """January and February, loaded."""
    write_zones(tlc.folder)
    for month in (JANUARY, FEBRUARY):
        write_month(tlc.folder, str(month), 90)
        load(tlc, dsn, month)
    return tlc


def load(source: TlcMirror, dsn: str, month: Month = JANUARY) -> dict:
    return load_month(GREEN, month, source.address, dsn, SCHEMA, "a load")[0]


def as_loaded(dsn: str) -> Answers:
    rows = query(dsn, f"select source_month, etag, bytes from {SCHEMA}.load_log where source_month is not null")
    return {Month(month): (etag, length) for month, etag, length in rows}


@contextmanager
def withheld(source: TlcMirror) -> Iterator[None]:
    """The source gives no file: what it answered alone counts."""
    source.faults |= {trips_path(month): lambda request: request.answer(503, b"") for month in (JANUARY, FEBRUARY)}
    yield
    source.faults.clear()


def check(source: TlcMirror, dsn: str, answers: Answers, url: str | None = None) -> list[dict]:
    """What the daily check does with these answers, where no file can be downloaded; the runs it wants made."""
    with withheld(source):
        return check_with_files(source, dsn, answers, url)


def check_with_files(source: TlcMirror, dsn: str, answers: Answers, url: str | None = None) -> list[dict]:
    with Warehouse(dsn, SCHEMA) as session:
        asked_at, _ = loaded_months(session, GREEN)
    address = Address.parse(url) if url else source.address
    return find_restated(GREEN, Warehouse(dsn, SCHEMA), address, answers, asked_at)


def restated(dsn: str) -> dict[str, dict]:
    """As the ledger has it."""
    with connect(dsn) as connection:
        found = figures_by_month(connection, GREEN, SCHEMA)
    return {str(month): figures["restated"] for month, figures in found.items() if figures["restated"]}


@pytest.fixture
def published(dsn: str) -> None:
    """A table of published months, which the ledger reads."""
    query(dsn, f"create schema {SCHEMA}")
    query(dsn, f"create table {SCHEMA}.fct_months (source_month date, published_at timestamptz)")


def told(dsn: str) -> list[tuple[str, str]]:
    return query(dsn, f"select to_char(source_month, 'YYYY-MM'), cause from {SCHEMA}.notification_log order by 1, 2")


def test_another_etag_is_marked_in_the_ledger_with_what_changed_and_told_once(source, dsn, caplog):
    answers = as_loaded(dsn)
    assert check(source, dsn, answers) == []
    assert restated(dsn) == {}
    etag, length = answers[JANUARY]
    answers[JANUARY] = ('"new"', length + 1)
    for _ in range(2):
        assert check(source, dsn, answers) == []
    [(month, found)] = restated(dsn).items()
    assert month == "2024-01"
    assert (found["etag"], found["bytes"], found["etag_loaded"], found["bytes_loaded"]) == (
        *('"new"', length + 1),
        *(etag, length),
    )
    assert told(dsn) == [("2024-01", "its file was restated")]
    assert "green 2024-01 is restated since" in caplog.text
    shows(RESTATED.heading, "… is restated since …", caplog.text)


def test_a_load_of_the_new_file_ends_it_and_the_same_bytes_under_a_new_etag_too(source, dsn):
    answers = as_loaded(dsn)
    write_month(source.folder, str(JANUARY), 100, version=2)
    check(source, dsn, answers | {JANUARY: ('"as the host has it"', 1)})
    assert list(restated(dsn)) == ["2024-01"]
    load(source, dsn)
    assert restated(dsn) == {}
    check(source, dsn, as_loaded(dsn))
    assert restated(dsn) == {}


def test_an_answer_from_before_a_load_does_not_count_after_it(source, dsn):
    with Warehouse(dsn, SCHEMA) as session:
        asked_at, _ = loaded_months(session, GREEN)
    before = as_loaded(dsn)
    write_month(source.folder, str(JANUARY), 100, version=2)
    load(source, dsn)
    find_restated(GREEN, Warehouse(dsn, SCHEMA), source.address, before, asked_at - timedelta(seconds=1))
    assert restated(dsn) == {}


@pytest.mark.parametrize(
    ("answer", "is_restated"),
    [((None, 0), True), ((None, None), False), ((None, "as loaded"), False)],
    ids=["another length", "nothing", "the same length"],
)
def test_a_server_without_etag_is_compared_by_length_alone_which_is_said(source, dsn, caplog, answer, is_restated):
    caplog.set_level("INFO")
    etag, length = answer
    length = as_loaded(dsn)[JANUARY][1] if length == "as loaded" else length
    check(source, dsn, as_loaded(dsn) | {JANUARY: (etag, length)})
    assert list(restated(dsn)) == ["2024-01"] * is_restated
    assert "compared by length alone, as the server gives no ETag" in caplog.text


def test_an_etag_of_another_host_says_nothing(source, dsn):
    answers = {month: ('"by another rule"', length) for month, (_, length) in as_loaded(dsn).items()}
    check(source, dsn, answers, url="https://mirror.example")
    assert restated(dsn) == {}
    check(source, dsn, answers | {JANUARY: ('"by another rule"', 1)}, url="https://mirror.example")
    assert list(restated(dsn)) == ["2024-01"]


KINDS_OF_DOUBT = pytest.mark.parametrize("longer", [0, 7], ids=["another ETag", "another length"])


@KINDS_OF_DOUBT
def test_what_a_server_says_of_files_that_stay_the_same_is_not_a_restatement(source, dsn, caplog, longer):
    nodes = {month: (f'"node {month}"', length + longer) for month, (_, length) in as_loaded(dsn).items()}
    for _ in range(2):
        assert check_with_files(source, dsn, nodes) == []
        assert restated(dsn) == {}
    assert "for files that stay the same, byte for byte: 2 of 2 were downloaded" in caplog.text


@KINDS_OF_DOUBT
def test_a_file_with_other_bytes_is_a_restatement_among_such_as_stay(source, dsn, longer):
    nodes = {month: (f'"node {month}"', length + longer) for month, (_, length) in as_loaded(dsn).items()}
    write_month(source.folder, str(JANUARY), 90, version=2)
    nodes[JANUARY] = ('"another"', as_loaded(dsn)[JANUARY][1] + longer)
    source.requests.clear()
    for _ in range(2):
        check_with_files(source, dsn, nodes)
        assert list(restated(dsn)) == ["2024-01"]
    # what is known to be restated is not downloaded again
    assert [each for each in source.requests if each == f"GET {trips_path(JANUARY)}"] == [f"GET {trips_path(JANUARY)}"]


@pytest.mark.parametrize("dress", ["W/{}", "W/{} "])
def test_a_weak_etag_is_that_of_the_load(source, dsn, dress):
    source.requests.clear()
    check_with_files(source, dsn, {month: (dress.format(etag), size) for month, (etag, size) in as_loaded(dsn).items()})
    assert restated(dsn) == {}
    assert source.requests == []


def test_of_many_files_two_are_downloaded_each_day_others(source, dsn, monkeypatch):
    monkeypatch.setattr(restatements, "SAMPLE", 1)
    nodes = {month: (f'"node {month}"', length) for month, (_, length) in as_loaded(dsn).items()}
    source.requests.clear()
    with Warehouse(dsn, SCHEMA) as session:
        asked_at, _ = loaded_months(session, GREEN)
    for days in (0, 1):
        find_restated(GREEN, Warehouse(dsn, SCHEMA), source.address, nodes, asked_at + timedelta(days=days))
        assert restated(dsn) == {}
    assert sorted(source.requests) == [f"GET {trips_path(JANUARY)}", f"GET {trips_path(FEBRUARY)}"]


def test_where_the_setting_says_so_each_new_file_is_to_be_loaded_once(source, dsn, monkeypatch):
    answers = as_loaded(dsn) | {JANUARY: ('"second"', 1)}
    assert check(source, dsn, answers) == []
    monkeypatch.setenv("PIPELINE_RELOAD_RESTATED", "true")
    [run] = check(source, dsn, answers)
    assert run["month"] == "2024-01"
    # by the run's id, of which Airflow makes no second: also where the process was killed before it could say so
    assert check(source, dsn, answers) == [run]
    [another] = check(source, dsn, answers | {JANUARY: ('"third"', 1)})
    assert another["run_id"] != run["run_id"]


def test_a_month_that_was_put_back_is_restated_at_once_and_a_third_file_is_told_and_not_loaded(
    source, dsn, monkeypatch
):
    monkeypatch.setenv("PIPELINE_RELOAD_RESTATED", "true")
    [first] = query(dsn, f"select sha256 from {SCHEMA}.load_log where source_month = %s", JANUARY.first_day)
    write_month(source.folder, str(JANUARY), 100, version=2)
    load(source, dsn)
    load_month(GREEN, JANUARY, NOWHERE, dsn, SCHEMA, "a restore", chosen(first[0]))
    assert list(restated(dsn)) == ["2024-01"]
    [(etag, length)] = query(
        dsn, f"select etag, bytes from {SCHEMA}.source_checks where source_month = %s", JANUARY.first_day
    )
    up = as_loaded(dsn) | {JANUARY: (etag, length)}
    assert check(source, dsn, up) == []
    assert list(restated(dsn)) == ["2024-01"]
    assert query(dsn, f"select to_regclass('{SCHEMA}.notification_log')") == [(None,)], (
        "nobody is told of what was done"
    )
    assert check(source, dsn, up | {JANUARY: ('"third"', 1)}) == []
    assert told(dsn) == [("2024-01", "its file was restated")]
    [(text,)] = query(dsn, f"select text from {SCHEMA}.notification_log")
    assert 'The source has another file for green 2024-01: 1 byte, ETag "third"' in text
    assert "It is not loaded: the month stays at the version that was put back." in text
    assert "make release DATASET=green MONTH=2024-01" in text

    # whoever chooses once more has seen the third file
    query(dsn, f"update {SCHEMA}.notification_log set healed_at = now()")
    load_month(GREEN, JANUARY, NOWHERE, dsn, SCHEMA, "another restore", chosen(first[0]))
    assert check(source, dsn, up | {JANUARY: ('"third"', 1)}) == []
    assert len(told(dsn)) == 1

    # let the source count again: its next file is told, and loaded
    load_month(GREEN, JANUARY, source.address, dsn, SCHEMA, "a release", chosen(SOURCE))
    assert restated(dsn) == {}
    [run] = check(source, dsn, as_loaded(dsn) | {JANUARY: ('"fourth"', 1)})
    assert run["month"] == "2024-01"
    assert len(told(dsn)) == 2


def test_months_without_an_answer_are_named_after_the_others_were_written_down(source, dsn, monkeypatch):
    monkeypatch.setenv("AIRFLOW_VAR_TLC_BASE_URL", source.url)
    task = FindRestated(task_id="find", dataset=GREEN)
    with Warehouse(dsn, SCHEMA) as session:
        asked_at, _ = loaded_months(session, GREEN)
    event = {"answers": {"2024-01": ['"new"', 1]}, "refused": {}, "silent": {"2024-02": "HTTP 429"}}
    with withheld(source), pytest.raises(SourceNotAsked) as failure:
        task.write_down({}, event, asked_at.isoformat())
    says = str(failure.value)
    assert "1 of 2 loaded months of green were not answered (2024-02: HTTP 429)" in says
    assert list(restated(dsn)) == ["2024-01"]
    shows(ASKED.heading, "… loaded months of green were not answered (…)", says)


def test_a_month_that_only_one_is_refused_of_is_told_as_withdrawn(source, dsn, monkeypatch):
    monkeypatch.setenv("AIRFLOW_VAR_TLC_BASE_URL", source.url)
    event = {"answers": {}, "refused": {"2024-02": "HTTP 403"}, "silent": {}}
    with Warehouse(dsn, SCHEMA) as session:
        asked_at, _ = loaded_months(session, GREEN)
    task = FindRestated(task_id="find", dataset=GREEN)
    assert task.write_down({}, event, asked_at.isoformat()) == []
    assert told(dsn) == [("2024-02", "its file was withdrawn")]


@pytest.mark.usefixtures("airflow")
def test_a_fault_of_the_triggerer_is_told_with_the_setting(dsn):
    task = FindRestated(task_id="find", dataset=GREEN)
    fault = {"fault": "the triggerer has another tlc_base_url (or AIRFLOW_VAR_TLC_BASE_URL) than the worker"}
    with pytest.raises(SourceNotAsked, match="green was not asked for: the triggerer has another tlc_base_url"):
        task.write_down({}, fault, "2024-01-01T00:00:00+00:00")


@pytest.mark.usefixtures("airflow")
def test_an_empty_warehouse_has_nothing_to_ask_for(dsn):
    assert FindRestated(task_id="find", dataset=GREEN).execute({}) == []
