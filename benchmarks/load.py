"""Times `load_month` beside psql's `\\copy` of the same rows from a CSV file, and beside the lesson's `to_sql`."""

from __future__ import annotations

import multiprocessing
import os
import resource
from collections.abc import Callable
from pathlib import Path

import pandas
import psycopg
import sqlalchemy

from benchmarks.measures import Measure, seconds, spread
from dev.services.postgres import EmbeddedPostgres
from dev.tlc.mirror import TlcMirror
from dev.tlc.sample_months import write_month, write_zones
from include.datasets import GREEN
from include.ingest.load import load_month
from include.ingest.raw_tables import create_raw_tables
from include.month import Month
from include.warehouse.partitions import partition_of
from include.warehouse.session import Warehouse

MONTH = Month.parse("2024-01")
# 45 runs, because 15 are too few: their median ratio was 1.27 one time and 1.33 the next, and single ratios lay between
# 0.7 and 2.2
RUNS, RUNS_OF_3_MILLION = 45, 5
MANY_MONTHS = 150
SCHEMA = "airflow_bench"


def measure_load(server: EmbeddedPostgres, scratch: Path) -> list[Measure]:
    folder = Path(os.environ["TLC_DIR"]) if "TLC_DIR" in os.environ else _sample(scratch / "small", 60_000)
    small = _compare(server, folder, scratch / "rows.csv", RUNS)
    to_sql, memory = _in_a_process(lambda: _lesson_load(server.dsn(), folder))
    loads = small["load_month"]
    with Warehouse(server.dsn(), SCHEMA) as warehouse:
        for number in range(MANY_MONTHS):
            create_raw_tables(warehouse, GREEN, GREEN.first_month.plus(number))
    many = _compare(server, folder, scratch / "rows.csv", RUNS)
    large = _compare(server, _sample(scratch / "large", 3_000_000), scratch / "rows.csv", RUNS_OF_3_MILLION)
    return [
        Measure(
            "load_vs_copy",
            f"`load_month` / psql `\\copy`, {MONTH}, {small['rows']:,} rows",
            small["ratios"],
            at_most=1.0,
            details=_parts(small),
        ),
        Measure(
            "load_vs_copy_150",
            f"the same with {MANY_MONTHS} months' partitions there",
            many["ratios"],
            at_most=1.1,
            details=_parts(many),
        ),
        Measure(
            "load3m_vs_copy",
            f"`load_month` / psql `\\copy`, {large['rows']:,} generated rows",
            large["ratios"],
            at_most=0.7,
            details=_parts(large),
        ),
        Measure(
            "to_sql_vs_load",
            f"`to_sql(method='multi', chunksize=1000)` / `load_month`, {small['rows']:,} rows",
            [to_sql / load for load in loads],
            at_least=50,
            details={"to_sql": f"{to_sql:.1f} s, once; {memory:.0f} MiB above the idle process"},
        ),
    ]


def _sample(folder: Path, rows: int) -> Path:
    folder.mkdir(parents=True)
    write_zones(folder)
    write_month(folder, str(MONTH), rows)
    return folder


def _compare(server: EmbeddedPostgres, folder: Path, csv: Path, runs: int) -> dict:
    dsn, psql, copied = server.dsn(), server.psql, f"{SCHEMA}.copied"
    partition = f"{SCHEMA}_partitions.{partition_of('raw_trips', MONTH)}"
    with TlcMirror(folder) as tlc:

        def load() -> None:
            load_month(GREEN, MONTH, tlc.address, dsn, SCHEMA, "benchmark")

        load()
        psql(f"\\copy (select * from {SCHEMA}.raw_trips) to '{csv}' csv")
        psql(f"drop table if exists {copied}", f"create table {copied} (like {SCHEMA}.raw_trips)")

        def copy() -> None:
            psql(f"truncate {copied}", f"\\copy {copied} from '{csv}' csv")

        loads, reloads, copies = [], [], []
        for _ in range(runs):
            # as before the month's first load: of a file that it knows, the loader also looks at the rows
            psql(f"truncate {SCHEMA}.raw_trips, {SCHEMA}.load_log", f"comment on table {partition} is null")
            loads.append(seconds(load))
            copies.append(seconds(copy))
            reloads.append(seconds(load))
        _, memory = _in_a_process(load)
    csv.unlink()
    with psycopg.connect(dsn) as connection:
        [rows], [same] = (
            connection.execute(f"select count(*) from {table}").fetchone() for table in (copied, f"{SCHEMA}.raw_trips")
        )
    assert rows == same
    ratios = [load / copy for load, copy in zip(loads, copies, strict=True)]
    return {"rows": rows, "load_month": loads, "again": reloads, "copy": copies, "ratios": ratios, "memory": memory}


def _parts(compared: dict) -> dict[str, str]:
    return {
        "load_month": f"{spread(compared['load_month'])} s; {compared['memory']:.0f} MiB above the idle process",
        "the month again": f"{spread(compared['again'])} s",
        "psql `\\copy`": f"{spread(compared['copy'])} s",
    }


def _lesson_load(dsn: str, folder: Path) -> None:
    engine = sqlalchemy.create_engine(dsn.replace("postgresql://", "postgresql+psycopg2://"))
    trips = pandas.read_parquet(folder / f"green_tripdata_{MONTH}.parquet")
    trips.to_sql(
        "lesson_trips", engine, schema=SCHEMA, if_exists="replace", index=False, method="multi", chunksize=1000
    )


def _in_a_process(action: Callable[[], object]) -> tuple[float, float]:
    """Runs the action in a process forked for it. Returns its seconds, and by how many MiB its peak memory grew."""
    receive, send = multiprocessing.Pipe(duplex=False)

    def measured() -> None:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        took = seconds(action)
        send.send((took, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024))

    process = multiprocessing.get_context("fork").Process(target=measured)
    process.start()
    process.join()
    return receive.recv()
