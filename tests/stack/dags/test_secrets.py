"""The warehouse's password shows nowhere after a month has been run, not even one that failed.

Neither does what is secret in the source's address.
"""

from __future__ import annotations

import stat
from pathlib import Path
from urllib.parse import quote

import psutil
import psycopg
import pytest
import requests
from psycopg import sql

from tests.support.stack.logins import asked_by
from tests.support.stack.pipeline import SOURCE_SECRETS, Pipeline

# who may hold it: the stack's own record of its secrets, and Postgres' verifier of it (which is no password)
KEPT = {"secrets.json", "choices.json"}


@pytest.fixture(scope="module")
def used(pipeline: Pipeline) -> Pipeline:
    """A stack that has run a month, and then a task of it that failed for want of its run schema."""
    pipeline.publish_file("2023-05")
    pipeline.backfill("2023-05")
    # a failure in the middle of dbt prints all it knows
    with psycopg.connect(pipeline.stack.postgres.dsn("warehouse", "postgres"), autocommit=True) as admin:
        admin.execute("drop schema airflow_default_20230501 cascade")
    run_id = pipeline.run_of("2023-05")
    pipeline.clear(run_id, "build.int_zone_days.run")
    pipeline.wait_for_failure(run_id, "build.int_zone_days.run")
    return pipeline


@pytest.fixture(scope="module")
def spellings(pipeline: Pipeline) -> set[str]:
    password = pipeline.stack.warehouse.password
    assert len(password) >= 20, "long enough not to occur by chance"
    return {form for each in (password, *SOURCE_SECRETS) for form in (each, quote(each, safe=""))}


def test_no_file_but_the_private_ones_holds_it(used: Pipeline, spellings: set[str]):
    files = [file for file in used.stack.state.rglob("*") if file.is_file() and file.name not in KEPT]
    assert any("task_id=build.int_zones.run" in str(file) for file in files), "the tasks' logs are among them"
    holding = [file for file in files if any(each.encode() in content_of(file) for each in spellings)]
    assert holding == []


def content_of(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except FileNotFoundError:  # a server's own temporary file
        return b""


def test_the_files_that_hold_it_are_their_owners_alone(used: Pipeline):
    for name in KEPT:
        assert stat.S_IMODE((used.stack.state / name).stat().st_mode) == 0o600, name


def test_no_table_of_airflow_holds_it(used: Pipeline, spellings: set[str]):
    """Rendered templates, XComs, connections, audit logs, serialized DAGs: all that the UI and the API show."""
    searched = 0
    metadata = used.stack.environment()["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"].replace("+psycopg2", "")
    with psycopg.connect(metadata) as airflow:
        tables = airflow.execute("select tablename from pg_tables where schemaname = 'public'").fetchall()
        for (table,) in tables:
            for (row,) in airflow.execute(sql.SQL("select t::text from {} as t").format(sql.Identifier(table))):
                searched += 1
                assert not any(each in row for each in spellings), table
    assert searched > 100


def test_the_api_does_not_show_it(used: Pipeline, spellings: set[str]):
    run = quote(used.run_of("2023-05"), safe="")
    for path in (
        f"/dags/taxi_pipeline/dagRuns/{run}/taskInstances",
        f"/dags/taxi_pipeline/dagRuns/{run}/taskInstances/load_month/xcomEntries/return_value",
        f"/dags/taxi_pipeline/dagRuns/{run}/taskInstances/build.int_zone_days.run/logs/1",
        "/connections",
        "/variables",
    ):
        answer = str(used.stack.api.call("GET", path))
        assert not any(each in answer for each in spellings), path


def test_the_pages_of_the_ledger_do_not_show_it(used: Pipeline, spellings: set[str]):
    used.wait_for_report("2023-05")
    for path in ("/", "/months", "/docs", "/reports/green/2023-05"):
        answer = asked_by(used.stack, "admin", f"/ledger{path}")
        assert answer.status_code == requests.codes.ok, path
        assert not any(each in answer.text for each in {*spellings, "postgresql://"}), path


def test_no_command_line_holds_it(used: Pipeline, spellings: set[str]):
    commands = [" ".join(process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"])]
    assert any("airflow" in command for command in commands)
    assert not any(each in command for each in spellings for command in commands)
