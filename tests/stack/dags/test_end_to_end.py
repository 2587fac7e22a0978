"""The whole stack: scheduler, API, Postgres and a mirror in TLC's place. Months small, every part real."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import requests

from include.alerts.runbook import DROPPED, LOAD, MONTH, UNAVAILABLE
from include.datasets import GREEN
from include.month import Month
from tests.support.dbt.project import ROWS
from tests.support.documents import shows
from tests.support.postgres.warehouse_content import RAW, content, query
from tests.support.stack.pipeline import Pipeline


@pytest.fixture(scope="module")
def backfilled(pipeline: Pipeline) -> Pipeline:
    """December 2023 and January 2024, backfilled side by side; January 2023 is there to be loaded."""
    for month in ("2023-01", "2023-12", "2024-01"):
        pipeline.publish_file(month)
    pipeline.backfill("2023-12", "2024-01")
    return pipeline


def test_a_backfill_publishes_its_months_side_by_side(backfilled: Pipeline):
    months = {("2023-12-01", ROWS), ("2024-01-01", ROWS)}
    published = "select source_month::text, rows_in_file from airflow_default.fct_months"
    assert months <= set(query(backfilled.dsn, published))
    raw = "select source_month::text, count(*) from airflow_default.raw_trips group by 1"
    assert months <= set(query(backfilled.dsn, raw))


def test_each_month_has_a_schema_of_its_own_and_no_task_ran_twice(backfilled: Pipeline):
    schemas = "select nspname from pg_namespace where nspname ~ '^airflow_default_[0-9]'"
    assert {("airflow_default_20231201",), ("airflow_default_20240101",)} <= set(query(backfilled.dsn, schemas))
    tasks = backfilled.tasks(backfilled.run_of("2024-01"))
    assert {task["try_number"] for task in tasks.values()} <= {0, 1}


def test_no_task_of_a_month_parses_the_project_anew(backfilled: Pipeline):
    run_id = backfilled.run_of("2024-01")
    logs = [log for name in backfilled.tasks(run_id) if "Running with dbt" in (log := backfilled.log(run_id, name))]
    assert len(logs) > 20
    assert all("dbt uses the parse it was given" in log for log in logs)


def test_no_task_draws_its_dag_anew(backfilled: Pipeline):
    run_id = backfilled.run_of("2024-01")
    for task in ("load_month", "build.int_trips_judged.run", "publish.fct_months.test"):
        log = backfilled.log(run_id, task)
        assert "Worker startup parse complete" in log
        assert "Cosmos DAG parsing" not in log


def test_the_grid_shows_the_sql_that_ran_and_the_schema_it_ran_in(backfilled: Pipeline):
    task = backfilled.tasks(backfilled.run_of("2024-01"))["build.int_trips_judged.run"]
    assert "pickup_outside_window" in task["rendered_fields"]["compiled_sql"]
    schemas = {"PG_SCHEMA": "airflow_default", "PG_RUN_SCHEMA": "airflow_default_20240101"}
    assert schemas.items() <= task["rendered_fields"]["env"].items()


def test_the_events_of_the_published_tables_carry_the_month_as_partition(backfilled: Pipeline):
    events = list(backfilled.stack.api.pages("/assets/events", "asset_events"))
    partitions = {(event["uri"].rpartition("/")[2], event["partition_key"]) for event in events}
    published = ("dim_zones", "fct_trips", "fct_rejected_trips", "fct_zone_days", "fct_month_profile", "fct_months")
    tables = ("raw_trips", "raw_zones", *published)
    assert {(table, month) for table in tables for month in ("2023-12", "2024-01")} <= partitions


def test_manual_runs_mean_the_month_they_are_given_each_in_a_schema_of_its_own(backfilled: Pipeline):
    others = content(backfilled.dsn)["fct_months"]
    month_alone, date_within = {"month": "2023-01"}, {"logical_date": "2023-01-15T00:00:00Z"}
    runs = [backfilled.trigger(**how) for how in (month_alone, date_within)]
    schemas = set()
    for run_id in runs:
        assert backfilled.wait(run_id) == "success", backfilled.states(run_id)
        schema = backfilled.tasks(run_id)["build.int_trips_judged.run"]["rendered_fields"]["env"]["PG_RUN_SCHEMA"]
        assert re.fullmatch(r"airflow_default_20230101_[0-9a-f]{8}", schema)
        assert query(backfilled.dsn, "select count(*) from pg_namespace where nspname = %s", schema) == [(1,)]
        schemas.add(schema)
    assert len(schemas) == 2
    january = "select rows_in_file from airflow_default.fct_months where source_month = '2023-01-01'"
    assert query(backfilled.dsn, january) == [(ROWS,)]
    assert set(others) <= set(content(backfilled.dsn)["fct_months"])


def now() -> str:
    return datetime.now(UTC).isoformat()


# What is triggered, the entry of RUNBOOK.md, and what the log says.
REFUSED = {
    "a month before the first file": ({"month": "2012-12"}, UNAVAILABLE, "is before 2013-08"),
    "a month to come": ({"month": f"{datetime.now(UTC).year + 1}-12"}, UNAVAILABLE, "lies in the future"),
    "a month whose file should be there": ({"month": "2019-01"}, UNAVAILABLE, "is not there"),
    "no month": ({}, MONTH, "has neither month nor a logical date"),
    "another name": ({"conf": {"mnth": "2024-01"}}, MONTH, "mnth"),
    "another name beside the month": ({"conf": {"mnth": "2024-01"}, "month": "2024-01"}, MONTH, "mnth"),
    # what the trigger form sends when nothing is filled in
    "a month that has not ended": ({"logical_date": now}, MONTH, "has not ended"),
}


@pytest.fixture(scope="module")
def refused(backfilled: Pipeline) -> Iterator[dict[str, str]]:
    """A run for each of REFUSED, all at once: their ids. They have changed nothing, and are deleted in the end.

    The ledger shows the month that such a run lies in as failed, as long as the run is there.
    """
    before = content(backfilled.dsn, RAW) | content(backfilled.dsn)
    runs = {
        name: backfilled.trigger(**{key: value() if callable(value) else value for key, value in how.items()})
        for name, (how, *_) in REFUSED.items()
    }
    for run_id in runs.values():
        assert backfilled.wait(run_id) == "failed"
    assert content(backfilled.dsn, RAW) | content(backfilled.dsn) == before
    yield runs
    for run_id in runs.values():
        backfilled.stack.api.call("DELETE", backfilled.paths.run(run_id))


@pytest.mark.parametrize("name", REFUSED)
def test_a_run_that_no_month_can_come_of_fails_at_once_with_the_reason(
    backfilled: Pipeline, refused: dict[str, str], name: str
):
    _, entry, says = REFUSED[name]
    wait = backfilled.tasks(refused[name])["wait_for_month"]
    assert (wait["state"], wait["try_number"]) == ("failed", 1)
    log = backfilled.log(refused[name], "wait_for_month")
    assert says in log
    assert entry is not MONTH or "trigger the DAG with" in log
    shows(entry.heading, "may have month, version, rebuild, accept, reason" if says == "mnth" else says, log)


def test_every_task_of_such_a_run_refuses_not_only_the_first(backfilled: Pipeline):
    before = content(backfilled.dsn, RAW) | content(backfilled.dsn)
    run_id = backfilled.trigger(conf={"mnth": "2024-01"})
    for stage in ("wait_for_month", "load_month", "build."):
        assert backfilled.wait(run_id) == "failed"
        failed = [name for name, state in backfilled.states(run_id).items() if state == "failed"]
        assert failed
        for task in failed:
            assert task.startswith(stage)
            assert "may have month, version, rebuild, accept, reason" in backfilled.log(run_id, task), task
            if stage != "build.":  # someone lets the next ones run
                backfilled.mark_as_succeeded(run_id, task)
    assert content(backfilled.dsn, RAW) | content(backfilled.dsn) == before


@pytest.mark.parametrize("month", ["2024-1", "", 5, "2024-13", ["2024-01"]])
def test_the_api_takes_no_month_of_another_form(backfilled: Pipeline, month: Any):
    with pytest.raises(requests.HTTPError) as refusal:
        backfilled.trigger(conf={"month": month})
    assert refusal.value.response.status_code == requests.codes.bad_request
    assert "Invalid input for param month" in refusal.value.response.text


def test_a_backfill_that_is_told_one_month_loads_it_for_no_other(backfilled: Pipeline):
    before = content(backfilled.dsn, RAW) | content(backfilled.dsn)
    start = Month.parse("2022-03").start.isoformat()
    body = {"dag_id": GREEN.dag_id, "from_date": start, "to_date": start, "dag_run_conf": {"month": "2024-01"}}
    backfilled.wait_for_backfills_to_close()
    backfilled.stack.api.call("POST", "/backfills", json=body)
    run_id = backfilled.run_of("2022-03")
    assert backfilled.wait(run_id, seconds=60) == "failed"
    log = backfilled.log(run_id, "wait_for_month")
    assert "This run is for 2022-03, by its logical date, and its configuration says 2024-01" in log
    assert backfilled.tasks(run_id)["wait_for_month"]["try_number"] == 1
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
    log = backfilled.log(run_id, "load_month")
    assert "is not a complete parquet file" in log
    shows(LOAD.heading, "not a complete parquet file", log)
    assert content(backfilled.dsn, RAW) | content(backfilled.dsn) == before


def test_a_month_that_is_not_published_yet_waits_without_a_slot_and_goes_on_by_itself(backfilled: Pipeline):
    last_month = str(Month.containing(datetime.now(UTC)).plus(-1))
    waiting = backfilled.trigger(month=last_month)
    backfilled.wait_for_task(waiting, "wait_for_month", "up_for_reschedule")
    # a task of another month goes past it
    other = backfilled.run_of("2024-01")
    backfilled.clear(other, "publish.fct_months.run")
    assert backfilled.wait(other) == "success"
    assert backfilled.state(waiting) == "running"
    backfilled.publish_file(last_month)
    assert backfilled.wait(waiting) == "success", backfilled.states(waiting)


def test_a_failing_audit_keeps_a_restated_month_out_and_other_months_go_on(backfilled: Pipeline):
    before = content(backfilled.dsn)
    backfilled.publish_file("2024-01", version=2)
    spoil(backfilled.tlc.folder / "green_tripdata_2024-01.parquet")
    failing, other = backfilled.trigger(month="2024-01"), backfilled.run_of("2023-12")
    backfilled.clear(other, "publish.fct_months.run")
    assert backfilled.wait(failing) == "failed"
    assert backfilled.wait(other) == "success"
    states = backfilled.states(failing)
    assert {name for name, state in states.items() if state == "failed"} == {"build.int_trips_judged.test"}
    assert {states[name] for name in states if name.startswith("publish.")} == {"upstream_failed"}
    assert backfilled.tasks(failing)["build.int_trips_judged.test"]["try_number"] == 1
    assert "reject_share_is_plausible" in backfilled.log(failing, "build.int_trips_judged.test")
    assert content(backfilled.dsn) == before
    # mended by TLC, and the month cleared
    backfilled.publish_file("2024-01")
    backfilled.clear_run(failing)
    assert backfilled.wait(failing) == "success"
    assert content(backfilled.dsn) == before


def spoil(file: Path) -> None:
    """One trip in ten gets an odometer for its distance: more than any month has."""
    trips = pq.read_table(file)
    distances = trips["trip_distance"].to_pylist()
    distances[::10] = [100_000.0] * len(distances[::10])
    column = trips.column_names.index("trip_distance")
    pq.write_table(trips.set_column(column, "trip_distance", [distances]), file)


def test_a_model_cleared_after_its_run_schema_was_dropped_says_to_clear_the_month(backfilled: Pipeline):
    run_id = backfilled.run_of("2023-12")
    before = content(backfilled.dsn)
    query(backfilled.dsn, "drop schema airflow_default_20231201 cascade")
    backfilled.clear(run_id, "build.int_zone_days.run")
    backfilled.wait_for_failure(run_id, "build.int_zone_days.run")
    task = backfilled.tasks(run_id)["build.int_zone_days.run"]
    log = backfilled.log(run_id, "build.int_zone_days.run", task["try_number"])
    assert "Clear the whole month, from load_month on" in log
    shows(DROPPED.heading, "is not there: the run schema was dropped, or its models have not run", log)
    assert content(backfilled.dsn) == before
    backfilled.clear_run(run_id)
    assert backfilled.wait(run_id) == "success"
    assert content(backfilled.dsn) == before


def test_each_model_and_test_of_a_published_month_cleared_runs_again_alone(backfilled: Pipeline):
    run_id = backfilled.run_of("2024-01")
    before = content(backfilled.dsn)
    names = [name for name in backfilled.tasks(run_id) if name.endswith((".run", ".test")) or "_test" in name]
    assert len(names) > 20
    for name in names:
        tries = tries_of(backfilled, run_id)
        backfilled.clear(run_id, name)
        assert backfilled.wait(run_id) == "success", name
        assert tries_of(backfilled, run_id) == tries | {name: tries[name] + 1}
        assert content(backfilled.dsn) == before, name


def tries_of(pipeline: Pipeline, run_id: str) -> dict[str, int]:
    return {name: task["try_number"] for name, task in pipeline.tasks(run_id).items()}
