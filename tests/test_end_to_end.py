"""The whole stack: scheduler, API, Postgres and a mirror in TLC's place. Months small, every part real."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pytest

from dev.airflow_services import run_airflow
from dev.choices import Choices
from dev.sample_months import write_month, write_zones
from dev.source import Source
from dev.stack import Stack
from dev.tlc_mirror import TlcMirror
from include.settings import DAG_ID
from tests.conftest import STATE, mirror
from tests.warehouse_content import RAW, content, query

ROWS = 400
ENDED = {"success", "failed"}


@dataclass
class Pipeline:
    """A running stack and the source it loads from."""

    stack: Stack
    tlc: TlcMirror

    @property
    def dsn(self) -> str:
        return self.stack.warehouse.uri()

    def trigger(self, *, logical_date: str | None = None, month: str | None = None) -> str:
        """A manual run: its id."""
        body = {"logical_date": logical_date, "conf": {"month": month} if month else {}}
        return self.stack.api.call("POST", f"/dags/{DAG_ID}/dagRuns", json=body)["dag_run_id"]

    def state(self, run_id: str) -> str:
        return self.stack.api.call("GET", f"/dags/{DAG_ID}/dagRuns/{quote(run_id, safe='')}")["state"]

    def tasks(self, run_id: str) -> dict[str, dict[str, Any]]:
        path = f"/dags/{DAG_ID}/dagRuns/{quote(run_id, safe='')}/taskInstances"
        return {each["task_id"]: each for each in self.stack.api.pages(path, "task_instances")}

    def wait(self, run_id: str, seconds: float = 300) -> str:
        """The state the run ends in."""
        deadline = time.monotonic() + seconds
        while (state := self.state(run_id)) not in ENDED:
            assert time.monotonic() < deadline, f"{run_id} is still {state}: {self.states(run_id)}"
            time.sleep(0.5)
        return state

    def states(self, run_id: str) -> dict[str, str]:
        return {name: task["state"] for name, task in self.tasks(run_id).items()}

    def clear(self, run_id: str, *tasks: str) -> None:
        """Clears these tasks alone, as the grid does."""
        body = {"dag_run_id": run_id, "task_ids": list(tasks), "dry_run": False, "only_failed": False}
        self.stack.api.call("POST", f"/dags/{DAG_ID}/clearTaskInstances", json=body)

    def log(self, run_id: str, task: str) -> str:
        path = f"/dags/{DAG_ID}/dagRuns/{quote(run_id, safe='')}/taskInstances/{task}/logs/1"
        return str(self.stack.api.call("GET", path))

    def run_of(self, logical_date: str) -> str:
        """The id of the run with that logical date."""
        runs = self.stack.api.pages(f"/dags/{DAG_ID}/dagRuns", "dag_runs")
        return next(run["dag_run_id"] for run in runs if (run["logical_date"] or "").startswith(logical_date))


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    state = STATE / f"stack-{os.getpid()}"
    os.environ["PIPELINE_RETRY_SECONDS"] = os.environ["PIPELINE_POLL_SECONDS"] = "1"
    stack = Stack(state, durable=False)
    with mirror(tmp_path_factory.mktemp("tlc")) as tlc:
        write_zones(tlc.folder)
        for month in ("2023-01", "2023-12", "2024-01"):
            write_month(tlc.folder, month, ROWS)
        try:
            stack.up(Choices(Source("url", tlc.url)))
            yield Pipeline(stack, tlc)
        finally:
            stack.down()
    shutil.rmtree(state)


@pytest.fixture(scope="module")
def backfilled(pipeline: Pipeline) -> Pipeline:
    """December 2023 and January 2024, backfilled side by side."""
    dates = ["--from-date", "2023-12-01", "--to-date", "2024-01-01"]
    done = run_airflow(
        pipeline.stack.environment(),
        "backfill",
        "create",
        "--dag-id",
        DAG_ID,
        *dates,
        "--max-active-runs",
        "2",
        capture=True,
    )
    assert done.returncode == 0, done.stdout
    for logical_date in ("2023-12-01", "2024-01-01"):
        run_id = pipeline.run_of(logical_date)
        assert pipeline.wait(run_id) == "success", pipeline.states(run_id)
    return pipeline


def test_a_backfill_publishes_its_months_side_by_side(backfilled: Pipeline):
    months = query(backfilled.dsn, "select source_month::text, rows_in_file from airflow_default.fct_months order by 1")
    assert months == [("2023-12-01", ROWS), ("2024-01-01", ROWS)]
    raw = "select source_month::text, count(*) from airflow_default.raw_trips group by 1 order by 1"
    assert query(backfilled.dsn, raw) == months


def test_each_month_has_a_schema_of_its_own_and_no_task_ran_twice(backfilled: Pipeline):
    schemas = "select nspname from pg_namespace where nspname ~ '^airflow_default_[0-9]' order by 1"
    assert query(backfilled.dsn, schemas)[:2] == [("airflow_default_20231201",), ("airflow_default_20240101",)]
    tasks = backfilled.tasks(backfilled.run_of("2024-01-01"))
    assert {task["try_number"] for task in tasks.values()} <= {0, 1}


@pytest.mark.parametrize("task", ["build.int_trips_judged.run", "publish.fct_trips.run", "publish.fct_months.run"])
def test_one_model_of_a_finished_month_cleared_runs_again_alone(backfilled: Pipeline, task: str):
    run_id = backfilled.run_of("2024-01-01")
    before, tries = content(backfilled.dsn), backfilled.tasks(run_id)
    backfilled.clear(run_id, task)
    assert backfilled.wait(run_id) == "success"
    after = backfilled.tasks(run_id)
    assert after[task]["try_number"] == tries[task]["try_number"] + 1
    others = {name for name in after if after[name]["try_number"] != tries[name]["try_number"]}
    assert others == {task}
    assert content(backfilled.dsn) == before


def test_the_events_of_the_published_tables_carry_the_month_as_partition(backfilled: Pipeline):
    events = list(backfilled.stack.api.pages("/assets/events", "asset_events"))
    partitions = {(event["uri"].rsplit("/", 1)[1], event["partition_key"]) for event in events}
    tables = ("raw_trips", "raw_zones", "dim_zones", "fct_trips", "fct_rejected_trips", "fct_zone_days", "fct_months")
    assert {(table, month) for table in tables for month in ("2023-12", "2024-01")} <= partitions


@pytest.mark.parametrize(
    ("how", "schema"),
    [
        ({"month": "2023-01"}, r"^airflow_default_20230101_[0-9a-f]{8}$"),
        ({"logical_date": "2023-01-15T00:00:00Z"}, r"^airflow_default_20230101_[0-9a-f]{8}$"),
    ],
    ids=["month param, no logical date", "logical date within the month"],
)
def test_a_manual_run_means_the_month_it_is_given(backfilled: Pipeline, how: dict[str, str], schema: str):
    others = content(backfilled.dsn)["fct_months"]
    count = "select count(*) from pg_namespace where nspname ~ %s"
    [(before,)] = query(backfilled.dsn, count, schema)
    run_id = backfilled.trigger(**how)
    assert backfilled.wait(run_id) == "success", backfilled.states(run_id)
    assert query(backfilled.dsn, count, schema) == [(before + 1,)]
    january = "select rows_in_file from airflow_default.fct_months where source_month = '2023-01-01'"
    assert query(backfilled.dsn, january) == [(ROWS,)]
    assert set(others) <= set(content(backfilled.dsn)["fct_months"])


@pytest.mark.parametrize(
    ("month", "says"),
    [
        ("2012-12", "is before 2013-08"),
        (f"{datetime.now(UTC).year + 1}-12", "lies in the future"),
        ("2019-01", "is not there"),
    ],
)
def test_a_month_that_cannot_come_fails_at_once_with_the_reason(backfilled: Pipeline, month: str, says: str):
    before = content(backfilled.dsn, RAW) | content(backfilled.dsn)
    run_id = backfilled.trigger(month=month)
    assert backfilled.wait(run_id) == "failed"
    wait = backfilled.tasks(run_id)["wait_for_month"]
    assert (wait["state"], wait["try_number"]) == ("failed", 1)
    assert says in backfilled.log(run_id, "wait_for_month")
    assert content(backfilled.dsn, RAW) | content(backfilled.dsn) == before


def test_a_file_that_is_not_parquet_fails_at_once_and_changes_nothing(backfilled: Pipeline):
    before = content(backfilled.dsn, RAW) | content(backfilled.dsn)
    page = b"<html>we are sorry</html>"
    path = "/trip-data/green_tripdata_2024-01.parquet"
    backfilled.tlc.faults[path] = lambda request: request.answer(200, page, "text/html")
    try:
        run_id = backfilled.trigger(month="2024-01")
        assert backfilled.wait(run_id) == "failed"
    finally:
        del backfilled.tlc.faults[path]
    load = backfilled.tasks(run_id)["load_month"]
    assert (load["state"], load["try_number"]) == ("failed", 1)
    assert "is not a complete parquet file" in backfilled.log(run_id, "load_month")
    assert content(backfilled.dsn, RAW) | content(backfilled.dsn) == before


def test_a_source_that_is_busy_is_asked_again(backfilled: Pipeline):
    asked = []

    def busy_once(request) -> bool | None:
        asked.append(request.command)
        return request.answer(503, b"busy") if len(asked) == 1 else False

    path = "/trip-data/green_tripdata_2023-01.parquet"
    backfilled.tlc.faults[path] = busy_once
    try:
        run_id = backfilled.trigger(month="2023-01")
        assert backfilled.wait(run_id) == "success", backfilled.states(run_id)
    finally:
        del backfilled.tlc.faults[path]
    assert backfilled.tasks(run_id)["wait_for_month"]["try_number"] == 2
