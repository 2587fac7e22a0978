"""What heals by itself, on the whole stack: the task is tried again, and the month ends as if nothing had happened."""

from __future__ import annotations

import queue
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from dev.runs.backfill import Backfill
from dev.system.programs import run
from include.alerts.runbook import SOURCE
from include.datasets import GREEN
from include.failures.retry import RETRIES
from include.month import Month
from tests.support.documents import shows
from tests.support.helpers import cut
from tests.support.meanwhile import meanwhile
from tests.support.postgres.warehouse_content import content, query
from tests.support.stack.pipeline import Pipeline
from tests.support.stack.processes import asker, kill
from tests.support.until import until

MONTH, DAY = "2023-06", "2023-06-01"
PATH = f"/trip-data/green_tripdata_{MONTH}.parquet"
ROWS_OF_MONTH = f"where source_month = '{DAY}'"


@pytest.fixture(scope="module")
def published(pipeline: Pipeline) -> Pipeline:
    pipeline.publish_file(MONTH)
    pipeline.backfill(MONTH)
    return pipeline


@pytest.fixture
def admin(pipeline: Pipeline) -> Iterator[psycopg.Connection]:
    with psycopg.connect(pipeline.stack.postgres.dsn("warehouse", "postgres"), autocommit=True) as connection:
        yield connection


def test_a_month_goes_through_whatever_heals(published: Pipeline, admin: psycopg.Connection, tmp_path: Path):
    published.publish_file(MONTH, version=2)
    expected = published.content_of_a_clean_load(MONTH, tmp_path)
    run_id = published.run_of(MONTH)
    before = {name: task["try_number"] for name, task in published.tasks(run_id).items()}
    published.tlc.faults[PATH] = busy_then_cut_off()
    try:
        with (
            deadlock_at_fct_trips(published, admin) as deadlock,
            conflict_at_fct_zone_days(published, admin) as conflict,
        ):
            published.clear_run(run_id)
            published.wait_for_task(run_id, "load_month", "success")
            refuse_connections_until_a_task_was_refused(published, admin, run_id)
            with meanwhile(deadlock, every=0.05), meanwhile(conflict, every=0.05):
                state = published.wait(run_id, seconds=120)
    finally:
        del published.tlc.faults[PATH]
    assert state == "success", published.states(run_id)
    assert content(published.dsn, month=MONTH) == expected

    tasks = published.tasks(run_id)
    said = {
        task: [published.log(run_id, task, attempt) for attempt in range(before[task] + 1, tasks[task]["try_number"])]
        for task in tasks
    }
    assert ["503" in log for log in said["wait_for_month"]] == [True]
    shows(SOURCE.heading, "HTTPError: 5…", said["wait_for_month"][0])
    leads_to = 'nothing yet, as it is tried again by itself. If it fails for good: RUNBOOK.md, "{}"'
    assert leads_to.format(SOURCE.heading) in said["wait_for_month"][0]
    assert ["429" in said["load_month"][0], "IncompleteRead" in said["load_month"][1]] == [True, True]
    assert any("too many connections for role" in log for logs in said.values() for log in logs)
    assert "deadlock detected" in said["publish.fct_trips.run"][-1]
    assert "could not serialize access" in said["publish.fct_zone_days.run"][-1]


def test_what_does_not_heal_is_not_tried_again(published: Pipeline):
    run_id, model = published.run_of(MONTH), "publish.fct_zone_days.run"
    before, tries = content(published.dsn), published.tasks(run_id)[model]["try_number"]
    rename = "alter table airflow_default_20230601.int_zone_days rename column {} to {}"
    query(published.dsn, rename.format("trips", "rides"))
    published.clear(run_id, model)
    published.wait_for_failure(run_id, model)
    task = published.tasks(run_id)[model]
    assert (task["try_number"], task["max_tries"] >= RETRIES) == (tries + 1, True)
    assert "does not exist" in published.log(run_id, model, tries + 1)
    assert content(published.dsn) == before
    # mended, and cleared
    query(published.dsn, rename.format("rides", "trips"))
    published.clear(run_id, model)
    assert published.wait(run_id) == "success"
    assert content(published.dsn) == before


def test_a_task_that_failed_alone_is_found_under_its_green_run(published: Pipeline):
    """Airflow judges a run by its last tasks. When that changes, RUNBOOK needs this section no more."""
    run_id, model = published.run_of(MONTH), "build.int_zone_days.run"
    rename = "alter table airflow_default_20230601.{} rename to {}"
    query(published.dsn, rename.format("int_trips_judged", "away"))
    try:
        published.clear(run_id, model)
        assert published.wait(run_id) == "success"
        assert published.states(run_id)[model] == "failed"
        shows("A red task under a green run", "A run is green, and a task of it red")
        # as RUNBOOK looks for it: over all months, and in one
        failed = published.stack.api.pages(published.paths.tasks, "task_instances", state="failed")
        assert (run_id, model) in {(task["dag_run_id"], task["task_id"]) for task in failed}
        look = ("tasks", "states-for-dag-run", GREEN.dag_id, run_id, "--output", "plain")
        told = run("airflow", *look, environment=published.stack.environment(), capture=True).stdout
        assert re.search(rf"{re.escape(model)}\s+failed", told), told
        # cleared with what follows it, it does fail the run
        published.clear(run_id, model, downstream=True)
        assert published.wait(run_id) == "failed"
    finally:
        query(published.dsn, rename.format("away", "int_trips_judged"))
    published.clear(run_id, model, downstream=True)
    assert published.wait(run_id) == "success"
    assert set(published.states(run_id).values()) == {"success"}


@pytest.mark.long
def test_tries_count_from_the_latest_clear_and_a_killed_task_runs_again_soon(published: Pipeline):
    """Whatever state the task was cleared in. The delay before a retry is made from this count."""
    run_id, task = published.run_of(MONTH), "wait_for_month"

    def tries_since_cleared() -> int:
        counted = published.tasks(run_id)[task]
        return counted["try_number"] - (counted["max_tries"] - RETRIES)

    source = Source()
    published.tlc.faults[PATH] = source.answer
    try:
        # when it had succeeded
        for _ in range(2):
            published.clear(run_id, task)
            assert published.wait(run_id) == "success"
        assert tries_since_cleared() == 1
        # when it waited for its retry, ten minutes away
        source.busy = True
        published.clear(run_id, task)
        for _ in range(2):
            published.wait_for_task(run_id, task, "up_for_retry")
            assert tries_since_cleared() == 1
            published.clear(run_id, task)
        published.wait_for_task(run_id, task, "up_for_retry")
        # when it was running
        source.busy, source.slow = False, True
        published.clear(run_id, task)
        first = source.asked_by()
        published.clear(run_id, task)
        second = source.asked_by()
        assert first != second
        assert tries_since_cleared() == 1
        # killed while it was running; by Airflow's own backoff, the next retry would be two minutes away
        killed = time.monotonic()
        kill(second)
        source.slow = False
        assert published.wait(run_id) == "success"
        assert time.monotonic() - killed < 30
        assert tries_since_cleared() == 2
        # and when it had failed
        source.denied = True
        for _ in range(2):
            published.clear(run_id, task)
            published.wait_for_failure(run_id, task)
            assert tries_since_cleared() == 1
    finally:
        del published.tlc.faults[PATH]
    # cleared by a backfill
    before = published.tasks(run_id)[task]["try_number"]
    published.wait_for_backfills_to_close()
    Backfill(published.stack.api, GREEN, [Month.parse(MONTH)]).create(reprocess="completed")
    assert published.wait(run_id) == "success"
    assert (published.tasks(run_id)[task]["try_number"], tries_since_cleared()) == (before + 1, 1)


class Source:
    """One that is busy, slow or denies access when it is told to, and knows who asks."""

    def __init__(self) -> None:
        self.busy = self.slow = self.denied = False
        self._asking: queue.Queue[int] = queue.Queue()

    def answer(self, request) -> bool | None:
        if self.busy:
            return request.answer(503, b"busy", Retry_After="600")
        if self.denied:
            return request.answer(405, b"no")
        if self.slow:
            self._asking.put(asker(request))
            while self.slow:
                time.sleep(0.1)
        return False

    def asked_by(self) -> int:
        """The process that asks next."""
        return self._asking.get(timeout=60)


def busy_then_cut_off():
    """A source that is busy when asked, busy when asked for the file, and then hangs up in the middle of it."""
    answers = {
        "HEAD": [lambda request: request.answer(503, b"busy")],
        "GET": [lambda request: request.answer(429, b"slow down", Retry_After="1"), cut],
    }

    def answer(request) -> bool | None:
        return answers[request.command].pop(0)(request) if answers[request.command] else False

    return answer


@contextmanager
def altered_role(admin: psycopg.Connection, so: str, back: str) -> Iterator[None]:
    """The pipeline's role altered so, for sessions that begin meanwhile."""
    admin.execute(f"alter role pipeline {so}")
    try:
        yield
    finally:
        admin.execute(f"alter role pipeline {back}")


def refuse_connections_until_a_task_was_refused(pipeline: Pipeline, admin: psycopg.Connection, run_id: str) -> None:
    with altered_role(admin, "connection limit 0", back="connection limit -1"):
        until(lambda: pipeline.states(run_id), lambda states: "up_for_retry" in states.values(), seconds=60)


@contextmanager
def deadlock_at_fct_trips(pipeline: Pipeline, admin: psycopg.Connection) -> Iterator[Callable[[], None]]:
    """A session that holds the month's rows, and wants the month's lock as soon as a task wants the rows."""
    with (
        # Postgres ends the session whose deadlock_timeout is over first: the task's, if the other one waits by then
        altered_role(admin, "set deadlock_timeout = '3s'", back="reset deadlock_timeout"),
        psycopg.connect(pipeline.stack.postgres.dsn("warehouse", "postgres")) as session,
    ):
        session.execute("set deadlock_timeout = '10min'")
        session.execute(f"select from airflow_default.fct_trips {ROWS_OF_MONTH} for update")

        def step() -> None:
            if not session.closed and waiting_for(session, admin):
                lock = f"select pg_advisory_xact_lock(hashtextextended('airflow_default/fct_trips/{DAY}', 0))"
                session.execute(lock)
                session.close()

        yield step


@contextmanager
def conflict_at_fct_zone_days(pipeline: Pipeline, admin: psycopg.Connection) -> Iterator[Callable[[], None]]:
    """A session that changes the month's rows, and commits that while a task waits to delete them."""
    isolation = "default_transaction_isolation"
    with (
        altered_role(admin, f"set {isolation} = 'repeatable read'", back=f"reset {isolation}"),
        psycopg.connect(pipeline.stack.postgres.dsn("warehouse", "postgres")) as session,
    ):
        session.execute(f"update airflow_default.fct_zone_days set trips = trips {ROWS_OF_MONTH}")

        def step() -> None:
            if not session.closed and waiting_for(session, admin):
                admin.execute(f"alter role pipeline reset {isolation}")
                session.commit()
                session.close()

        yield step


def waiting_for(session: psycopg.Connection, admin: psycopg.Connection) -> bool:
    blocked = "select exists (select from pg_stat_activity where %s = any(pg_blocking_pids(pid)))"
    return admin.execute(blocked, [session.info.backend_pid]).fetchone()[0]
