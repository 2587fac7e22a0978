"""Undo: what another file has replaced is kept, put back as it was, kept in turn, and dropped after a while."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dev.services.postgres import EmbeddedPostgres
from dev.tlc.mirror import TlcMirror
from dev.tlc.sample_months import write_month, write_zones
from include.alerts.runbook import UNDO
from include.datasets import GREEN, YELLOW
from include.failures.retry import heals
from include.ingest.load import load_month
from include.ingest.restore import VersionNotKept
from include.ingest.source_checks import loaded_months
from include.ingest.versions import drop_kept_versions, kept_versions
from include.ledger.queries import connect, figures_by_month
from include.month import Month
from include.runs.month_of_run import SOURCE
from include.settings import SettingError
from include.source.reader import FileContentError
from include.warehouse.session import Warehouse
from tests.support.dbt.project import Project
from tests.support.documents import shows
from tests.support.helpers import FEBRUARY, JANUARY, NOWHERE, SCHEMA, as_always, at_row, chosen, fork, raw_content
from tests.support.postgres.warehouse_content import RAW, content, query
from tests.support.postgres.warehouses import warehouse

ROWS = {1: 90, 2: 130, 3: 70}  # of January, by version
MUCH = 1024  # MiB


@pytest.fixture
def source(tlc: TlcMirror) -> TlcMirror:
    """The first version of January, and the zones."""
    write_zones(tlc.folder)
    put_up(tlc, 1)
    return tlc


def put_up(source: TlcMirror, version: int, month: Month = JANUARY) -> None:
    write_month(source.folder, str(month), ROWS[version], version)


def load(source: TlcMirror, dsn: str, version: int | None = None, month: Month = JANUARY) -> str:
    """January, in the version that is up, or in this one: its SHA-256."""
    if version:
        put_up(source, version, month)
    return load_month(GREEN, month, source.address, dsn, SCHEMA, "a load")[0]["sha256"]


def restore(dsn: str, version: str, month: Month = JANUARY) -> list[dict]:
    return load_month(GREEN, month, NOWHERE, dsn, SCHEMA, "a restore", chosen(version))


def release(source: TlcMirror, dsn: str, version: int | None = None) -> str:
    """The same as `load`, by a run that lets what the source has count again."""
    if version:
        put_up(source, version)
    return load_month(GREEN, JANUARY, source.address, dsn, SCHEMA, "a release", chosen(SOURCE))[0]["sha256"]


def kept(dsn: str, month: Month = JANUARY) -> list[str]:
    """What may be put back, the version replaced last first."""
    with Warehouse(dsn, SCHEMA) as session:
        return [each.sha256 for each in kept_versions(session, "raw_trips", month.ds) if not each.is_loaded]


def kept_tables(dsn: str) -> set[str]:
    return {name for (name,) in query(dsn, "select tablename from pg_tables where tablename like '%\\_kept\\_%'")}


def rows_and_file(dsn: str) -> dict:
    return content(dsn, RAW, SCHEMA)


# ---------- kept, and put back


def test_a_replaced_version_is_put_back_row_by_row_and_the_undo_can_be_undone(source, dsn):
    first = load(source, dsn)
    before = rows_and_file(dsn)
    second = load(source, dsn, 2)
    after = rows_and_file(dsn)
    assert kept(dsn) == [first]

    [facts] = restore(dsn, first[:8])
    assert (facts["sha256"], facts["rows"], facts["restated"]) == (first, ROWS[1], True)
    assert rows_and_file(dsn) == before
    assert query(dsn, f"select dag_run from {SCHEMA}.load_log where table_name = 'raw_trips'") == [("a restore",)]
    assert kept(dsn) == [second]

    restore(dsn, second)
    assert rows_and_file(dsn) == after
    assert kept(dsn) == [first]
    assert len(kept_tables(dsn)) == 2, "a version whose rows are kept already is not copied again"


def test_the_published_tables_are_those_from_before_the_restatement(built: Project):
    before = content(built.dsn)
    [(first,)] = query(built.dsn, "select sha256 from airflow_default.load_log where source_month is not null")
    built.load("2024-01", version=2, rows=500)
    built.publish("2024-01")
    restated = content(built.dsn)
    assert restated["fct_months"] != before["fct_months"]
    load_month(GREEN, JANUARY, NOWHERE, built.dsn, built.schema, "a restore", chosen(first))
    built.publish("2024-01")
    assert content(built.dsn) == before
    [(published,)] = query(built.dsn, "select file_sha256 from airflow_default.fct_months")
    assert published == first
    # an ordinary run of the month loads the same
    built.run("2024-01")
    assert content(built.dsn) == before
    load_month(GREEN, JANUARY, built.tlc.address, built.dsn, built.schema, "a release", chosen(SOURCE))
    built.publish("2024-01")
    assert content(built.dsn) == restated


def test_the_same_file_loaded_again_keeps_nothing(source, dsn):
    for _ in range(3):
        load(source, dsn)
    assert kept(dsn) == []
    assert kept_tables(dsn) == set()


def test_a_restore_again_changes_nothing_and_needs_no_kept_version(source, dsn):
    first = load(source, dsn)
    load(source, dsn, 2)
    restore(dsn, first)
    before = raw_content(dsn)
    restore(dsn, first)
    assert raw_content(dsn) == before
    query(dsn, f"delete from {SCHEMA}.kept_versions")
    assert restore(dsn, first) == []
    assert raw_content(dsn) == before


def test_rows_that_were_changed_by_hand_are_put_back_too(source, dsn):
    first = load(source, dsn)
    before = rows_and_file(dsn)
    load(source, dsn, 2)
    restore(dsn, first)
    query(dsn, f"update {SCHEMA}.raw_trips set total_amount = 0")
    restore(dsn, first)
    assert rows_and_file(dsn) == before


def test_a_month_whose_file_was_forgotten_by_hand_is_put_back(source, dsn):
    first = load(source, dsn)
    before = rows_and_file(dsn)
    load(source, dsn, 2)
    query(dsn, f"delete from {SCHEMA}.load_log where table_name = 'raw_trips'")
    restore(dsn, first)
    assert rows_and_file(dsn) == before


def test_the_zones_and_other_months_stay_as_they_are(source, dsn):
    first = load(source, dsn)
    load(source, dsn, 2)
    load(source, dsn, 3, FEBRUARY)
    (source.folder / "taxi_zone_lookup.csv").write_bytes(b"nothing the loader could read")
    before = raw_content(dsn)
    restore(dsn, first)
    after = raw_content(dsn)
    assert after["raw_zones"] == before["raw_zones"]
    february = FEBRUARY.first_day
    for table in ("raw_trips", "load_log"):
        assert [row for row in after[table] if february in row] == [row for row in before[table] if february in row]


def test_a_version_that_another_month_holds_by_now_is_refused_by_both_names(source, dsn):
    first = load(source, dsn)
    load(source, dsn, 2)
    january = source.folder / f"green_tripdata_{JANUARY}.parquet"
    put_up(source, 1)
    january.rename(source.folder / f"green_tripdata_{FEBRUARY}.parquet")
    put_up(source, 2)
    load(source, dsn, month=FEBRUARY)
    before = raw_content(dsn)
    with pytest.raises(FileContentError, match=r"2024-01\.parquet is, byte for byte, the file that 2024-02 was loaded"):
        restore(dsn, first)
    assert raw_content(dsn) == before


# ---------- a warehouse from before


def test_a_warehouse_of_an_earlier_version_shows_its_months_and_is_asked_for_them(built: Project):
    for table in ("source_checks", "kept_versions"):
        query(built.dsn, f"drop table airflow_default.{table}")
    with connect(built.dsn) as connection:
        [figures] = figures_by_month(connection, GREEN, built.schema).values()
    assert figures["rows_in_file"] == 400
    with Warehouse(built.dsn, built.schema) as session:
        _, loaded = loaded_months(session, GREEN)
    assert [str(each.month) for each in loaded] == ["2024-01"]
    with connect(built.dsn) as connection:
        [figures] = figures_by_month(connection, GREEN, built.schema).values()
    assert (figures["rows_in_file"], figures["restated"], figures["kept"]) == (400, None, None)


# ---------- not kept


def test_what_is_not_kept_is_refused_by_month_with_what_is_and_nothing_is_changed(source, dsn):
    first = load(source, dsn)
    load(source, dsn, 2)
    before = raw_content(dsn)
    with pytest.raises(VersionNotKept) as refusal:
        restore(dsn, "0123456789")
    says = str(refusal.value)
    assert "No version 0123456789 of green 2024-01 is kept. Kept of this month: " + first[:12] in says
    assert "Nothing was changed." in says
    assert "loaded by a run of the month with version source" in says
    assert not heals(refusal.value)
    assert raw_content(dsn) == before
    shows(UNDO.heading, "No version … is kept", says)


@pytest.mark.parametrize("month", [JANUARY, FEBRUARY], ids=["loaded once", "never loaded"])
def test_of_a_month_without_another_version_nothing_is_kept(source, dsn, month):
    load(source, dsn)
    before = query(dsn, "select tablename from pg_tables order by 1")
    with pytest.raises(VersionNotKept, match=f"green {month} is kept. Kept of this month: none"):
        restore(dsn, "01234567", month)
    assert query(dsn, "select tablename from pg_tables order by 1") == before


def test_an_empty_warehouse_has_nothing_to_put_back_or_to_drop(dsn):
    with pytest.raises(VersionNotKept):
        restore(dsn, "01234567")
    with Warehouse(dsn, SCHEMA) as session:
        assert drop_kept_versions(session, 0) == {}
    assert query(dsn, "select nspname from pg_namespace where nspname ~ '^airflow'") == []


# ---------- killed on the way

AT_ROWS = pytest.mark.parametrize("row", [1, 60], ids=["first row", "later row"])


@AT_ROWS
def test_a_restore_whose_session_is_ended_changes_nothing_and_heals(source, dsn, row):
    first = load(source, dsn)
    expected = rows_and_file(dsn)
    second = load(source, dsn, 2)
    before = raw_content(dsn)
    at_row(dsn, row, "pg_terminate_backend(pg_backend_pid())")
    with pytest.raises(psycopg.Error) as caught:
        restore(dsn, first)
    assert heals(caught.value)
    assert raw_content(dsn) == before
    assert kept(dsn) == [first]
    as_always(dsn)
    restore(dsn, first)
    assert rows_and_file(dsn) == expected
    assert kept(dsn) == [second]


@AT_ROWS
def test_a_load_whose_session_is_ended_as_it_replaces_a_version_keeps_nothing_and_heals(source, dsn, row):
    first = load(source, dsn)
    before = raw_content(dsn)
    put_up(source, 2)
    at_row(dsn, row, "pg_terminate_backend(pg_backend_pid())")
    with pytest.raises(psycopg.Error):
        load(source, dsn)
    assert raw_content(dsn) == before
    assert (kept(dsn), kept_tables(dsn)) == ([], set())
    as_always(dsn)
    load(source, dsn)
    assert kept(dsn) == [first]


@contextmanager
def held_at_row(dsn: str, row: int) -> Iterator[None]:
    at_row(dsn, row, "pg_advisory_xact_lock_shared(4711)")
    with psycopg.connect(dsn, autocommit=True) as holder:
        holder.execute("select pg_advisory_lock(4711)")
        yield


def test_a_process_killed_while_it_restores_leaves_the_version_that_was_there(source, dsn):
    first = load(source, dsn)
    expected = rows_and_file(dsn)
    load(source, dsn, 2)
    before = raw_content(dsn)
    with held_at_row(dsn, 60):
        process = fork(restore, dsn, first)
        waiting = "select count(*) from pg_locks where locktype = 'advisory' and not granted"
        while query(dsn, waiting) == [(0,)]:
            assert process.is_alive()
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL
    assert raw_content(dsn) == before
    as_always(dsn)
    restore(dsn, first)
    assert rows_and_file(dsn) == expected


# ---------- dropped after a while


def replaced_days_ago(dsn: str, sha256: str, days: int) -> None:
    aged = f"update {SCHEMA}.kept_versions set kept_at = now() - %s * interval '1 day' where sha256 = %s"
    query(dsn, aged, days, sha256)


def drop(dsn: str, mebibytes: int = MUCH, days: int = 90) -> dict[str, int]:
    with Warehouse(dsn, SCHEMA) as session:
        return drop_kept_versions(session, mebibytes, timedelta(days=days))


def test_what_was_replaced_long_ago_is_dropped_and_nothing_else(source, dsn, caplog):
    caplog.set_level("INFO")
    first, second = load(source, dsn), load(source, dsn, 2)
    load(source, dsn, 3)
    replaced_days_ago(dsn, first, 91)
    replaced_days_ago(dsn, second, 89)
    before = raw_content(dsn)
    [size] = drop(dsn).values()
    assert size >= 8192
    assert f"dropped the kept version {first[:12]} of 2024-01, {size / 2**20:,.1f} MiB" in caplog.text
    assert kept(dsn) == [second]
    assert len(kept_tables(dsn)) == 1
    assert raw_content(dsn) == before
    assert drop(dsn) == {}
    with pytest.raises(VersionNotKept):
        restore(dsn, first)
    restore(dsn, second)


def test_beyond_the_most_the_oldest_are_dropped_first_also_by_a_load(source, dsn, monkeypatch):
    shas = [load(source, dsn, version) for version in (1, 2, 3)]
    replaced_days_ago(dsn, shas[0], 1)
    sizes = dict(query(dsn, "select relname, pg_total_relation_size(oid) from pg_class"))
    assert max(sizes[name] for name in kept_tables(dsn)) < 2**20 < 2**20 * MUCH
    assert drop(dsn, mebibytes=1) == {}
    [oldest] = [f"{SCHEMA}_partitions.{name}" for name in kept_tables(dsn) if name.endswith(shas[0][:12])]
    query(dsn, f"alter table {oldest} add column padding text")
    pad = "update {} set padding = (select string_agg(md5(random()::text), '') from generate_series(1, 500))"
    query(dsn, pad.format(oldest))
    monkeypatch.setenv("PIPELINE_KEEP_VERSIONS_MEBIBYTES", "1")
    load(source, dsn)
    assert kept(dsn) == [shas[1]]


def test_none_is_kept_where_none_may_be(source, dsn, monkeypatch):
    monkeypatch.setenv("PIPELINE_KEEP_VERSIONS_MEBIBYTES", "0")
    load(source, dsn)
    load(source, dsn, 2)
    assert (kept(dsn), kept_tables(dsn)) == ([], set())


def test_a_version_that_is_being_read_is_left_for_the_next_time(source, dsn):
    first = load(source, dsn)
    load(source, dsn, 2)
    with psycopg.connect(dsn) as reader:
        reader.execute(f"select 1 from {SCHEMA}_partitions.{min(kept_tables(dsn))} limit 1")
        assert drop(dsn, mebibytes=0) == {}
        assert kept(dsn) == [first]
    assert len(drop(dsn, mebibytes=0)) == 1
    assert (kept(dsn), kept_tables(dsn)) == ([], set())


def test_a_version_that_is_replaced_once_more_meanwhile_is_not_dropped(source, dsn):
    first = load(source, dsn)
    load(source, dsn, 2)
    replaced_days_ago(dsn, first, 91)
    waiting = "select count(*) from pg_locks where locktype = 'transactionid' and not granted"
    with psycopg.connect(dsn) as replacing, ThreadPoolExecutor() as pool:
        replacing.execute(f"update {SCHEMA}.kept_versions set kept_at = now()")
        dropping = pool.submit(drop, dsn)
        while query(dsn, waiting) == [(0,)]:
            assert not dropping.done()
        replacing.commit()
        assert dropping.result() == {}
    assert kept(dsn) == [first]
    restore(dsn, first)


def test_how_long_versions_are_kept_is_the_dataset_s_unless_the_environment_says_so(monkeypatch):
    assert (GREEN.keep_versions(), YELLOW.keep_versions()) == (timedelta(days=90), timedelta(days=30))
    monkeypatch.setenv("PIPELINE_KEEP_VERSIONS_SECONDS", "60")
    assert GREEN.keep_versions() == YELLOW.keep_versions() == timedelta(minutes=1)
    monkeypatch.setenv("PIPELINE_KEEP_VERSIONS_SECONDS", "for ever")
    with pytest.raises(SettingError, match="PIPELINE_KEEP_VERSIONS_SECONDS="):
        GREEN.keep_versions()


# ---------- whatever happens


def test_any_history_leaves_the_version_that_was_asked_for_last(
    postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory
):
    actions = st.sampled_from(["load", "load", "restore", "release"])
    steps = st.lists(st.tuples(actions, st.integers(1, 3)), min_size=3, max_size=9)

    @settings(max_examples=15, suppress_health_check=list(HealthCheck))
    @given(steps)
    def told(history: list[tuple[str, int]]) -> None:
        with (
            TlcMirror(tmp_path_factory.mktemp("history")) as source,
            warehouse(postgres, "warehouse_of_a_history") as dsn,
        ):
            write_zones(source.folder)
            seen: dict[int, tuple[str, dict]] = {}
            now, stays = 0, False
            for action, version in history:
                if action == "load" and stays:
                    put_up(source, version)
                    load_month(GREEN, JANUARY, source.address, dsn, SCHEMA, "a load")
                elif action in ("load", "release"):
                    sha256 = (load if action == "load" else release)(source, dsn, version)
                    now, stays = version, False
                    assert seen.setdefault(version, (sha256, rows_and_file(dsn))) == (sha256, rows_and_file(dsn))
                elif version in seen:
                    restore(dsn, seen[version][0])
                    now, stays = version, True
                else:
                    with pytest.raises(VersionNotKept):
                        restore(dsn, f"{version:08}")
                if now:
                    assert rows_and_file(dsn) == seen[now][1]
                    assert set(kept(dsn)) == {sha256 for number, (sha256, _) in seen.items() if number != now}

    told()
