"""An undo holds: a month that was put back stays put back, whoever runs it, until somebody says otherwise."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import psycopg
import pytest

from dev.tlc.mirror import TlcMirror
from dev.tlc.sample_months import write_month, write_zones
from include.alerts.runbook import UNDO
from include.datasets import GREEN
from include.ingest.load import load_month
from include.ingest.restore import VersionNotKept
from include.ingest.source_checks import loaded_months
from include.ingest.versions import drop_kept_versions
from include.ledger.queries import connect, figures_by_month
from include.month import Month
from include.runs.month_of_run import SOURCE, Choice
from include.source.address import Address
from include.source.reader import FileContentError
from include.warehouse.session import Warehouse
from tests.support.documents import shows
from tests.support.helpers import JANUARY, NOWHERE, SCHEMA, as_always, at_row, chosen, raw_content
from tests.support.postgres.warehouse_content import query

ROWS = {1: 90, 2: 130, 3: 70}  # of January, by version
WAITING = "select count(*) from pg_locks where locktype = 'advisory' and not granted"


def put_up(source: TlcMirror, version: int) -> None:
    write_month(source.folder, str(JANUARY), ROWS[version], version)


def run(dsn: str, url: Address = NOWHERE, asked: Choice | None = None, dag_run: str = "a load") -> str | None:
    """A run of January: the SHA-256 that it has loaded, if it has loaded anything."""
    loaded = load_month(GREEN, JANUARY, url, dsn, SCHEMA, asked.dag_run if asked else dag_run, asked)
    return loaded[0]["sha256"] if loaded else None


@pytest.fixture
def source(tlc: TlcMirror) -> TlcMirror:
    write_zones(tlc.folder)
    put_up(tlc, 1)
    return tlc


@pytest.fixture
def put_back(source: TlcMirror, dsn: str) -> tuple[str, str]:
    """January, put back from the second file to the first: both."""
    first = run(dsn, source.address)
    put_up(source, 2)
    second = run(dsn, source.address)
    assert run(dsn, asked=chosen(str(first)[:8], by="ann")) == first
    return str(first), str(second)


def pinned(dsn: str) -> dict | None:
    """As the ledger has it."""
    query(dsn, f"create table if not exists {SCHEMA}.fct_months (source_month date, published_at timestamptz)")
    with connect(dsn) as connection:
        return figures_by_month(connection, GREEN, SCHEMA)[JANUARY]["pinned"]


def test_an_ordinary_run_uses_the_version_that_was_put_back_and_says_so_without_asking_the_source(
    put_back, source, dsn, caplog
):
    first, second = put_back
    before = raw_content(dsn)
    for url in (NOWHERE, source.address):
        caplog.clear()
        assert run(dsn, url) == first
        assert raw_content(dsn) == before
        assert f"green 2024-01 stays at the version with SHA-256 {first}, which ann put back (dag run a restore of" in (
            caplog.text
        )
        assert "make release DATASET=green MONTH=2024-01" in caplog.text
        shows(UNDO.heading, "stays at the version with SHA-256 …", caplog.text)
    assert (pinned(dsn)["version"], pinned(dsn)["by"], pinned(dsn)["dag_run"]) == (first, "ann", "a restore")

    # a third file is not loaded either; a release loads it, and ordinary runs what the source has next
    put_up(source, 3)
    assert run(dsn, source.address) == first
    third = run(dsn, source.address, chosen(SOURCE, dag_run="a release"))
    assert third not in (first, second)
    assert pinned(dsn) is None
    put_up(source, 2)
    assert run(dsn, source.address) == second


def test_rows_that_were_changed_by_hand_are_written_anew_by_an_ordinary_run_however_old_the_version(put_back, dsn):
    before = raw_content(dsn)
    query(dsn, f"update {SCHEMA}.kept_versions set kept_at = now() - interval '1 year'")
    with Warehouse(dsn, SCHEMA) as session:
        assert len(drop_kept_versions(session, 0, timedelta(days=90))) == 1  # the second file's
    query(dsn, f"update {SCHEMA}.raw_trips set total_amount = 0")
    run(dsn)
    assert raw_content(dsn) == before


def test_the_newer_choice_counts_whichever_run_is_tried_or_cleared_again(put_back, source, dsn, caplog):
    first, second = put_back
    older, release, newer = (
        chosen(first, dag_run="older"),
        chosen(SOURCE, dag_run="release"),
        chosen(second, dag_run="newer"),
    )
    for asked, expected in ((older, first), (release, second), (newer, second)):
        assert run(dsn, source.address, asked) == expected
    put_up(source, 3)
    for asked in (older, release, newer):
        assert run(dsn, source.address, asked) == second
    assert pinned(dsn)["dag_run"] == "newer"
    assert f"this run asked for the version {first}; {second}, which was asked for since (dag run newer), counts" in (
        caplog.text
    )


def test_a_version_that_is_loaded_already_and_kept_nowhere_can_be_chosen_too(source, dsn):
    first = run(dsn, source.address)
    assert run(dsn, asked=chosen(first)) is None
    put_up(source, 2)
    assert run(dsn, source.address) is None
    assert pinned(dsn)["version"] == first
    query(dsn, f"delete from {SCHEMA}.load_log where table_name = 'raw_trips'")
    with pytest.raises(VersionNotKept, match="loaded by a run of the month with version source"):
        run(dsn, source.address)
    assert run(dsn, source.address, chosen(SOURCE)) not in (None, first)


def test_a_release_that_cannot_load_the_source_s_file_changes_nothing(put_back, source, dsn):
    first, _ = put_back
    (source.folder / f"green_tripdata_{JANUARY}.parquet").write_bytes(b"no parquet")
    before, choice = raw_content(dsn), pinned(dsn)
    with pytest.raises(FileContentError):
        run(dsn, source.address, chosen(SOURCE, dag_run="a release"))
    assert (raw_content(dsn), pinned(dsn)) == (before, choice)
    assert run(dsn, source.address) == first


@pytest.mark.parametrize("row", [1, 60], ids=["first row", "later row"])
@pytest.mark.parametrize("version", ["2", SOURCE], ids=["restore", "release"])
def test_a_choice_whose_session_is_ended_is_not_made_and_is_made_by_the_next_try(put_back, source, dsn, row, version):
    _, second = put_back
    asked = chosen(second if version == "2" else SOURCE, dag_run="cut off")
    before, choice = raw_content(dsn), pinned(dsn)
    at_row(dsn, row, "pg_terminate_backend(pg_backend_pid())")
    with pytest.raises(psycopg.Error):
        run(dsn, source.address, asked)
    assert (raw_content(dsn), pinned(dsn)) == (before, choice)
    as_always(dsn)
    assert run(dsn, source.address, asked) == second
    assert run(dsn, source.address) == second
    assert (pinned(dsn) or {"version": SOURCE})["version"] == asked.version


@pytest.mark.parametrize("version", ["first", SOURCE], ids=["put back meanwhile", "released meanwhile"])
def test_a_run_that_meets_another_choice_when_it_has_the_month_follows_it(put_back, source, dsn, caplog, version):
    """The run has read what counts, and waits for the month's lock, which the choice is made under."""
    first, second = put_back
    if version == "first":
        run(dsn, source.address, chosen(SOURCE, dag_run="a release"))
    asked, expected = (chosen(first), first) if version == "first" else (chosen(SOURCE), second)
    lock = "select pg_advisory_xact_lock(hashtextextended($1, 0))"
    with psycopg.connect(dsn, cursor_factory=psycopg.RawCursor) as holder, ThreadPoolExecutor() as pool:
        holder.execute(lock, [f"{SCHEMA}/raw_trips/{JANUARY.ds}"])
        waits = pool.submit(run, dsn, source.address)
        while query(dsn, WAITING) == [(0,)]:
            assert not waits.done()
        holder.execute(
            f"update {SCHEMA}.chosen_versions set version = $1, asked_at = $2, dag_run = $3",
            [asked.version, asked.asked_at, asked.dag_run],
        )
        holder.commit()
        assert waits.result() == expected
    assert "It is loaded anew" in caplog.text
    assert query(dsn, f"select sha256 from {SCHEMA}.load_log where table_name = 'raw_trips'") == [(expected,)]


def test_a_month_that_an_earlier_revision_has_put_back_stays_put_back(put_back, source, dsn):
    """February was never put back. March was, and its source's file was loaded again since: both are kept."""
    first, second = put_back
    for month in ("2024-02", "2024-03"):
        for version in (1, 2):
            write_month(source.folder, month, ROWS[version], version + 3)
            load_month(GREEN, Month.parse(month), source.address, dsn, SCHEMA, "a load")
    kept = f"select sha256 from {SCHEMA}.kept_versions where source_month = '2024-03-01'"
    [(earlier,)] = query(dsn, kept)
    for choice in (chosen(earlier), chosen(SOURCE)):
        load_month(GREEN, Month.parse("2024-03"), source.address, dsn, SCHEMA, choice.dag_run, choice)
    assert len(query(dsn, kept)) == 2
    query(dsn, f"drop table {SCHEMA}.chosen_versions")
    query(dsn, f"alter table {SCHEMA}.source_checks add column settled text")
    query(dsn, f"update {SCHEMA}.source_checks set settled = etag")
    assert figures_by_month_of(dsn) == {"2024-01": "restated", "2024-02": None, "2024-03": None}
    assert run(dsn, source.address) == first
    found = pinned(dsn)
    assert (found["version"], found["by"], found["dag_run"]) == (first, None, "a restore")
    assert query(dsn, f"select to_char(source_month, 'YYYY-MM') from {SCHEMA}.chosen_versions") == [("2024-01",)]
    with Warehouse(dsn, SCHEMA) as session:
        assert len(loaded_months(session, GREEN)[1]) == 3
    assert run(dsn, source.address, chosen(SOURCE)) == second


def figures_by_month_of(dsn: str) -> dict[str, str | None]:
    """What the ledger shows before anything has made the tables of today."""
    query(dsn, f"create table if not exists {SCHEMA}.fct_months (source_month date, published_at timestamptz)")
    with connect(dsn) as connection:
        found = figures_by_month(connection, GREEN, SCHEMA)
    assert all(figures["pinned"] is None for figures in found.values())
    return {str(month): "restated" if figures["restated"] else None for month, figures in found.items()}
