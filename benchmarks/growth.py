"""Times the load and build of a month in a warehouse that holds one month and in one that holds many, in turn."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import psycopg

from benchmarks.measures import Measure, seconds, spread
from dev.console import console
from dev.services.postgres import EmbeddedPostgres
from dev.tlc.mirror import TlcMirror
from include.datasets import GREEN
from tests.support.dbt.project import Project

SIZES = (1, 12, 60, 150)
# 11 runs, because 5 are too few: their median beside 149 months was 1.05 one time and 1.15 the next, and single ratios
# lay between 0.9 and 1.5
ROWS, RUNS = 3_000, 11
MONTHS = [GREEN.first_month.plus(number) for number in range(max(SIZES))]


def measure_growth(server: EmbeddedPostgres, scratch: Path) -> list[Measure]:
    folder = scratch / "growth"
    folder.mkdir()
    with TlcMirror(folder) as tlc:
        one = Project(server.dsn(), tlc, scratch / "target", schema="airflow_one")
        many = replace(one, schema="airflow_many")
        one.publish_file(str(MONTHS[0]), rows=ROWS)
        one.run(str(MONTHS[0]))
        details, ratios = {}, []
        for number, month in enumerate(MONTHS, start=1):
            many.publish_file(str(month), rows=ROWS)
            many.run(str(month))
            if number in SIZES:
                pairs = [
                    (seconds(lambda month=month: many.run(str(month))), seconds(lambda: one.run(str(MONTHS[0]))))
                    for _ in range(RUNS)
                ]
                ratios = [ours / first for ours, first in pairs]
                took = [ours for ours, _ in pairs]
                details[f"{number} months"] = f"{spread(took)} s, {spread(ratios)} x; {_size(server):.0f} MiB on disk"
                console.print(f"growth: {number} months, {details[f'{number} months']}")
    return [
        Measure(
            "growth150",
            f"load and `dbt build` of one month beside {SIZES[-1] - 1} others / the only one",
            ratios,
            at_most=1.1,
            details=details,
        )
    ]


def _size(server: EmbeddedPostgres) -> float:
    """MiB of the whole warehouse."""
    with psycopg.connect(server.dsn()) as connection:
        [bytes] = connection.execute("select pg_database_size(current_database())").fetchone()
    return bytes / 2**20
