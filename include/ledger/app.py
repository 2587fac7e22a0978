"""The ledger's pages: a FastAPI app that Airflow's api-server serves below `/ledger`."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any

import psycopg
from airflow.api_fastapi.common.db.common import SessionDep
from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import HTTPException
from fastapi.responses import FileResponse, HTMLResponse, Response

from include.alerts.month_alerts import is_late
from include.alerts.runbook import OTHER, SETTING
from include.datasets import DATASETS, Dataset
from include.failures.postgres import answer_to
from include.ledger.made_by import MadeBy
from include.ledger.months import PUBLISHED, judge
from include.ledger.queries import (
    connect,
    figures_by_month,
    models_by_version,
    next_scheduled_month,
    profiles_by_month,
    tasks_by_month,
)
from include.month import Month, MonthError
from include.profiles.published import departing
from include.report.store import report_file
from include.runs.timetable import MonthlyOncePublished
from include.settings import DBT_DOCS, SettingError
from include.support.access import NO_STORE, app_behind_login, may, readable
from include.support.timezone import default_timezone
from include.transform.acceptable import audits_of
from include.transform.code_version import code_version
from include.warehouse.connection import warehouse_dsn

LOG = logging.getLogger(__name__)
# The first charts of the page. A month's report has all of the profile.
FIRST_OF_PROFILE = (
    *("poorest_day", "median_fare_a_mile", "median_miles", "median_minutes", "paid_by_card", "tipped"),
    *("without_details", "unpaired_reversals"),
)

app = app_behind_login("Ledger of months")


@app.get("/")
def page() -> FileResponse:
    """The page. It gets what it shows from `months`."""
    return FileResponse(Path(__file__).with_name("page.html"), headers=NO_STORE)


@app.get("/docs")
def docs(user: GetUserDep) -> FileResponse:
    """dbt's docs, for users who may read the runs of any dataset."""
    if not any(readable(user)):
        raise HTTPException(HTTPStatus.FORBIDDEN, "dbt's docs are for who may read the runs of a pipeline.")
    if not DBT_DOCS.exists():
        raise HTTPException(HTTPStatus.NOT_FOUND, f"{DBT_DOCS} is missing. Make it: python -m include docs")
    return FileResponse(DBT_DOCS, headers=NO_STORE)


@app.get("/reports/{name}/{month}")
def report(name: str, month: str, user: GetUserDep) -> HTMLResponse:
    """A month's report, for users who may read the dataset's runs. It runs no script and loads nothing."""
    if (dataset := DATASETS.get(name)) is None or not may("GET", dataset, user):
        raise HTTPException(HTTPStatus.FORBIDDEN, "Reports are for who may read the runs of their pipeline.")
    try:
        file = report_file(dataset.published_schema(), Month.parse(month))
    except MonthError as error:
        raise HTTPException(HTTPStatus.NOT_FOUND, str(error)) from None
    if not file.exists():
        raise HTTPException(HTTPStatus.NOT_FOUND, f"{file} is not there: {dataset.report_dag_id} has not made it yet.")
    policy = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}
    return HTMLResponse(file.read_text(encoding="utf-8"), headers=NO_STORE | policy)


@app.get("/months")
def months(user: GetUserDep, session: SessionDep, dag_id: str | None = None) -> Response:
    """Every month of each dataset whose runs the user may read, from the first to the present one, as JSON.

    `dag_id`: only the dataset of this DAG. Amounts are text, which keeps the cents; times are ISO 8601, UTC.
    """
    try:
        lines = [line for dataset in readable(user, dag_id) for line in ledger_of(dataset, session, user)]
    except (psycopg.Error, SettingError) as error:
        LOG.exception("The ledger cannot read the warehouse")
        # the error's text names the server
        told = (
            f"The warehouse cannot be read ({type(error).__name__}). {what_to_do(error)} The api-server's log says why."
        )
        raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, told) from None
    # FastAPI's own encoder takes 17 ms for 320 months, this one 2 ms
    return Response(json.dumps(lines, default=as_text), media_type="application/json")


def what_to_do(error: psycopg.Error | SettingError) -> str:
    """A sentence: whether it heals by itself, and the entry of the runbook."""
    answer = answer_to(error.sqlstate, str(error)) if isinstance(error, psycopg.Error) else None
    entry = answer.entry if answer else SETTING if isinstance(error, SettingError) else OTHER
    wait = "It heals by itself; if it does not: " if answer and answer.heals else ""
    return f'{wait}RUNBOOK.md, "{entry.heading}".'


def as_text(value: Any) -> str:
    return value.isoformat() if isinstance(value, date) else str(value)


def ledger_of(dataset: Dataset, session: Any, user: Any) -> list[dict[str, Any]]:
    """A line for each month of the dataset, from the first to the present one."""
    timezone = default_timezone()
    tasks = tasks_by_month(session, dataset, timezone)
    schema = dataset.published_schema()
    with connect(warehouse_dsn()) as connection:
        figures = figures_by_month(connection, dataset, schema)
        profiles = profiles_by_month(connection, dataset, schema)
        code = MadeBy(code_version(dataset.models), models_by_version(connection, schema))
    audits, departures = audits_of(dataset.models), departing(profiles, dataset)
    compared = (*dataset.profile.ratios, *dataset.profile.differences) if dataset.profile else ()
    names = dict.fromkeys((*FIRST_OF_PROFILE, *compared))
    common = {
        "dataset": dataset.name,
        "title": dataset.title,
        "dag_id": dataset.dag_id,
        "has_reports": dataset.report_dag_id is not None,
        "may_backfill": may("POST", dataset, user),
    }
    now, due = datetime.now(UTC), MonthlyOncePublished(dataset.published_after).due
    scheduled = next_scheduled_month(session, dataset, timezone)
    lines = []
    for month in dataset.first_month.through(Month.containing(now, timezone)):
        known = figures.get(month, {})
        is_published = bool(known.get("published_at")) if dataset.months_table else None
        expected_at = due(month)
        of_month = tasks.get(month, [])
        restated, kept = known.pop("restated", None), known.pop("kept", None) or []
        pinned, odd = known.pop("pinned", None), known.pop("odd", None) or []
        comes_by_itself = scheduled is not None and month >= scheduled and expected_at > now
        judged = judge(of_month, is_published, comes_by_itself, is_restated=restated is not None)
        run = next((task for task in of_month if task.run_id == judged.run_id), None)
        profile = profiles.get(month, {})
        lines.append(
            common
            | {
                "month": str(month),
                "starts_at": month.start_in(timezone).isoformat(),
                "expected_at": expected_at.isoformat(),
                "state": judged.state,
                "is_late": judged.state == "waiting" and is_late(dataset, month, now),
                "is_published": is_published or judged.state in PUBLISHED,
                "readers_see": None if judged.state in PUBLISHED else readers_see(known),
                "failed_task": judged.task and judged.task.task_id,
                "reason": judged.task and judged.task.reason,
                "run_id": judged.run_id,
                "run_began": run and run.run_began,
                "run_ended": run and run.run_ended,
                "tasks": run and run.tasks,
                "tasks_begun": run and run.tasks_begun,
                "task_begun": run and run.task_begun,
                **{name: known.get(name) for name in ("rows_in_file", "rows_accepted", "rows_rejected")},
                **code.of_month(known if is_published else None),
                "figures": known,
                "profile": {name: profile[name] for name in names if profile.get(name) is not None},
                "restated": restated,
                "kept": kept,
                "pinned": pinned,
                "departures": [str(each) for each in departures.get(month, [])],
                "accepted": accepted(odd, known.get("file_sha256")),
                "may_accept": may_accept(odd, known.get("loaded_sha256"), audits) if judged.state == "failed" else [],
            }
        )
    return lines


def accepted(odd: Iterable[dict[str, Any]], published: str | None) -> list[dict[str, Any]]:
    """What was accepted for the file that is published: audit, reason, who and when."""
    return [
        {"audit": name_of(each["audit"]), **{key: each[key] for key in ("reason", "by", "at")}}
        for each in odd
        if each["reason"] and each["sha256"] == published
    ]


def may_accept(odd: Iterable[dict[str, Any]], loaded: str | None, audits: Mapping[str, str | None]) -> list[str]:
    """The audits that may be accepted, and failed on the file that is loaded: they keep it out.

    `audits`: by name, the id of each that may be accepted.
    """
    failed = (each["audit"] for each in odd if not each["reason"] and each["sha256"] == loaded)
    return [name_of(audit) for audit in failed if audit in audits.values()]


def name_of(audit: str) -> str:
    """The name of a test, from its id in dbt."""
    return audit.split(".")[2]


def readers_see(figures: dict[str, Any]) -> str | None:
    """What the published tables have of a month whose latest run has not published it; None: nothing."""
    if not (published_at := figures.get("published_at")):
        return None
    file = f", of the file with SHA-256 {sha256[:12]}" if (sha256 := figures.get("file_sha256")) else ""
    return f"Readers see the version of {published_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC{file}."
