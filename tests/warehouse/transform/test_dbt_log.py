"""What dbt says in a task's log, and what a task fails with: the operators run, each in a process of its own."""

from __future__ import annotations

import logging
import re
import tempfile
from collections.abc import Callable
from functools import partial
from typing import Any

import psycopg
import pytest

from dev.services.warehouse_address import WarehouseAddress
from include.alerts.runbook import AUDIT, FULL, MODEL, OTHER, POSTGRES, PUBLISHED_TEST, REFUSED, TIME, Entry
from include.failures.diagnosis import entry_of
from include.failures.listener import on_task_instance_failed
from include.failures.reason import reason_of
from include.failures.retry import RetryWhatHeals, heals
from include.transform import operators as dbt_operators
from include.transform.dbt_log import DbtFailed, FailedNode
from include.transform.operators import RunDbt, RunModel
from tests.support.dbt.project import Project
from tests.support.documents import shows
from tests.support.helpers import ends_well, fork
from tests.support.postgres.warehouse_content import query
from tests.support.stack.failed_task import failed_task
from tests.support.stack.mailbox import free_port

RUN_SCHEMA = "airflow_default_20240101"
TRIPS = f"{RUN_SCHEMA}.int_trips_judged"


@pytest.fixture(autouse=True)
def connection(built: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_AZURE_PG", WarehouseAddress.from_dsn(built.dsn).airflow_connection())


class Lines(logging.Handler):
    """Keeps each line of the log."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.kept: list[tuple[str, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.kept.append((record.levelname, record.getMessage()))


def task(operator: type[RunDbt], task_id: str, select: str, exclude: str = "") -> RunDbt:
    env = {"PG_SCHEMA": "airflow_default", "PG_RUN_SCHEMA": RUN_SCHEMA}
    given = {"env": env, "vars": {"ds": "2024-01-01"}, "retry_policy": RetryWhatHeals()}
    return operator(task_id=task_id, select=select, exclude=exclude, **given)


def lines_of(operator: RunDbt, fails_with: type[Exception] | None = None) -> tuple[list[tuple[str, str]], Any]:
    """The log of a task in this process, with what a failed one ends in, and the error."""
    lines, error, foreseen = Lines(), None, (fails_with,) if fails_with else ()
    logging.getLogger("include").setLevel(logging.DEBUG)
    logging.getLogger("include").addHandler(lines)
    try:
        operator.execute({})
        assert not foreseen
    except foreseen as failure:
        error = failure
        ended = failed_task(task_id=operator.task_id, operator=operator)
        on_task_instance_failed(task_instance=ended, error=error)
    gone = tempfile.gettempdir()
    assert [line for _, line in lines.kept if gone in line or "\x1b" in line] == []
    assert gone not in str(error)
    return lines.kept, error


def in_a_process_of_its_own(test: Callable[[], None]) -> None:
    ends_well(fork(test))


def test_the_preamble_is_for_debugging_and_the_results_are_not():
    def run() -> None:
        lines, _ = lines_of(task(RunModel, "build.int_zones.run", "int_zones"))
        preamble = ("Registered adapter", "Found ", "Concurrency", "START hook", "OK hook")
        results = ("START sql", "OK created", "Finished running", "Done.")
        levels = {said: {level for level, line in lines if said in line} for said in preamble + results}
        assert levels == {said: {"DEBUG"} for said in preamble} | {said: {"INFO"} for said in results}
        assert all(line.strip() for _, line in lines)

    in_a_process_of_its_own(run)


def test_of_each_audit_that_fails_the_first_rows_are_shown_and_how_many_there_are(built: Project):
    query(built.dsn, f"update {TRIPS} set rejection_reason = 'whim' where source_row between 7 and 8")
    query(built.dsn, f"update {TRIPS} set source_row = 1 where source_row < 8")

    def run() -> None:
        tests = task(
            dbt_operators.TestNode, "build.int_trips_judged.test", "int_trips_judged", "resource_type:unit_test"
        )
        lines, error = lines_of(tests, DbtFailed)
        found = {node.name: node for node in error.nodes}
        assert found["int_trips_judged_rejection_reasons_known"] == FailedNode(
            "test",
            "int_trips_judged_rejection_reasons_known",
            1,
            "int_trips_judged_rejection_reasons_known: Guards against a new rule whose rows no column of fct_months "
            "counts.\n  value_field=whim, n_records=2",
        )
        assert ("ERROR", "  value_field=whim, n_records=2") in lines
        assert ("INFO", "  value_field=whim, n_records=2") in lines  # where it was found, as before
        assert [line.partition(":")[0] for _, line in lines[-3:]] == ["What failed", "Why", "What to do"]
        assert "audit int_trips_judged_source_row_unique (1 failing row)" in lines[-3][1]

    in_a_process_of_its_own(run)


@pytest.mark.parametrize(
    ("broken", "operator", "task_id", "select", "words", "entry", "symptom"),
    [
        (
            f"alter table {TRIPS} rename column pickup_zone_id to away",
            RunModel,
            "build.int_zone_days.run",
            "int_zone_days",
            'column "pickup_zone_id" does not exist',
            MODEL,
            "Database Error",
        ),
        (
            f"alter table {TRIPS} alter column passenger_count type text",
            RunModel,
            "publish.fct_trips.run",
            "fct_trips",
            "fct_trips is not what its contract says: passenger_count is TEXT, not INTEGER",
            MODEL,
            "is not what its contract says",
        ),
        (
            "update airflow_default.audit_log set passed = false where audit like '%reject_share_is_plausible%'",
            RunModel,
            "publish.fct_trips.run",
            "fct_trips",
            "fct_trips stays as it was: not every audit of the rows to be published has passed",
            REFUSED,
            "fct_trips stays as it was: not every audit of the rows to be published has passed",
        ),
        (
            "delete from airflow_default.fct_trips where source_row = 1",
            dbt_operators.TestNode,
            "publish.fct_trips.test",
            "fct_trips",
            "fct_trips_published_as_audited: ",
            PUBLISHED_TEST,
            "…_published_as_audited",
        ),
        (
            f"update {TRIPS} set rejection_reason = 'distance_impossible' where source_row % 50 = 0",
            dbt_operators.TestNode,
            "build.int_trips_judged.test",
            "reject_share_is_plausible",
            "reject_share_is_plausible: ",
            AUDIT,
            "build.….test",
        ),
    ],
    ids=["a model", "a contract", "a refused publication", "a published table", "an audit"],
)
def test_a_failure_is_told_in_the_words_of_postgres_or_the_audit_and_leads_to_its_entry(
    built: Project,
    broken: str,
    operator: type[RunDbt],
    task_id: str,
    select: str,
    words: str,
    entry: Entry,
    symptom: str,
):
    query(built.dsn, broken)

    def run() -> None:
        exclude = "resource_type:unit_test" if operator is not RunModel else ""
        lines, error = lines_of(task(operator, task_id, select, exclude), DbtFailed)
        (_, what), (_, why), (_, todo) = lines[-3:]
        assert select in what
        assert why.startswith(f"Why: {words}"), why
        assert f'RUNBOOK.md, "{entry.heading}". Shown by: ' in todo
        assert ">" not in why
        assert entry_of(error, "taxi_pipeline", task_id) is entry
        shows(entry.heading, symptom, "\n".join(line for _, line in lines))

    in_a_process_of_its_own(run)


# what the reason says, beside the audit's name, of rows planted to break it
WHY = {
    "reject_share_is_plausible": (
        (
            f"update {TRIPS} set rejection_reason = case when source_row % 40 = 0 then 'amount_impossible' "
            "else 'distance_impossible' end where source_row % 20 = 0"
        ),
        (
            r"\d+ of 400 rows are rejected, \d+\.\d\d %, and at most 1 % may be; the commonest reasons: "
            r"(amount|distance)_impossible 1\d, (amount|distance)_impossible 1\d, \w+ \d"
        ),
    ),
    "pickups_are_of_the_month": (
        f"update {TRIPS} set pickup_at = '2024-02-03' where source_row % 10 = 0",
        r"4\d of 400 pickups are of other months, 1\d[.]\d+ %, and at most 1 % may be; most of them of .*",
    ),
    "trips_fit_the_contract_of_fct_trips": (
        f"update {TRIPS} set extra_amount = 1e10 where rejection_reason is null",
        r"extra_amount = 10000000000 does not fit fct_trips, where it is numeric\(\d+, ?2\)",
    ),
    "zone_days_fit_the_contract_of_fct_zone_days": (
        f"update {RUN_SCHEMA}.int_zone_days set trips = 0",
        r"a row breaks the check of fct_zone_days: trips\b.*",
    ),
    "zones_fit_the_contract_of_dim_zones": (
        f"update {RUN_SCHEMA}.int_zones set zone_id = 2 where zone_id = 1",
        r"the primary key \(zone_id\) of dim_zones occurs more than once: 2",
    ),
    "month_counts_add_up": (
        f"update {RUN_SCHEMA}.int_months set rows_accepted = rows_accepted - 1",
        r"the file has 400 rows, and \d+ are accepted and \d+ rejected",
    ),
    "no_day_is_without_pickups": (
        (
            f"update {RUN_SCHEMA}.int_month_profile set rows_profiled = 1000, days_without_pickup = 21, "
            "last_pickup_date = '2024-01-10'"
        ),
        "days without pickup: 21, at most 0: the file has a hole, or ends early; its last pickup is of 2024-01-10",
    ),
    "raw_trips_hold_the_rows_that_were_logged": (
        "delete from airflow_default.raw_trips where source_row = 7",
        "load_log says 400 rows, and the raw table has 399, with 399 numbers from 1 to 400",
    ),
}


@pytest.mark.parametrize("audit", WHY)
def test_the_reason_says_which_figure_against_which_bound(built: Project, audit: str):
    breaks, says = WHY[audit]
    query(built.dsn, breaks)

    def run() -> None:
        _, error = lines_of(task(dbt_operators.TestNode, "build.x.test", audit), DbtFailed)
        assert re.fullmatch(f"{audit}: {says}", reason_of(error)), reason_of(error)

    in_a_process_of_its_own(run)


def test_what_has_no_entry_of_its_own_is_said_to_have_none(monkeypatch: pytest.MonkeyPatch):
    def run() -> None:
        on_no_disk = partial(tempfile.TemporaryDirectory, dir="/nowhere", prefix="target-")
        monkeypatch.setattr(tempfile, "TemporaryDirectory", on_no_disk)
        lines, _ = lines_of(task(RunModel, "build.int_zones.run", "int_zones"), FileNotFoundError)
        assert "/nowhere/" in lines[-2][1]
        shows(OTHER.heading, 'What to do: RUNBOOK.md, "A failure without an entry of its own"', lines[-1][1])

    in_a_process_of_its_own(run)


def test_where_postgres_does_not_answer_the_entry_is_that_of_postgres(monkeypatch: pytest.MonkeyPatch):
    address = f"postgresql://somebody:secret@127.0.0.1:{free_port()}/warehouse"
    monkeypatch.setenv("AIRFLOW_CONN_AZURE_PG", address)

    def run() -> None:
        lines, error = lines_of(task(RunModel, "build.int_zones.run", "int_zones"), DbtFailed)
        assert "Connection refused" in lines[-2][1]
        assert entry_of(error, "taxi_pipeline", "build.int_zones.run") is POSTGRES
        log = "\n".join(line for _, line in lines)
        assert "secret" not in log
        shows(POSTGRES.heading, "Connection refused", log)

    in_a_process_of_its_own(run)


@pytest.mark.parametrize(
    ("setting", "model", "state", "entry"),
    [
        ("default_transaction_read_only = on", "int_zones", "25006", FULL),
        ("statement_timeout = '1s'", "int_trips_judged", "57014", TIME),
    ],
    ids=["read-only", "a bound"],
)
def test_what_postgres_answers_to_dbt_has_its_sqlstate(
    built: Project, monkeypatch: pytest.MonkeyPatch, setting: str, model: str, state: str, entry: Entry
):
    """The first in the hook at the start, which no node of dbt runs. The second waits for a lock of the test's.

    Not for a bound of 1 ms: at a statement's very beginning Postgres calls a timeout a user's request (1 of 3 runs).
    """

    def run() -> None:
        _, error = lines_of(task(RunModel, f"build.{model}.run", model), DbtFailed)
        states = {each.sqlstate for each in error.nodes} or {error.sqlstate}
        assert states == {state}, (error, error.nodes)
        assert heals(error)
        assert entry_of(error, "taxi_pipeline", f"build.{model}.run") is entry

    with psycopg.connect(built.dsn) as another:
        another.execute("lock table airflow_default.raw_trips")
        monkeypatch.setenv("PGOPTIONS", f"-c {setting}".replace(" = ", "=").replace("'", ""))
        in_a_process_of_its_own(run)
