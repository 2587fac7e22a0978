"""Times what a dbt developer waits for: `make dev` after an edit, on a local stack, and `make diff` of a big month."""

from __future__ import annotations

import subprocess
from pathlib import Path

import psycopg

from benchmarks.measures import Measure, seconds, spread
from dev.change.table_diff import table_diff
from dev.console import console
from dev.services.postgres import EmbeddedPostgres
from dev.tlc.sample_months import write_month, write_zones
from include.datasets import GREEN, YELLOW
from include.month import Month
from tests.support.dbt.project_copy import project_copy

MONTH, GREEN_ROWS, YELLOW_ROWS, RUNS = Month.parse("2024-01"), 56_000, 3_500_000, 5
MART = "dbt/models/marts/tlc/fct_zone_days.sql"
EDITED = "        tip_amount,\n", "        tip_amount + {number} - {number} as tip_amount,\n"
# A big month's published table, and a copy in which a thousandth of the rows has another amount, and some are gone.
BIG_MONTH = """
    create schema there; create schema here;
    create table there.fct_trips (
        source_month date, source_row integer, pickup_at timestamp, dropoff_at timestamp, pickup_zone_id integer,
        dropoff_zone_id integer, passenger_count integer, store_and_fwd_flag text, trip_distance numeric(8, 2),
        {amounts}, is_reversal boolean, primary key (source_month, source_row)
    );
    insert into there.fct_trips
        select
            '{month}', n, timestamp '{month}' + n * interval '1 s', timestamp '{month}' + n * interval '2 s',
            n % 265, n % 263, n % 6, 'N', n % 100, {values}, false
        from generate_series(1, {rows}) as n;
    create table here.fct_trips (like there.fct_trips including all);
    insert into here.fct_trips select * from there.fct_trips where source_row % 100000 <> 0;
    update here.fct_trips set amount_1 = amount_1 + 1 where source_row % 1000 = 0;
    analyze
"""
AMOUNTS = 12  # numeric columns of fct_trips


def measure_developer(server: EmbeddedPostgres, scratch: Path) -> list[Measure]:
    return [_measure_edit(scratch), _measure_diff(server)]


def _measure_edit(scratch: Path) -> Measure:
    """Wall clock of `python -m dev dev`, from its start to its end, after each of several edits of one mart."""
    folder = scratch / "tlc"
    write_zones(folder)
    write_month(folder, str(MONTH), GREEN_ROWS, dataset=GREEN)
    took = []
    with project_copy(scratch / "project") as copy:
        for words in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "--message=before"]):
            who = ["-c", "user.name=a benchmark", "-c", "user.email=benchmark@localhost"]
            subprocess.run(["git", *who, *words], cwd=copy.folder, check=True)
        copy.run("include", "manifest")
        copy.run("include", "docs")
        copy.run("dev", "backfill", FROM=str(MONTH), TO=str(MONTH), TLC_DIR=str(folder))
        mart = copy.folder / MART
        before, after = EDITED
        text = mart.read_text(encoding="utf-8")
        for number in range(RUNS + 1):
            mart.write_text(text.replace(before, after.format(number=number)))
            took.append(seconds(lambda: copy.run("dev", "dev", MONTH=str(MONTH), DEV_USER="bench")))
            console.print(f"developer: an edited mart, {took[-1]:.1f} s")
    details = {"the first time, with dbt's parse of the base and of the project": f"{took[0]:.1f} s"}
    what = f"`make dev` of one edited mart, {GREEN_ROWS:,} rows, the stack idle beside it"
    return Measure("dev_mart_s", what, took[1:], "s", at_most=10, details=details)


def _measure_diff(server: EmbeddedPostgres) -> Measure:
    amounts = ", ".join(f"amount_{number} numeric(10, 2)" for number in range(1, AMOUNTS + 1))
    values = ", ".join(f"n % {90 + number} + 0.25" for number in range(1, AMOUNTS + 1))
    statements = BIG_MONTH.format(amounts=amounts, values=values, month=MONTH.ds, rows=YELLOW_ROWS)
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        for statement in statements.split(";"):
            connection.execute(statement)
    took = [seconds(lambda: table_diff(server.dsn(), "fct_trips", "here", "there", MONTH)) for _ in range(RUNS)]
    console.print(f"developer: differences of {YELLOW_ROWS:,} rows, {spread(took)} s")
    what = f"differences between two tables of {YELLOW_ROWS:,} rows, {YELLOW.name}'s size"
    return Measure("diff_yellow_s", what, took, "s", at_most=60)
