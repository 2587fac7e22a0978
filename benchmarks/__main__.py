"""`make bench`: what loading a month costs, beside psql's `\\copy` of the same rows ready-made, in one run.

Files: those of TLC_DIR, else made-up ones.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
import pyarrow.parquet

from dev.console import console
from dev.postgres import EmbeddedPostgres
from dev.sample_months import write_month, write_zones
from dev.tlc_mirror import TlcMirror
from include.load import load_month
from include.month import Month
from include.settings import ROOT

MONTH = Month.parse("2024-01")
RUNS = 7


def main() -> int:
    server = EmbeddedPostgres(ROOT / ".local" / "bench")
    server.start()
    try:
        with tempfile.TemporaryDirectory() as scratch:
            compare_load_with_copy(server, source_folder(Path(scratch)), Path(scratch) / "rows.csv")
    finally:
        server.stop()
    return 0


def source_folder(scratch: Path) -> Path:
    if "TLC_DIR" in os.environ:
        return Path(os.environ["TLC_DIR"])
    write_zones(scratch)
    write_month(scratch, str(MONTH), rows=60_000)
    return scratch


def compare_load_with_copy(server: EmbeddedPostgres, folder: Path, csv: Path) -> None:
    dsn, psql = server.dsn(), server.psql
    rows = pyarrow.parquet.read_metadata(folder / f"green_tripdata_{MONTH}.parquet").num_rows
    with TlcMirror(folder) as tlc:

        def load() -> None:
            load_month(MONTH, tlc.url, dsn, "airflow_bench", "benchmark")

        load()
        copied = "airflow_bench.copied"
        psql(f"\\copy (select * from airflow_bench.raw_trips) to '{csv}' csv")
        psql(f"drop table if exists {copied}", f"create table {copied} (like airflow_bench.raw_trips)")

        def copy() -> None:
            psql(f"truncate {copied}", f"\\copy {copied} from '{csv}' csv")

        loads, reloads, copies = [], [], []
        for _ in range(RUNS):
            psql("truncate airflow_bench.raw_trips")
            loads.append(seconds(load))
            copies.append(seconds(copy))
            reloads.append(seconds(load))
    with psycopg.connect(dsn) as connection:
        assert connection.execute(f"select count(*) from {copied}").fetchone() == (rows,)
    ratios = [load / copy for load, copy in zip(loads, copies, strict=True)]
    console.print(f"{MONTH}, {rows:,} rows, {RUNS} runs of each in turn: median (least to most)")
    console.print(f"load_month          {spread(loads)} s, the month again {spread(reloads)} s")
    console.print(f"psql \\copy          {spread(copies)} s")
    console.print(f"load_month / \\copy  {spread(ratios)}")


def seconds(action: Callable[[], None]) -> float:
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def spread(values: list[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


if __name__ == "__main__":
    sys.exit(main())
