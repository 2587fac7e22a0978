"""The operator of a dbt task, run as Airflow runs it, in a process of its own."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from airflow.sdk.exceptions import AirflowTaskTimeout
from airflow.sdk.execution_time.timeout import timeout
from cosmos.exceptions import CosmosDbtRunError

from dev.services.warehouse_address import WarehouseAddress
from include.alerts.runbook import TIME
from include.failures.diagnosis import entry_of
from include.settings import DBT_PROFILES, DBT_PROJECT
from include.transform import operators as dbt_operators
from include.transform.operators import RunDbt, RunModel
from tests.support.dbt.project import Project
from tests.support.documents import shows
from tests.support.helpers import ends_well, fork
from tests.support.postgres.warehouse_content import query

RUN_SCHEMA = "airflow_default_20240101"


@pytest.fixture(autouse=True)
def loaded(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.load("2024-01")
    address = WarehouseAddress.from_dsn(project.dsn)
    monkeypatch.setenv("AIRFLOW_CONN_AZURE_PG", address.airflow_connection())


def task(operator: type[RunDbt], select: str, exclude: str = "") -> RunDbt:
    env = {"PG_SCHEMA": "airflow_default", "PG_RUN_SCHEMA": RUN_SCHEMA}
    return operator(task_id="a_task", select=select, exclude=exclude, env=env, vars={"ds": "2024-01-01"})


def in_a_process_of_its_own(test: Callable[[], None]) -> None:
    ends_well(fork(test))


def written() -> dict[Path, float]:
    folders = (DBT_PROJECT, DBT_PROFILES.parent)
    return {file: file.stat().st_mtime for folder in folders for file in folder.rglob("*")}


def test_a_model_is_made_and_its_sql_is_kept_and_nothing_is_written_into_the_project(project: Project):
    def run() -> None:
        before = written()
        model = task(RunModel, "fqn:taxi.staging.tlc.stg_tlc__files")
        model.execute({})
        headings = [line for line in model.compiled_sql.splitlines() if line.startswith("-- ")]
        file = "taxi/models/staging/tlc/stg_tlc__files.sql"
        assert [f"-- compiled/{file}", f"-- run/{file}"] == [each for each in headings if file in each]
        assert "create view" in model.compiled_sql
        assert written() == before

    in_a_process_of_its_own(run)
    views = "select table_name from information_schema.views where table_schema = %s"
    assert query(project.dsn, views, RUN_SCHEMA) == [("stg_tlc__files",)]


def test_a_test_that_fails_says_which_and_its_sql_is_kept_too(project: Project):
    query(project.dsn, "delete from airflow_default.raw_trips where source_row = 1")

    def run() -> None:
        # as a task is told to leave out a test that has a task of its own, and reads a table that is not there yet
        tests = task(dbt_operators.TestNode, "source:tlc.raw_trips", "resource_type:unit_test every_raw_row_is_judged")
        with pytest.raises(CosmosDbtRunError, match="raw_trips_hold_the_rows_that_were_logged: Got 1 result"):
            tests.execute({})
        assert "raw_trips_hold_the_rows_that_were_logged.sql" in tests.compiled_sql

    in_a_process_of_its_own(run)


def test_the_password_is_in_the_environment_while_dbt_runs_and_no_longer():
    def run() -> None:
        before = dict(os.environ)
        task(RunModel, "fqn:taxi.staging.tlc.stg_tlc__zones").execute({})
        assert dict(os.environ) == before
        with pytest.raises(CosmosDbtRunError):
            task(RunModel, "fqn:taxi.intermediate.tlc.int_trips_judged").execute({})  # what it reads is not there
        assert dict(os.environ) == before

    in_a_process_of_its_own(run)


def test_airflow_s_timeout_ends_a_task_whose_statement_waits(project: Project):
    waiting = "select query ~ 'stg_tlc__zones' from pg_stat_activity where wait_event_type = 'Lock'"

    def run_out_of_time_once_it_waits() -> None:
        while not query(project.dsn, waiting):
            time.sleep(0.1)
        os.kill(os.getpid(), signal.SIGALRM)

    def run() -> None:
        model = task(RunModel, "fqn:taxi.staging.tlc.stg_tlc__zones")
        threading.Thread(target=run_out_of_time_once_it_waits, daemon=True).start()
        with pytest.raises(AirflowTaskTimeout) as ended, timeout(seconds=3600):
            model.execute({})
        assert query(project.dsn, waiting) == [(True,)]
        assert entry_of(ended.value, "taxi_pipeline", "build.stg_tlc__zones.run") is TIME
        shows(TIME.heading, "AirflowTaskTimeout", type(ended.value).__name__)

    query(project.dsn, f"create schema {RUN_SCHEMA}")
    query(project.dsn, f"create view {RUN_SCHEMA}.stg_tlc__zones as select 1")
    with psycopg.connect(project.dsn) as holder:
        holder.execute(f"lock table {RUN_SCHEMA}.stg_tlc__zones")
        in_a_process_of_its_own(run)
