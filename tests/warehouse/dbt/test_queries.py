"""What the readers' queries read, as Postgres runs them."""

from __future__ import annotations

import re

import psycopg
import pytest

from tests.support.dbt.project import Project


@pytest.fixture
def two_months(built: Project) -> Project:
    built.load("2024-02")
    built.publish("2024-02")
    return built


def run(project: Project, query: str) -> str:
    """The plan and its figures. Sequential scans are off, as Postgres would read tables as small as these whole."""
    with psycopg.connect(project.dsn) as connection:
        connection.execute("set enable_seqscan = off; set enable_bitmapscan = off")
        return "\n".join(line for (line,) in connection.execute(f"explain (analyze, costs off) {query}"))


def test_a_query_for_a_month_reads_that_month_alone(two_months: Project):
    for table in ("raw_trips", "fct_trips", "fct_rejected_trips", "fct_zone_days"):
        plan = run(two_months, f"select * from airflow_default.{table} where source_month = '2024-02-01'")
        assert set(re.findall(rf"on ({table}_\d+)", plan)) == {f"{table}_202402"}


@pytest.mark.parametrize(
    ("table", "day"),
    [
        ("fct_trips", "pickup_at >= '2024-01-10' and pickup_at < '2024-01-11'"),
        ("fct_zone_days", "pickup_date = '2024-01-10'"),
    ],
)
def test_a_zone_and_day_are_looked_up_once_in_each_month(two_months: Project, table: str, day: str):
    plan = run(two_months, f"select * from airflow_default.{table} where pickup_zone_id = 74 and {day}")
    assert len(re.findall(rf"Index Scan using \w+ on {table}_\d+", plan)) == 2
    assert plan.count("Index Cond: ((pickup_zone_id = 74) AND (pickup_") == 2
    # more where the zone is not the index' first column: Postgres 18 skips through it, older ones read all of it
    assert re.findall(r"Index Searches: (\d+)", plan) == ["1", "1"]
