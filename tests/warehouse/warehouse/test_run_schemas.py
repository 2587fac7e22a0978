"""Which run schemas are dropped, and which stay."""

from __future__ import annotations

from datetime import timedelta

import psycopg

from include.datasets import GREEN
from include.warehouse.run_schemas import drop_run_schemas
from tests.support.dbt.project import Project
from tests.support.postgres.warehouse_content import content, query

DAY = timedelta(days=1)


def schemas(project: Project) -> set[str]:
    return {name for (name,) in query(project.dsn, "select nspname from pg_namespace where nspname ~ '^airflow_'")}


def loaded_days_ago(project: Project, days: int) -> None:
    query(project.dsn, "update airflow_default.load_log set loaded_at = now() - %s * interval '1 day'", days)


def test_schemas_of_months_published_long_ago_are_dropped_and_nothing_else(built: Project):
    kept = schemas(built) - {"airflow_default_20240101"} | {"airflow_other_20240101", "airflow_default_20240101x"}
    for name in ("airflow_default_20240101_0123abcd", "airflow_other_20240101", "airflow_default_20240101x"):
        query(built.dsn, f"create schema {name}")
    published = content(built.dsn)
    loaded_days_ago(built, 2)
    dropped = drop_run_schemas(GREEN, built.dsn, "airflow_default", older_than=DAY)
    assert list(dropped) == ["airflow_default_20240101", "airflow_default_20240101_0123abcd"]
    assert schemas(built) == kept
    assert content(built.dsn) == published


def test_a_month_loaded_lately_keeps_its_schema(built: Project):
    assert list(drop_run_schemas(GREEN, built.dsn, "airflow_default", older_than=DAY)) == []


def test_a_month_whose_newest_file_is_not_published_keeps_its_schema(built: Project):
    built.load("2024-01", version=2)
    loaded_days_ago(built, 2)
    assert list(drop_run_schemas(GREEN, built.dsn, "airflow_default", older_than=DAY)) == []


def test_a_schema_in_use_is_left_for_the_next_time(built: Project):
    loaded_days_ago(built, 2)
    with psycopg.connect(built.dsn) as task:
        task.execute("select 1 from airflow_default_20240101.int_trips_judged limit 1")
        assert list(drop_run_schemas(GREEN, built.dsn, "airflow_default", older_than=DAY)) == []
    assert list(drop_run_schemas(GREEN, built.dsn, "airflow_default", older_than=DAY)) == ["airflow_default_20240101"]


def test_an_empty_warehouse_has_nothing_to_drop(dsn: str):
    assert list(drop_run_schemas(GREEN, dsn, "airflow_default", older_than=DAY)) == []
