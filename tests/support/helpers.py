"""What several test files need: a file as if downloaded, files with other columns, the raw tables' content, a fork."""

from __future__ import annotations

import hashlib
import io
import multiprocessing
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq

from include.datasets import GREEN
from include.ingest.raw_tables import create_raw_tables
from include.month import Month
from include.runs.month_of_run import Choice
from include.source.address import Address
from include.source.download import Download
from include.warehouse.session import Warehouse

SCHEMA = "airflow_test"
JANUARY, FEBRUARY = Month.parse("2024-01"), Month.parse("2024-02")
FORK_SECONDS = 120
NOWHERE = Address.parse("http://127.0.0.1:9")  # a source that does not answer
ZONES = "/misc/taxi_zone_lookup.csv"


def chosen(version: str, by: str = "somebody", dag_run: str = "a restore") -> Choice:
    """What a run that is made now asks for."""
    return Choice(version, datetime.now(UTC), by, dag_run)


def trips_path(month: Month) -> str:
    """Where the mirror serves the month."""
    return f"/trip-data/green_tripdata_{month}.parquet"


def downloaded(file: Path) -> Download:
    """The file as if it had come from TLC's host."""
    content = file.read_bytes()
    address = Address.parse(f"https://tlc.example/{file.name}")
    return Download(
        file=io.BytesIO(content),
        address=address,
        url=address.shown,
        etag=None,
        content_type="binary/octet-stream",
        last_modified=None,
        sha256=hashlib.sha256(content).hexdigest(),
        bytes=len(content),
    )


def with_columns(table: pa.Table, **columns: pa.Array | None) -> pa.Table:
    """The table with these columns put in the place of those of the same name, appended, or (None) dropped."""
    for name, values in columns.items():
        if values is None:
            table = table.drop_columns(name)
        elif name in table.column_names:
            table = table.set_column(table.column_names.index(name), name, values)
        else:
            table = table.append_column(name, values)
    return table


def rewrite(file: Path, **columns: pa.Array | None) -> None:
    pq.write_table(with_columns(pq.read_table(file), **columns), file)


def spoil(file: Path) -> None:
    """One trip in ten gets an odometer for its distance: more than any month has."""
    distances = pq.read_table(file)["trip_distance"].to_pylist()
    rewrite(file, trip_distance=[[100_000.0 if row % 10 == 0 else each for row, each in enumerate(distances)]])


def cut(request) -> None:
    """Promises more than it sends, and closes the connection in good order."""
    request.send_response(200)
    request.send_header("Content-Length", "1000000")
    request.end_headers()
    request.wfile.write(b"PAR1 and no more")
    request.close_connection = True


def raw_content(dsn: str, schema: str = SCHEMA) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of the raw tables, in order; of load_log, what does not depend on when and by which run it was loaded.

    A table that is not there yet has no rows.
    """
    queries = {
        "raw_trips": "select * from {}.raw_trips order by source_month, source_row",
        "raw_zones": "select * from {}.raw_zones order by locationid",
        "load_log": "select file_id, table_name, source_month, url, etag, sha256, bytes, rows, unknown_columns"
        " from {}.load_log order by table_name, source_month",
    }
    with psycopg.connect(dsn) as connection:
        there = {
            name for (name,) in connection.execute("select tablename from pg_tables where schemaname = %s", [schema])
        }
        return {
            table: connection.execute(query.format(schema)).fetchall() if table in there else []
            for table, query in queries.items()
        }


def at_row(dsn: str, row: int, action: str) -> None:
    """Makes the database perform the action when it writes this row of January, in the middle of the COPY."""
    with Warehouse(dsn, SCHEMA) as warehouse:
        create_raw_tables(warehouse, GREEN, JANUARY)
    with psycopg.connect(dsn) as connection:
        connection.execute(
            f"create function {SCHEMA}.at_row() returns trigger language plpgsql as"
            f" $$ begin perform {action}; return new; end $$"
        )
        connection.execute(
            f"create trigger at_row before insert on {SCHEMA}_partitions.raw_trips_202401"
            f" for each row when (new.source_row = {row}) execute function {SCHEMA}.at_row()"
        )


def error_of(action: Callable[[], object]) -> Exception:
    """What the action raises."""
    try:
        action()
    except Exception as error:
        return error
    raise AssertionError("nothing was raised")


def as_always(dsn: str) -> None:
    with psycopg.connect(dsn) as connection:
        connection.execute(f"drop function {SCHEMA}.at_row cascade")


def fork(function: Callable[..., object], *arguments: object) -> multiprocessing.Process:
    # dbt in this process itself would start threads that no later fork survives
    process = multiprocessing.get_context("fork").Process(target=function, args=arguments)
    process.start()
    return process


def ends_well(process: multiprocessing.Process) -> None:
    process.join(FORK_SECONDS)
    ended = process.exitcode
    process.kill()
    assert ended == 0
