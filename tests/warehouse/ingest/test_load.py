"""The load: a month's rows replaced as a whole or not at all, whatever happens and whoever else loads or reads."""

from __future__ import annotations

import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote, urlsplit

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import requests
from psycopg import sql

from dev.system.ports import LOOPBACK
from dev.tlc.mirror import TlcMirror
from dev.tlc.sample_months import write_month, write_zones
from include.datasets import GREEN
from include.failures.retry import heals
from include.ingest.load import load_month
from include.month import Month
from include.settings import ROOT
from include.source.download import FileChanged, FileUnavailable
from include.source.reader import BATCH_ROWS, FileContentError
from include.warehouse.session import Warehouse
from tests.support.helpers import (
    FEBRUARY,
    JANUARY,
    SCHEMA,
    ZONES,
    as_always,
    at_row,
    cut,
    raw_content,
    rewrite,
    trips_path,
)
from tests.support.postgres.warehouse_content import RAW, content, query
from tests.support.until import until

ROWS = {JANUARY: 90, FEBRUARY: 60}
MANY_ROWS = 2 * BATCH_ROWS + 1_000  # three batches


@pytest.fixture
def dsn(dsn) -> str:
    """A warehouse in which whoever waits too long for a lock fails, so that no test hangs."""
    return f"{dsn}?options={quote('-c lock_timeout=30s')}"


@pytest.fixture
def source(tlc) -> TlcMirror:
    """Two months and the zones."""
    for month, rows in ROWS.items():
        write_month(tlc.folder, str(month), rows)
    write_zones(tlc.folder)
    return tlc


@pytest.fixture(scope="module")
def large_month(tmp_path_factory) -> Path:
    return write_month(tmp_path_factory.mktemp("large"), str(JANUARY), MANY_ROWS)


def load(month: Month, source: TlcMirror, dsn: str, schema: str = SCHEMA, dag_run: str = "scheduled__1") -> list[dict]:
    return load_month(GREEN, month, source.address, dsn, schema, dag_run)


def file_of(month: Month, source: TlcMirror) -> Path:
    return source.folder / f"green_tripdata_{month}.parquet"


def file_ids(dsn: str) -> dict[tuple, int]:
    return {
        (table, str(month)[:7]): file_id
        for table, month, file_id in query(dsn, f"select table_name, source_month, file_id from {SCHEMA}.load_log")
    }


# ---------- other columns than were declared before


@pytest.mark.parametrize(
    ("before", "says"),
    [
        (
            "alter column passenger_count type bigint",
            "has bigint there. Correct the declaration, or",
        ),
        ("drop column passenger_count", "lacks it. Correct the declaration, or"),
    ],
)
def test_a_raw_table_of_other_columns_is_named_with_the_file_the_types_and_what_to_do(source, dsn, before, says):
    load(JANUARY, source, dsn)
    query(dsn, f"alter table {SCHEMA}.raw_trips {before}")
    with pytest.raises(FileContentError) as caught:
        load(FEBRUARY, source, dsn)
    said = str(caught.value)
    assert "green_tripdata_2024-02.parquet: column passenger_count is declared as integer" in said
    assert says in said
    change = re.search(r"alter table .*?(?=\. Then)", said)
    query(dsn, change[0])
    assert load(FEBRUARY, source, dsn)[0]["rows"] == ROWS[FEBRUARY]


# ---------- another month's file


def test_a_file_of_another_loaded_month_is_refused_by_both_names(source, dsn):
    load(JANUARY, source, dsn)
    before = raw_content(dsn)
    shutil.copy(file_of(JANUARY, source), file_of(FEBRUARY, source))
    with pytest.raises(FileContentError) as caught:
        load(FEBRUARY, source, dsn)
    says = str(caught.value)
    assert "green_tripdata_2024-02.parquet is, byte for byte, the file that 2024-01 was loaded from" in says
    assert "load 2024-01 again first" in says
    assert not heals(caught.value)
    assert raw_content(dsn) == before
    # the way out where January is the one that was wrong: its own file, loaded first
    write_month(source.folder, str(JANUARY), ROWS[JANUARY], version=2)
    load(JANUARY, source, dsn)
    load(FEBRUARY, source, dsn)
    assert len({row[5] for row in raw_content(dsn)["load_log"]}) == 3


def test_two_months_whose_files_were_swapped_are_loaded_again_in_either_order(source, dsn):
    own = {month: file_of(month, source).read_bytes() for month in (JANUARY, FEBRUARY)}

    def put_up(january: Month, february: Month) -> None:
        file_of(JANUARY, source).write_bytes(own[january])
        file_of(FEBRUARY, source).write_bytes(own[february])

    for order in ((JANUARY, FEBRUARY), (FEBRUARY, JANUARY)):
        for months in ((FEBRUARY, JANUARY), (JANUARY, FEBRUARY)):
            put_up(*months)
            for month in order:
                load(month, source, dsn)
        found = query(dsn, f"select rows from {SCHEMA}.load_log where table_name = 'raw_trips' order by source_month")
        assert found == [(ROWS[JANUARY],), (ROWS[FEBRUARY],)]


def test_of_two_months_with_the_same_bytes_loaded_at_once_one_is_refused(source, dsn):
    shutil.copy(file_of(JANUARY, source), file_of(FEBRUARY, source))
    refused = 0
    with ThreadPoolExecutor() as pool:
        for loading in [pool.submit(load, month, source, dsn) for month in (JANUARY, FEBRUARY)]:
            try:
                loading.result()
            except FileContentError:
                refused += 1
    assert refused == 1
    assert query(dsn, f"select count(distinct source_month) from {SCHEMA}.raw_trips") == [(1,)]


# ---------- one load


def test_the_first_load_makes_the_tables_and_fills_them(source, dsn):
    load(JANUARY, source, dsn)
    assert {table: len(rows) for table, rows in raw_content(dsn).items()} == {
        "raw_trips": 90,
        "raw_zones": 265,
        "load_log": 2,
    }


def test_the_rows_are_the_files_rows_in_the_files_order(source, dsn):
    load(JANUARY, source, dsn)
    given = pq.read_table(file_of(JANUARY, source))
    given = given.rename_columns([name.lower() for name in given.column_names])
    names = ", ".join(given.column_names)
    rows = query(dsn, f"select source_row, {names} from {SCHEMA}.raw_trips order by source_row")
    assert rows == [(number, *row.values()) for number, row in enumerate(given.to_pylist(), start=1)]


def test_rows_with_a_pickup_in_another_month_belong_to_the_file(source, dsn):
    load(JANUARY, source, dsn)
    [(months, strays)] = query(
        dsn,
        "select count(distinct source_month), count(*) filter (where date_trunc('month', lpep_pickup_datetime)"
        f" <> source_month) from {SCHEMA}.raw_trips",
    )
    assert months == 1
    assert strays >= 3  # before, after, clock error: the generator plants them


def test_load_log_says_where_each_row_came_from(source, dsn):
    [trips, zones] = load(JANUARY, source, dsn, dag_run="manual__7")
    logged = query(
        dsn,
        "select table_name, source_month::text, url, etag, sha256, bytes, rows, unknown_columns, dag_run,"
        f" loaded_at is not null from {SCHEMA}.load_log order by 1",
    )
    assert logged == [
        (
            each["table"],
            month,
            *(each[name] for name in ("url", "etag", "sha256", "bytes", "rows")),
            [],
            "manual__7",
            True,
        )
        for each, month in ((trips, "2024-01-01"), (zones, None))
    ]
    assert trips["url"] == source.url + trips_path(JANUARY)
    assert zones["url"] == source.url + ZONES
    assert (trips["rows"], zones["rows"]) == (90, 265)
    assert trips["bytes"] == file_of(JANUARY, source).stat().st_size


def test_a_file_of_several_batches_is_loaded_whole(source, dsn, large_month):
    shutil.copy(large_month, source.folder)
    load(JANUARY, source, dsn)
    [counts] = query(
        dsn, f"select count(*), count(distinct source_row), min(source_row), max(source_row) from {SCHEMA}.raw_trips"
    )
    assert counts == (MANY_ROWS, MANY_ROWS, 1, MANY_ROWS)


def test_the_loader_needs_no_superuser(source, dsn):
    load(JANUARY, source, dsn)
    assert query(dsn, "select rolsuper, rolcreaterole, rolcreatedb from pg_roles where rolname = current_user") == [
        (False, False, False)
    ]
    assert query(dsn, f"select distinct tableowner from pg_tables where schemaname = '{SCHEMA}'") == [("pipeline",)]


def test_schemas_do_not_see_each_other(source, dsn):
    load(JANUARY, source, dsn, schema="airflow_ann")
    before = raw_content(dsn, "airflow_ann")
    load(FEBRUARY, source, dsn, schema="airflow_bob")
    assert raw_content(dsn, "airflow_ann") == before
    assert {row[0] for row in query(dsn, "select distinct source_month::text from airflow_bob.raw_trips")} == {
        "2024-02-01"
    }


# ---------- again, in any order


@pytest.mark.parametrize(
    "again",
    [[JANUARY], [JANUARY, JANUARY], [JANUARY, FEBRUARY], [FEBRUARY, JANUARY]],
    ids=lambda months: " ".join(map(str, months)),
)
def test_a_file_loaded_again_leaves_one_copy(source, dsn, again):
    load(JANUARY, source, dsn)
    load(FEBRUARY, source, dsn)
    before = raw_content(dsn)
    for month in again:
        load(month, source, dsn, dag_run="again")
    assert raw_content(dsn) == before


WHEN_WRITTEN = f"select xmin::text, ctid::text from {SCHEMA}.raw_trips order by source_row"


def test_rows_that_a_file_left_here_are_left_alone_from_its_third_load_on(source, dsn):
    for _ in range(2):
        load(JANUARY, source, dsn)
    written = query(dsn, WHEN_WRITTEN)
    [trips, zones] = load(JANUARY, source, dsn, dag_run="scheduled__2")
    assert query(dsn, WHEN_WRITTEN) == written
    assert (trips["rows"], zones["rows"]) == (len(written), 265)
    assert query(dsn, f"select distinct dag_run from {SCHEMA}.load_log") == [("scheduled__2",)]


@pytest.mark.parametrize(
    "damage",
    [
        "delete from {}.raw_trips where source_row = 7",
        "update {}.raw_trips set total_amount = total_amount + 0.01 where source_row = 7",
        "insert into {}.raw_trips select * from {}.raw_trips where source_row = 7",
        "update {}.raw_zones set borough = 'Jersey' where locationid = 7",
    ],
)
def test_rows_that_were_changed_by_hand_are_loaded_anew_however_often_the_file_came(source, dsn, damage: str):
    load(JANUARY, source, dsn)
    before = raw_content(dsn)
    for _ in range(2):
        load(JANUARY, source, dsn)
        query(dsn, damage.replace("{}", SCHEMA))
    load(JANUARY, source, dsn)
    assert raw_content(dsn) == before


def test_the_order_of_months_does_not_matter(source, dsn):
    for schema, months in {"airflow_a": [JANUARY, FEBRUARY], "airflow_b": [FEBRUARY, JANUARY]}.items():
        for month in months:
            load(month, source, dsn, schema)
    assert content(dsn, RAW, "airflow_a") == content(dsn, RAW, "airflow_b")


def test_load_log_names_the_last_load(source, dsn):
    for dag_run in ("first", "second"):
        load(JANUARY, source, dsn, dag_run=dag_run)
    assert query(dsn, f"select distinct dag_run from {SCHEMA}.load_log") == [("second",)]


@pytest.mark.parametrize("rows", [ROWS[JANUARY], 55, 120], ids=["as many", "fewer", "more"])
def test_a_restated_file_replaces_the_months_rows(source, dsn, rows):
    load(FEBRUARY, source, dsn)
    load(JANUARY, source, dsn)
    write_month(source.folder, str(JANUARY), rows, version=2)
    [trips, zones] = load(JANUARY, source, dsn)
    load(FEBRUARY, source, dsn, "airflow_clean")
    load(JANUARY, source, dsn, "airflow_clean")
    assert content(dsn, RAW, SCHEMA) == content(dsn, RAW, "airflow_clean")
    assert (trips["rows"], trips["restated"], zones["restated"]) == (rows, True, False)


def test_only_a_restated_file_gets_a_new_and_higher_file_id(source, dsn):
    load(JANUARY, source, dsn)
    load(FEBRUARY, source, dsn)
    before = file_ids(dsn)
    write_month(source.folder, str(JANUARY), ROWS[JANUARY], version=2)
    load(JANUARY, source, dsn)
    load(FEBRUARY, source, dsn)
    after = file_ids(dsn)
    assert {file for file in before if after[file] != before[file]} == {("raw_trips", "2024-01")}
    assert after["raw_trips", "2024-01"] > max(before.values())


def test_a_restatement_taken_back_is_a_new_version_too(source, dsn):
    seen = []
    for version in (1, 2, 1):
        write_month(source.folder, str(JANUARY), ROWS[JANUARY], version)
        load(JANUARY, source, dsn)
        seen.append(file_ids(dsn)["raw_trips", "2024-01"])
    assert seen == sorted(set(seen))


def test_the_same_bytes_are_not_restated(source, dsn):
    load(JANUARY, source, dsn)
    assert [each["restated"] for each in load(JANUARY, source, dsn)] == [False, False]


def test_zones_are_replaced_as_a_whole(source, dsn):
    load(JANUARY, source, dsn)
    zones = source.folder / "taxi_zone_lookup.csv"
    zones.write_text("".join(zones.read_text().splitlines(keepends=True)[:4]).replace("EWR Zone", "Newark"))
    [_, loaded] = load(FEBRUARY, source, dsn)
    assert (loaded["rows"], loaded["restated"]) == (3, True)
    assert [row[0] for row in raw_content(dsn)["raw_zones"]] == [1, 2, 3]


# ---------- columns this project does not know


def test_an_unknown_column_is_kept_logged_and_reported(source, dsn):
    rewrite(file_of(JANUARY, source), Request_Source=pa.array(["app"] * 89 + [None]))
    [trips, _] = load(JANUARY, source, dsn)
    assert trips["unknown_columns"] == ["request_source"]
    assert query(dsn, f"select unknown_columns from {SCHEMA}.load_log where table_name = 'raw_trips'") == [
        (["request_source"],)
    ]
    kept = query(
        dsn, f"select extra_columns->>'request_source', count(*) from {SCHEMA}.raw_trips group by 1 order by 1"
    )
    assert kept == [("app", 89), (None, 1)]


def test_an_unknown_column_that_goes_away_is_no_longer_logged(source, dsn):
    rewrite(file_of(JANUARY, source), new=pa.array([1] * 90))
    load(JANUARY, source, dsn)
    rewrite(file_of(JANUARY, source), new=None)
    load(JANUARY, source, dsn)
    assert query(dsn, f"select distinct unknown_columns from {SCHEMA}.load_log") == [([],)]
    assert query(dsn, f"select count(extra_columns) from {SCHEMA}.raw_trips") == [(0,)]


# ---------- what a bad source leaves behind


def answer(path: str, status: int, body: bytes = b"") -> Callable[[TlcMirror], None]:
    def spoil(source: TlcMirror) -> None:
        source.faults[path] = lambda request: request.answer(status, body)

    return spoil


def changed(name: str, change: Callable[[bytes], bytes]) -> Callable[[TlcMirror], None]:
    def spoil(source: TlcMirror) -> None:
        file = source.folder / name
        file.write_bytes(change(file.read_bytes()))

    return spoil


def january(**columns: pa.Array | None) -> Callable[[TlcMirror], None]:
    return lambda source: rewrite(file_of(JANUARY, source), **columns)


def no_rows(source: TlcMirror) -> None:
    file = file_of(JANUARY, source)
    pq.write_table(pq.read_table(file).slice(0, 0), file)


def bad_last_row(source: TlcMirror) -> None:
    """A value that cannot be cast in the third batch: two have been sent when it is met."""
    file = write_month(source.folder, str(JANUARY), MANY_ROWS)
    rewrite(file, VendorID=pa.array([2.0] * (MANY_ROWS - 1) + [2.5]))


def cut_transfer(source: TlcMirror) -> None:
    source.faults[trips_path(JANUARY)] = cut


TRIPS_FILE, ZONES_FILE = "green_tripdata_2024-01.parquet", "taxi_zone_lookup.csv"
BAD_SOURCES = {
    "403": (answer(trips_path(JANUARY), 403), FileUnavailable),
    "404": (answer(trips_path(JANUARY), 404), FileUnavailable),
    "503": (answer(trips_path(JANUARY), 503), requests.HTTPError),
    "transfer cut short": (cut_transfer, requests.RequestException),
    "web page": (answer(trips_path(JANUARY), 200, b"<html>Sign in</html>"), FileContentError),
    "truncated": (changed(TRIPS_FILE, lambda data: data[: len(data) // 2]), FileContentError),
    "damaged in the middle": (changed(TRIPS_FILE, lambda data: data[:4] + bytes(200) + data[204:]), Exception),
    "no rows": (no_rows, FileContentError),
    "missing column": (january(total_amount=None), FileContentError),
    "uncastable type": (january(VendorID=pa.array([[1]] * 90)), FileContentError),
    "uncastable value": (january(VendorID=pa.array([1.5] * 90)), FileContentError),
    "uncastable value in the last batch": (bad_last_row, FileContentError),
    "text Postgres cannot hold": (january(store_and_fwd_flag=pa.array(["\0"] * 90)), FileContentError),
    "time Postgres cannot hold": (
        january(lpep_pickup_datetime=pa.array([-(10**18)] * 90).cast(pa.timestamp("us"))),
        FileContentError,
    ),
    "zones 403": (answer(ZONES, 403), FileUnavailable),
    "zones a web page": (answer(ZONES, 200, b"<html>\n<p>Sign in, please</p>"), FileContentError),
    "zones without a column": (changed(ZONES_FILE, lambda data: data.replace(b"Borough", b"Town")), FileContentError),
    "zones with a bad value": (changed(ZONES_FILE, lambda data: data.replace(b"\n7,", b"\nseven,")), FileContentError),
}


@pytest.mark.parametrize(("spoil", "error"), BAD_SOURCES.values(), ids=BAD_SOURCES)
def test_a_bad_source_leaves_an_empty_warehouse_empty(source, dsn, spoil, error):
    spoil(source)
    with pytest.raises(error):
        load(JANUARY, source, dsn)
    assert raw_content(dsn) == {"raw_trips": [], "raw_zones": [], "load_log": []}


@pytest.mark.parametrize(("spoil", "error"), BAD_SOURCES.values(), ids=BAD_SOURCES)
def test_a_bad_source_leaves_what_was_loaded_before(source, dsn, spoil, error):
    load(JANUARY, source, dsn)
    load(FEBRUARY, source, dsn)
    before = raw_content(dsn)
    spoil(source)
    with pytest.raises(error):
        load(JANUARY, source, dsn)
    assert raw_content(dsn) == before


def test_a_bad_value_met_while_sending_is_told_by_file_column_and_both_types(source, dsn):
    bad_last_row(source)
    with pytest.raises(FileContentError, match=rf"{TRIPS_FILE}: column vendorid is double and cannot be cast to int32"):
        load(JANUARY, source, dsn)


def test_a_month_loads_once_its_bad_source_is_mended(source, dsn):
    load(JANUARY, source, dsn, "airflow_clean")
    good = file_of(JANUARY, source).read_bytes()
    bad_last_row(source)
    with pytest.raises(FileContentError):
        load(JANUARY, source, dsn)
    file_of(JANUARY, source).write_bytes(good)
    load(JANUARY, source, dsn)
    assert content(dsn, RAW, SCHEMA) == content(dsn, RAW, "airflow_clean")


# ---------- killed on the way

GATE = 4711  # key of an advisory lock


@contextmanager
def closed_gate(dsn: str, row: int) -> Iterator[Callable[[], None]]:
    """Holds every load of January up at this row until the yielded function is called, or the context left."""
    at_row(dsn, row, f"pg_advisory_xact_lock_shared({GATE})")
    with psycopg.connect(dsn, autocommit=True) as holder:
        holder.execute("select pg_advisory_lock(%s)", [GATE])
        yield lambda: holder.execute("select pg_advisory_unlock_all()")


def wait_until_blocked(dsn: str, sessions: int, loads: list[Future] | None = None) -> list[int]:
    """Process ids of the sessions that wait for an advisory lock, once there are so many."""

    def blocked() -> list[int]:
        waiting = query(
            dsn,
            "select pid from pg_locks where locktype = 'advisory' and not granted"
            " and database = (select oid from pg_database where datname = current_database())",
        )
        return [pid for (pid,) in waiting]

    def all_wait(pids: list[int]) -> bool:
        if len(pids) == sessions:
            return True
        for each in loads or []:
            assert not each.done(), f"a load did not wait: {each.exception() or 'it is complete'}"
        return False

    return until(blocked, all_wait, seconds=60, every=0.01)


@pytest.mark.parametrize("row", [1, BATCH_ROWS + 4_000, MANY_ROWS], ids=["first row", "second batch", "last row"])
@pytest.mark.parametrize("loaded_before", [False, True], ids=["first load", "reload"])
def test_a_load_whose_session_is_ended_changes_nothing_and_heals(source, dsn, large_month, row, loaded_before):
    load(FEBRUARY, source, dsn)
    if loaded_before:
        load(JANUARY, source, dsn)
    before = raw_content(dsn)
    shutil.copy(large_month, source.folder)
    at_row(dsn, row, "pg_terminate_backend(pg_backend_pid())")
    with pytest.raises(psycopg.Error) as caught:
        load(JANUARY, source, dsn)
    assert heals(caught.value)
    assert raw_content(dsn) == before

    as_always(dsn)
    load(JANUARY, source, dsn)
    assert query(dsn, f"select source_month::text, count(*) from {SCHEMA}.raw_trips group by 1 order by 1") == [
        ("2024-01-01", MANY_ROWS),
        ("2024-02-01", ROWS[FEBRUARY]),
    ]


@pytest.mark.parametrize("lock", ["create", "raw_trips/2024-01-01", "raw_zones"])
def test_a_load_whose_session_is_ended_as_it_waits_changes_nothing_and_heals(source, dsn, lock):
    load(JANUARY, source, dsn)
    before = raw_content(dsn)
    write_month(source.folder, str(JANUARY), ROWS[JANUARY], version=2)
    with ThreadPoolExecutor() as pool, Warehouse(dsn, SCHEMA) as other:
        other.lock(*lock.split("/"))
        loading = pool.submit(load, JANUARY, source, dsn)
        [pid] = wait_until_blocked(dsn, 1, [loading])
        query(dsn, f"select pg_terminate_backend({pid})")
        error = loading.exception(timeout=60)
    assert isinstance(error, psycopg.Error)
    assert heals(error)
    assert raw_content(dsn) == before


def test_a_loader_killed_on_the_way_changes_nothing_and_can_be_started_again_at_once(source, dsn, large_month):
    load(JANUARY, source, dsn)
    before = raw_content(dsn)
    shutil.copy(large_month, source.folder)
    program = (
        "import sys; from include.datasets import GREEN; from include.ingest.load import load_month;"
        "from include.month import Month; from include.source.address import Address;"
        "load_month(GREEN, Month.parse('2024-01'), Address.parse(sys.argv[1]), *sys.argv[2:], 'killed')"
    )
    command = [sys.executable, "-c", program, source.url, dsn, SCHEMA]
    with closed_gate(dsn, BATCH_ROWS + 4_000), subprocess.Popen(command, cwd=ROOT) as loader:
        try:
            wait_until_blocked(dsn, 1)
        finally:
            loader.send_signal(signal.SIGKILL)
        assert loader.wait(60) == -signal.SIGKILL
        assert raw_content(dsn) == before
    load(JANUARY, source, dsn, dag_run="started again")
    assert raw_content(dsn)["raw_zones"] == before["raw_zones"]
    assert query(dsn, f"select dag_run, rows from {SCHEMA}.load_log order by rows desc") == [
        ("started again", MANY_ROWS),
        ("started again", 265),
    ]
    assert query(dsn, f"select count(*) from {SCHEMA}.raw_trips") == [(MANY_ROWS,)]


# ---------- side by side


def load_at_once(months: list[Month], source: TlcMirror, dsn: str) -> None:
    """Starts as many loads as there are months; all have their files before the first goes to the database."""
    together = threading.Barrier(len(months))

    def wait_for_all(request) -> bool:
        if request.command == "GET":
            together.wait(60)
        return False

    source.faults[ZONES] = wait_for_all
    with ThreadPoolExecutor(len(months)) as pool:
        for loading in [pool.submit(load, month, source, dsn) for month in months]:
            loading.result(timeout=120)
    del source.faults[ZONES]


def test_a_load_overtaken_by_a_newer_file_gives_way_and_loads_that_one_when_tried_again(source, dsn):
    load(JANUARY, source, dsn)

    def meanwhile(request) -> bool:
        """The zones are fetched last. So this load has its trips already when another one loads a newer file."""
        if request.command == "GET":
            del source.faults[ZONES]
            write_month(source.folder, str(JANUARY), rows=60, version=2)
            load(JANUARY, source, dsn)
        return False

    source.faults[ZONES] = meanwhile
    with pytest.raises(FileChanged, match="was replaced while it was being loaded") as overtaken:
        load(JANUARY, source, dsn)
    assert heals(overtaken.value)
    newest = raw_content(dsn)
    assert len(newest["raw_trips"]) == 60
    load(JANUARY, source, dsn)
    assert raw_content(dsn) == newest


@pytest.mark.parametrize("attempt", range(3))
@pytest.mark.parametrize(
    "months", [["2024-01"] * 4, ["2024-01", "2024-02", "2024-03", "2024-04"]], ids=["same", "different"]
)
def test_four_loads_at_once_into_an_empty_warehouse_leave_one_copy(source, dsn, months, attempt):
    months = [Month.parse(month) for month in months]
    for month in months:
        write_month(source.folder, str(month), 50)
    load_at_once(months, source, dsn)
    for month in sorted(set(months)):
        load(month, source, dsn, "airflow_serial")
    assert content(dsn, RAW, SCHEMA) == content(dsn, RAW, "airflow_serial")


def test_loads_of_one_month_wait_for_each_other(source, dsn):
    load(JANUARY, source, dsn)
    before = raw_content(dsn)
    with ThreadPoolExecutor() as pool, closed_gate(dsn, 45) as open_gate:
        loads = [pool.submit(load, JANUARY, source, dsn) for _ in range(3)]
        wait_until_blocked(dsn, 3, loads)
        open_gate()
        for loading in loads:
            loading.result(timeout=60)
    assert raw_content(dsn) == before


def test_a_month_does_not_wait_for_another_being_sent(source, dsn):
    with ThreadPoolExecutor() as pool, closed_gate(dsn, 45) as open_gate:
        january = pool.submit(load, JANUARY, source, dsn)
        wait_until_blocked(dsn, 1, [january])
        load(FEBRUARY, source, dsn)
        assert query(dsn, f"select count(*) from {SCHEMA}.raw_trips") == [(ROWS[FEBRUARY],)]
        open_gate()
        january.result(timeout=60)
    assert query(dsn, f"select count(*) from {SCHEMA}.raw_trips") == [(sum(ROWS.values()),)]


# ---------- as seen by readers


def test_a_reader_sees_the_old_version_whole_until_the_new_one_is_complete(source, dsn):
    load(JANUARY, source, dsn)
    before = raw_content(dsn)
    write_month(source.folder, str(JANUARY), 120, version=2)
    with ThreadPoolExecutor() as pool, closed_gate(dsn, 100) as open_gate:
        loading = pool.submit(load, JANUARY, source, dsn)
        wait_until_blocked(dsn, 1, [loading])
        assert raw_content(dsn) == before
        open_gate()
        loading.result(timeout=60)
    assert len(raw_content(dsn)["raw_trips"]) == 120


def test_a_reader_never_sees_other_than_a_whole_version(source, dsn):
    versions = []
    for version in (1, 2):
        write_month(source.folder, str(JANUARY), 50 + 20 * version, version)
        load(JANUARY, source, dsn)
        versions.append(read_january(dsn))

    seen, done = [], threading.Event()

    def read() -> None:
        with psycopg.connect(dsn, autocommit=True) as connection:
            while not done.is_set():
                seen.append(connection.execute(JANUARY_AT_A_GLANCE).fetchone())

    with ThreadPoolExecutor() as pool:
        reader = pool.submit(read)
        try:
            for version in (1, 2) * 5:
                write_month(source.folder, str(JANUARY), 50 + 20 * version, version)
                load(JANUARY, source, dsn)
        finally:
            done.set()
        reader.result(timeout=60)
    assert set(seen) == set(versions)


JANUARY_AT_A_GLANCE = f"""
    select count(*), sum(total_amount::numeric),
           (select sha256 from {SCHEMA}.load_log where source_month = '2024-01-01')
    from {SCHEMA}.raw_trips where source_month = '2024-01-01'
"""


def read_january(dsn: str) -> tuple:
    [row] = query(dsn, JANUARY_AT_A_GLANCE)
    return row


def test_a_reader_that_began_before_the_reload_still_sees_what_was_there(source, dsn):
    load(JANUARY, source, dsn)
    before = read_january(dsn)
    with psycopg.connect(dsn) as reader:
        reader.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        reader.execute("select count(*) from pg_class")  # this fixes the snapshot that it reads
        write_month(source.folder, str(JANUARY), 120, version=2)
        load(JANUARY, source, dsn)
        assert reader.execute(JANUARY_AT_A_GLANCE).fetchone() == before
    assert read_january(dsn) != before


@pytest.mark.parametrize("month", [JANUARY, FEBRUARY], ids=["reload", "new month"])
def test_a_load_does_not_wait_for_readers(source, dsn, month):
    load(JANUARY, source, dsn)
    with psycopg.connect(dsn) as reader:
        reader.execute(JANUARY_AT_A_GLANCE)  # its transaction stays open, and keeps its locks
        reader.execute(f"select count(*) from {SCHEMA}.raw_zones")
        load(month, source, dsn)


# ---------- a warehouse that cannot be reached


def test_a_warehouse_that_does_not_listen_is_an_error_that_heals(source):
    with socket.create_server((LOOPBACK, 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(psycopg.Error) as caught:
        load(JANUARY, source, f"postgresql://pipeline:secret-word@{LOOPBACK}:{port}/warehouse")
    assert heals(caught.value)
    assert "secret-word" not in str(caught.value)


def test_a_wrong_password_is_an_error_that_does_not_heal_and_is_not_shown(source, dsn):
    with pytest.raises(psycopg.Error, match="password authentication failed") as caught:
        load(JANUARY, source, dsn.replace(urlsplit(dsn).password, "secret-word"))
    assert not heals(caught.value)
    assert "secret-word" not in str(caught.value)


def test_a_role_that_may_not_create_is_an_error_that_does_not_heal(source, dsn, postgres):
    database = urlsplit(dsn).path[1:]
    with psycopg.connect(postgres.dsn("postgres", "postgres"), autocommit=True) as admin:
        admin.execute(sql.SQL("revoke create on database {} from pipeline").format(sql.Identifier(database)))
    with pytest.raises(psycopg.Error, match="permission denied") as caught:
        load(JANUARY, source, dsn)
    assert not heals(caught.value)
