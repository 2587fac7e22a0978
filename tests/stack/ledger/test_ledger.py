"""The ledger of months on the running stack: who may see it, and what it shows."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime

import psycopg
import pytest
import requests
from psycopg.types.json import Jsonb
from sqlalchemy import create_engine, event
from sqlalchemy.orm import Session

import dev.__main__ as commands
from dev.errors import StackError
from dev.runs.ledger_table import IN_JSON
from dev.services.airflow_api import instant
from include.datasets import DATASETS
from include.ledger.app import app
from include.ledger.queries import connect, figures_by_month, next_scheduled_month, tasks_by_month
from include.month import Month
from include.transform.code_version import code_version
from tests.support.postgres.warehouse_content import query
from tests.support.stack.logins import asked_by
from tests.support.stack.pipeline import Pipeline

MONTH = "2020-02"
ROUTES = [f"/ledger{route.path}" for route in app.routes]


def test_every_route_asks_for_a_login(pipeline: Pipeline):
    assert {"/ledger/", "/ledger/months", "/ledger/docs", "/ledger/reports/{name}/{month}"} <= set(ROUTES)
    for route in [*ROUTES, "/ledger/redoc", "/ledger/openapi.json"]:
        for cookies in ({}, {"_token": "nonsense"}):
            answer = requests.get(f"{pipeline.stack.airflow.url}{route}", cookies=cookies, timeout=30)
            assert answer.status_code in (401, 403, 404), route
            assert answer.status_code != 404 or route not in ROUTES


def test_a_user_sees_what_the_role_allows_and_backfills_only_if_it_may(pipeline: Pipeline):
    assert asked_by(pipeline.stack, "", "/ledger/months").json() == []
    for path in ("/ledger/docs", f"/ledger/reports/green/{MONTH}"):
        assert asked_by(pipeline.stack, "", path).status_code == requests.codes.forbidden, path
    backfill = {"dag_id": "taxi_pipeline", "from_date": "2020-01-01T00:00:00Z", "to_date": "2020-01-01T00:00:00Z"}
    for role, may in (("viewer", False), ("user", True)):
        lines = asked_by(pipeline.stack, role, "/ledger/months").json()
        assert {line["dataset"] for line in lines} == {"green", "yellow"}
        assert {line["may_backfill"] for line in lines} == {may}
    assert asked_by(pipeline.stack, "viewer", "/api/v2/backfills", **backfill).status_code == requests.codes.forbidden


@pytest.fixture(scope="module")
def published(pipeline: Pipeline) -> Pipeline:
    pipeline.publish_file(MONTH)
    pipeline.backfill(MONTH)
    return pipeline


def line_of(pipeline: Pipeline, month: str) -> dict:
    [line] = [each for each in pipeline.ledger() if each["month"] == month]
    return line


def test_a_published_month_has_its_figures_and_its_event_too(published: Pipeline):
    line = line_of(published, MONTH)
    assert (line["state"], line["failed_task"]) == ("published", None)
    run = published.dag_run(line["run_id"])
    assert (instant(line["run_began"]), instant(line["run_ended"])) == (
        instant(run["start_date"]),
        instant(run["end_date"]),
    )
    figures = "select rows_in_file, rows_accepted, rows_rejected, total_amount_accepted::text, file_sha256 "
    [expected] = query(published.dsn, f"{figures} from airflow_default.fct_months where source_month = '{MONTH}-01'")
    names = ("rows_in_file", "rows_accepted", "rows_rejected", "total_amount_accepted", "file_sha256")
    assert tuple(line["figures"][name] for name in names) == expected
    of_profile = "select median_fare_a_mile::float8, paid_by_card::float8 from airflow_default.fct_month_profile "
    [profiled] = query(published.dsn, f"{of_profile} where source_month = '{MONTH}-01'")
    assert (line["profile"]["median_fare_a_mile"], line["profile"]["paid_by_card"]) == profiled
    events = [
        each
        for each in published.stack.api.pages("/assets/events", "asset_events")
        if each["partition_key"] == MONTH and "/fct_" in each["uri"]
    ]
    assert len(events) == 5
    for found in events:
        assert found["extra"]["month"] == MONTH
        assert tuple(found["extra"][name] for name in (*names[:4], "sha256")) == expected
        assert found["extra"]["code_version"] == line["code_version"]
    present = code_version(published.dataset.models)
    assert present
    assert (line["code_version"], line["is_outdated"]) == (present.version, False)


def test_a_month_of_another_version_is_marked_and_rebuilt_without_asking_the_source(
    published: Pipeline, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    """The file that is up meanwhile is another one: a run that asked for it would load it."""
    before, runs = published.content(MONTH), len(list(published.stack.api.pages(published.paths.runs, "dag_runs")))
    published.publish_file(MONTH, version=2)
    log = "airflow_default.code_versions"
    models = """models || '{"fct_trips": "0"}'"""
    query(published.dsn, f"insert into {log} select 'aaaaaaaaaaaa', null, {models}, '{{}}', now() from {log}")
    query(
        published.dsn,
        f"update airflow_default.fct_months set code_version = 'aaaaaaaaaaaa' where source_month = '{MONTH}-01'",
    )
    line = line_of(published, MONTH)
    assert (line["state"], line["is_outdated"], line["changed_models"]) == ("published", True, ["fct_trips"])
    asked = len(published.tlc.requests)
    monkeypatch.setenv("DATASET", "green")
    assert commands.rebuild(published.stack) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert f"Rebuild of green: {MONTH}; the source is not asked" in said
    assert [each for each in published.tlc.requests[asked:] if MONTH in each] == []
    line = line_of(published, MONTH)
    assert (line["state"], line["is_outdated"]) == ("published", False)
    assert published.content(MONTH) == before
    assert len(list(published.stack.api.pages(published.paths.runs, "dag_runs"))) == runs + 1
    assert commands.rebuild(published.stack) == 0
    assert "green: no month to rebuild" in capsys.readouterr().out
    query(published.dsn, f"delete from {log} where code_version = 'aaaaaaaaaaaa'")
    published.publish_file(MONTH)


def test_a_red_model_under_a_green_run_is_red_and_says_why(published: Pipeline):
    run_id, model = published.run_of(MONTH), "build.int_zone_days.run"
    rename = "alter table airflow_default_20200201.int_trips_judged rename to away"
    query(published.dsn, rename)
    published.clear(run_id, model)
    assert published.wait(run_id) == "success"
    line = line_of(published, MONTH)
    assert (line["state"], line["failed_task"], line["run_id"]) == ("failed", model, run_id)
    assert "airflow_default_20200201.int_trips_judged is not there" in line["reason"]
    assert line["is_published"]
    assert line["figures"]["file_sha256"][:12] in line["readers_see"]
    assert (line["tasks_begun"], line["task_begun"]) == (1, model)
    query(published.dsn, "alter table airflow_default_20200201.away rename to int_trips_judged")
    published.clear(run_id, model)
    assert published.wait(run_id) == "success"
    line = line_of(published, MONTH)
    assert (line["state"], line["failed_task"], line["reason"]) == ("published", None, None)


def test_a_failed_task_of_a_model_that_was_retired_since_does_not_count(published: Pipeline):
    stack = published.stack
    metadata = stack.postgres.dsn(stack.choices.metadata_database, "airflow")
    copy = """
        insert into task_instance
        select (jsonb_populate_record(null::task_instance, to_jsonb(model) || %s)).*
        from task_instance as model where run_id = %s and task_id = 'build.int_zone_days.run'
    """
    failed = {"id": str(uuid.uuid4()), "task_id": "build.int_retired.run", "state": "failed"}
    query(metadata, copy, Jsonb(failed), published.run_of(MONTH))
    assert line_of(published, MONTH)["state"] == "published"
    query(metadata, "delete from task_instance where id = %s", failed["id"])


def test_a_dataset_takes_one_query_of_each_database_however_many_months(
    published: Pipeline, monkeypatch: pytest.MonkeyPatch
):
    asked: list[str] = []
    engine = create_engine(published.stack.environment()["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"])
    event.listen(engine, "before_cursor_execute", lambda *given: asked.append(given[2]))
    with Session(engine) as session:
        assert tasks_by_month(session, published.dataset, UTC)
        of_airflow = len(asked)
        # the stack's own schedule begins with the month that it was first started in
        scheduled = next_scheduled_month(session, published.dataset, UTC)
    assert of_airflow <= 2  # where a task has failed: the DAG's tasks, too
    del asked[of_airflow:]
    assert scheduled == Month.containing(datetime.now(UTC))
    assert line_of(published, str(scheduled))["state"] == "waiting"
    execute = psycopg.Connection.execute
    monkeypatch.setattr(psycopg.Connection, "execute", lambda *given: (asked.append(given[1]), execute(*given))[1])
    schema = published.stack.published_schema(published.dataset)
    with connect(published.dsn) as connection:
        assert figures_by_month(connection, published.dataset, schema)
    assert len(asked) == of_airflow + 1


def test_a_month_whose_run_waits_for_longer_than_usual_is_late(published: Pipeline):
    now = Month.containing(datetime.now(UTC))
    assert not line_of(published, str(now))["is_late"]
    month = str(now.plus(-4))
    run_id = published.trigger(month=month)
    published.wait_for_task(run_id, "wait_for_month", "up_for_reschedule")
    line = line_of(published, month)
    assert (line["state"], line["is_late"]) == ("waiting", True)
    published.stack.api.call("PATCH", published.paths.run(run_id), json={"state": "failed"})
    published.stack.api.call("DELETE", published.paths.run(run_id))
    assert not line_of(published, month)["is_late"]


def test_a_month_of_which_nothing_is_kept_is_not_put_back_which_is_said(
    published: Pipeline, monkeypatch: pytest.MonkeyPatch
):
    runs = len(list(published.stack.api.pages(published.paths.runs, "dag_runs")))
    monkeypatch.setenv("MONTH", MONTH)
    with pytest.raises(StackError, match=f"No version of green {MONTH} is kept that could be put back. Kept: none."):
        commands.restore(published.stack)
    assert len(list(published.stack.api.pages(published.paths.runs, "dag_runs"))) == runs
    monkeypatch.delenv("MONTH")
    with pytest.raises(StackError, match="MONTH is needed"):
        commands.restore(published.stack)


def test_the_terminal_shows_the_same(
    published: Pipeline, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("JSON", "1")
    assert commands.ledger(published.stack) == 0
    lines = json.loads(capsys.readouterr().out)
    assert all(tuple(line) == IN_JSON for line in lines)
    [line] = [each for each in lines if (each["dataset"], each["month"]) == ("green", MONTH)]
    assert (line["state"], line["is_published"], line["readers_see"], line["pinned"]) == ("published", True, None, None)
    monkeypatch.setenv("DATASET", "yellow")
    assert commands.ledger(published.stack) == 0
    assert {line["dataset"] for line in json.loads(capsys.readouterr().out)} == {"yellow"}
    monkeypatch.delenv("DATASET")
    monkeypatch.delenv("JSON")
    assert commands.ledger(published.stack) == 0
    said = " ".join(capsys.readouterr().out.split())
    for dataset in DATASETS.values():
        assert f"{dataset.title}: " in said
    assert "2020" in said
