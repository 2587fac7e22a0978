"""What a failed task's log ends with: what failed, why, and the entry of the runbook that helps."""

from __future__ import annotations

import logging
import re
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
import requests
from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowRuntimeError, AirflowTaskTimeout, ErrorType, TaskDeferralTimeout
from airflow.sdk.execution_time.comms import ErrorResponse

from include.alerts import outbox as notify
from include.alerts import runbook
from include.alerts.runbook import ENTRIES
from include.datasets import DATASETS, Dataset, default_dataset
from include.failures.diagnosis import entry_of
from include.failures.listener import on_task_instance_failed, tell_of_a_killed_task
from include.ingest.acceptances import NotAccepted
from include.ingest.rebuild import NothingLoaded
from include.ingest.restore import VersionNotKept
from include.month import MonthError
from include.processes.drift import OtherRevision
from include.settings import ROOT, SettingError
from include.source.availability import MonthUnavailable
from include.source.download import FileChanged
from include.source.etag_trigger import SourceNotAsked
from include.source.reader import FileContentError
from include.transform.dbt_log import DbtFailed, FailedNode
from tests.support.stack.failed_task import failed_task

AUDIT = FailedNode("test", "reject_share", 2, "reject_share: Guards against x.\n  rows=400\n  rows=401")
MODEL = FailedNode("model", "fct_trips", None, "value too large\nDETAIL: row 7\n  > in macro x (y.sql)")


def by_dbt(words: str, *nodes: FailedNode) -> DbtFailed:
    return DbtFailed(f"dbt invocation completed with errors: {words}", nodes)


def server(**detail: Any) -> AirflowRuntimeError:
    return AirflowRuntimeError(ErrorResponse(error=ErrorType.API_SERVER_ERROR, detail=detail))


CASES: list[tuple[BaseException, str, str]] = [
    (MonthError("x"), "wait_for_month", "MONTH"),
    (MonthUnavailable("x"), "wait_for_month", "UNAVAILABLE"),
    (requests.ConnectionError("x"), "wait_for_month", "SOURCE"),
    (requests.HTTPError("503"), "load_month", "SOURCE"),
    (requests.exceptions.SSLError("x"), "load_month", "SOURCE"),
    (FileChanged("x"), "load_month", "SOURCE"),
    (FileContentError("x"), "load_month", "LOAD"),
    (psycopg.OperationalError("connection refused"), "load_month", "POSTGRES"),
    (psycopg.OperationalError("password authentication failed"), "load_month", "SETTING"),
    (psycopg.errors.DiskFull("x"), "load_month", "FULL"),
    (psycopg.errors.DeadlockDetected("x"), "load_month", "LOCKED"),
    (psycopg.errors.QueryCanceled("x"), "load_month", "TIME"),
    (psycopg.errors.CheckViolation("x"), "load_month", "OTHER"),
    (VersionNotKept("x"), "load_month", "UNDO"),
    (NothingLoaded("x"), "load_month", "LOAD"),
    (NotAccepted("x"), "load_month", "AUDIT"),
    (SourceNotAsked("x"), "find_restated_green", "ASKED"),
    (TaskDeferralTimeout("x"), "find_restated_green", "ASKED"),
    (OtherRevision("x"), "load_month", "REVISION"),
    (SettingError("x"), "load_month", "SETTING"),
    (server(status_code=None), "load_month", "API_SERVER"),
    (AirflowTaskTimeout("x"), "build.int_zones.run", "TIME"),
    (by_dbt("x", AUDIT), "build.int_trips_judged.test", "AUDIT"),
    (by_dbt("x", AUDIT), "publish.fct_trips.test", "PUBLISHED_TEST"),
    (by_dbt("relation does not exist", MODEL), "build.int_zones.run", "MODEL"),
    (by_dbt("could not receive data from server", MODEL), "build.int_zones.run", "POSTGRES"),
    (by_dbt("x", replace(MODEL, sqlstate="25006")), "build.int_zones.run", "FULL"),
    (by_dbt("connection refused", replace(MODEL, sqlstate="42P01")), "build.int_zones.run", "MODEL"),
    (by_dbt("x", replace(MODEL, sqlstate="42P01"), replace(MODEL, sqlstate="40P01")), "build.x.test", "LOCKED"),
    (by_dbt("x", AUDIT, replace(MODEL, sqlstate="40P01")), "build.x.test", "AUDIT"),
    (DbtFailed("x", (), "53100"), "build.int_zones.run", "FULL"),
    (by_dbt("fct_trips stays as it was: …", MODEL), "publish.fct_trips.run", "REFUSED"),
    (by_dbt('relation "a.audit_log" does not exist', MODEL), "publish.fct_trips.run", "REFUSED"),
    (by_dbt("x is not there: the run schema was dropped, or …"), "build.int_zones.run", "DROPPED"),
    (OSError("No space left on device"), "load_month", "OTHER"),
]


def test_every_entry_is_in_the_runbook_and_has_a_cause_of_its_own():
    headings = re.findall(r"^## (.*)$", (ROOT / "RUNBOOK.md").read_text(), flags=re.MULTILINE)
    assert {each.heading for each in ENTRIES} <= set(headings)
    assert len({each.cause for each in ENTRIES}) == len(ENTRIES)
    assert set(ENTRIES) == {each for each in vars(runbook).values() if isinstance(each, runbook.Entry)}


@pytest.mark.parametrize(("error", "task_id", "entry"), CASES, ids=[f"{each[2]} {each[0]!r}"[:60] for each in CASES])
def test_the_entry_fits_the_failure_and_its_command_the_month(error, task_id, entry, caplog):
    assert entry_of(error, default_dataset().dag_id, task_id) is getattr(runbook, entry)
    for dataset in DATASETS.values():
        for month in ("2024-01", None):
            on_task_instance_failed(task_instance=failed_task(dataset.dag_id, task_id, month=month), error=error)
            assert f'RUNBOOK.md, "{getattr(runbook, entry).heading}". Shown by: ' in caplog.records[-1].getMessage()
            assert not re.search(r"\{\w+\}|None", caplog.records[-1].getMessage())


@pytest.mark.parametrize("dag_id", [each.report_dag_id for each in DATASETS.values() if each.report_dag_id])
def test_any_other_failure_of_a_report_is_the_report_s(dag_id: str):
    assert entry_of(PermissionError("x"), dag_id, "write_reports") is runbook.REPORT


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]


@pytest.mark.parametrize("dataset", DATASETS.values(), ids=DATASETS)
def test_the_log_ends_in_what_failed_why_and_what_to_do_after_the_first_rows_that_fail(caplog, dataset: Dataset):
    ended = failed_task(dataset.dag_id, "build.x.test")
    named = "" if dataset is default_dataset() else f"DATASET={dataset.name} "
    on_task_instance_failed(task_instance=ended, error=by_dbt("x", AUDIT))
    assert lines(caplog) == [
        "reject_share: Guards against x.",
        "Rows that fail it, the first 2:",
        "  rows=400",
        "  rows=401",
        (
            f"What failed: audit reject_share (2 failing rows); 2024-01 of {dataset.name}; task build.x.test of "
            f"{dataset.dag_id}, try 1"
        ),
        "Why: reject_share: 2 failing rows; the first: rows=400",
        (
            'What to do: RUNBOOK.md, "An audit fails (a task that ends in `test`, in `build`)". Shown by: make dbt '
            f"{named}ARGS=\"test --select reject_share --store-failures --vars '{{ds: 2024-01-01}}'\""
        ),
    ]


def test_five_rows_of_an_audit_are_shown_at_most(caplog):
    words = "\n".join(["x: Guards.", *(f"  row={each}" for each in range(9))])
    on_task_instance_failed(task_instance=failed_task(), error=by_dbt("x", FailedNode("test", "x", 9, words)))
    assert lines(caplog)[1:-3] == ["Rows that fail it, the first 5:", *(f"  row={each}" for each in range(5))]


def test_an_audit_s_own_words_are_the_reason_and_no_row(caplog):
    words = "x: Guards.\n  why: 40 of 400 rows are rejected\n  rows=400, rejected=40"
    on_task_instance_failed(task_instance=failed_task(), error=by_dbt("x", FailedNode("test", "x", 1, words)))
    assert lines(caplog)[:3] == ["x: Guards.", "Rows that fail it, the first 1:", "  rows=400, rejected=40"]
    assert lines(caplog)[-2] == "Why: x: 40 of 400 rows are rejected"


def test_each_of_the_three_is_one_line_in_postgres_words(caplog):
    dataset = default_dataset()
    on_task_instance_failed(task_instance=failed_task(task_id="publish.x.run"), error=by_dbt("x", MODEL))
    assert lines(caplog)[:-1] == [
        f"What failed: model fct_trips; 2024-01 of {dataset.name}; task publish.x.run of {dataset.dag_id}, try 1",
        "Why: value too large DETAIL: row 7",
    ]


def test_of_a_task_that_is_tried_again_the_log_says_so_and_nobody_is_told(caplog, monkeypatch):
    told: list[str] = []
    monkeypatch.setattr(notify, "notify", lambda **message: told.append(message["cause"]))
    error = psycopg.OperationalError("connection refused")
    on_task_instance_failed(task_instance=failed_task(state="up_for_retry"), error=error)
    assert "What to do: nothing yet, as it is tried again by itself. If it fails for good: RUNBOOK.md" in caplog.text
    assert told == []
    on_task_instance_failed(task_instance=failed_task(), error=error)
    assert "nothing yet" not in lines(caplog)[-1]
    assert told == ["Postgres does not answer"]


def test_the_command_reads_the_run_s_own_schema(caplog):
    operator, own = failed_task().task, f"{default_dataset().published_schema()}_20240101"
    operator.env = {"PG_RUN_SCHEMA": f"{own}_0123abcd"}
    on_task_instance_failed(task_instance=failed_task(operator=operator), error=by_dbt("x", MODEL))
    assert f"Shown by: PG_RUN_SCHEMA={own}_0123abcd make dbt ARGS=" in lines(caplog)[-1]
    operator.env = {"PG_RUN_SCHEMA": own}
    on_task_instance_failed(task_instance=failed_task(operator=operator), error=by_dbt("x", MODEL))
    assert "Shown by: make dbt ARGS=" in lines(caplog)[-1]


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("http://127.0.0.1:8099/mirror/", "http://127.0.0.1:8099/mirror"),
        ("https://ana:s3cret@files.example.org/tlc?token=s3cret#s3cret", "https://files.example.org/tlc"),
        ("https://files.example.org:no-port/", f"<{default_dataset().host.variable}>"),
    ],
)
def test_the_command_asks_the_configured_source_and_shows_no_secret(caplog, monkeypatch, address, shown):
    dataset = default_dataset()
    monkeypatch.setenv(f"AIRFLOW_VAR_{dataset.host.variable.upper()}", address)
    on_task_instance_failed(task_instance=failed_task(task_id="wait_for_month"), error=MonthUnavailable("x"))
    asked = f"{shown}/{dataset.monthly.path.format(month='2024-01')}"
    assert lines(caplog)[-1].endswith(f"Shown by: curl -sI {asked}")
    assert "s3cret" not in caplog.text


@pytest.mark.parametrize("error", [None, "killed"])
def test_nothing_is_said_where_there_is_no_error_or_the_task_is_somebody_else_s(error, caplog):
    on_task_instance_failed(task_instance=failed_task(), error=error)
    theirs = failed_task("somebody_elses", operator=BaseOperator(task_id="x"))
    on_task_instance_failed(task_instance=theirs, error=ValueError("x"))
    assert caplog.records == []


@pytest.mark.long
def test_a_reason_that_comes_after_the_run_has_ended_is_waited_for():
    reasons = iter([[], [], "an audit failed"])
    task = SimpleNamespace(task_id="build.int_zones.test", xcom_pull=lambda **_: next(reasons))
    tell_of_a_killed_task({"ti": task})  # would fail on this task, had it something to tell
    assert list(reasons) == []
