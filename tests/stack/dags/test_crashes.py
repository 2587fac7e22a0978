"""`kill -9` of whatever works on a month, at every stage; after the retry, the tables are those of no crash.

A month of green's. No stage knows of datasets; tests/warehouse/dbt/test_histories.py cuts off runs of both, anywhere.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from include.datasets import Dataset
from tests.support.meanwhile import meanwhile
from tests.support.postgres.warehouse_content import PUBLISHED
from tests.support.stack.pipeline import Pipeline
from tests.support.stack.processes import asker, client_of, kill
from tests.support.until import until

MONTH = "2023-03"
VIEWS = ("stg_tlc__files", "stg_tlc__zones", "stg_tlc__trips")
TABLES = ("int_trips_judged", "int_zones", "int_zone_days", "int_month_profile", "int_months")


def holds_of(dataset: Dataset) -> dict[str, str]:
    """Statements by which another session makes a task wait in the middle of its transaction."""
    schema = dataset.published_schema("default")
    return {
        # all rows are sent, load_log is next
        "load_month": f"select 1 from {schema}.load_log where source_month = '2023-03-01' for update",
        # the new table or view is made, the old one is about to make way
        **{f"build.{model}": f"select 1 from {schema}_20230301.{model} limit 1" for model in VIEWS + TABLES},
        # the old rows are about to be deleted
        **{f"publish.{mart}": f"select 1 from {schema}.{mart} for update" for mart in PUBLISHED if mart != "dim_zones"},
        # the zones are those of before, and stay: they are about to be looked at
        "publish.dim_zones": f"select pg_advisory_lock(hashtextextended('{schema}/dim_zones', 0))",
    }


@pytest.fixture(scope="module")
def versions(pipeline: Pipeline) -> Iterator[int]:
    """Versions of the month's file that were not up before; the first is published."""
    pipeline.publish_file(MONTH)
    pipeline.backfill(MONTH)
    return itertools.count(2)


@pytest.fixture
def restated(pipeline: Pipeline, versions: Iterator[int], tmp_path: Path) -> tuple[str, dict[str, Any]]:
    """A published month of which TLC has put up another version: its run, and what a load without a crash gives."""
    pipeline.publish_file(MONTH, next(versions))
    return pipeline.run_of(MONTH), pipeline.content_of_a_clean_load(MONTH, tmp_path)


def test_a_task_killed_at_any_stage_leaves_the_tables_of_no_crash_and_readers_see_whole_months(
    pipeline: Pipeline, restated: tuple[str, dict[str, Any]]
):
    run_id, expected = restated
    versions = [pipeline.content(MONTH), expected]
    killed = []
    path = "/" + pipeline.dataset.monthly.path.format(month=MONTH)

    def kill_in_mid_transfer(request) -> bool | None:
        if request.command != "GET" or "download" in killed:
            return False
        request.send_response(200)
        request.send_header("Content-Length", "100000")
        request.end_headers()
        request.wfile.write(bytes(50_000))
        kill(asker(request))
        killed.append("download")
        return None

    pipeline.tlc.faults[path] = kill_in_mid_transfer
    try:
        with (
            polling(pipeline, versions) as seen,
            holding(pipeline) as holds,
            meanwhile(lambda: killed.extend(holds.kill_who_waits()), every=0.1),
        ):
            pipeline.clear_run(run_id)
            state = pipeline.wait(run_id, seconds=400)
        assert state == "success", f"killed {killed}: {pipeline.states(run_id)}"
    finally:
        del pipeline.tlc.faults[path]
    assert set(killed) == {"download", *holds_of(pipeline.dataset)}
    assert pipeline.content(MONTH) == expected
    assert seen.strangers == []
    assert seen.polls > 20
    assert seen.tables_seen_in_both_versions >= {"fct_trips", "fct_zone_days"}


def test_a_killed_scheduler_and_then_a_killed_database_leave_the_tables_of_no_crash(
    pipeline: Pipeline, restated: tuple[str, dict[str, Any]]
):
    run_id, expected = restated
    choices = pipeline.stack.choices
    pipeline.clear_run(run_id)
    has_begun = {"queued", "running", "success"}.__contains__
    until(lambda: pipeline.states(run_id)["load_month"], has_begun, seconds=60)
    kill(pipeline.scheduler_pid)
    pipeline.stack.up(choices)
    until(lambda: pipeline.states(run_id)["build.int_trips_judged.run"], has_begun, seconds=60)
    kill(int((pipeline.stack.state / "postgres" / "data" / "postmaster.pid").read_text().split()[0]))
    pipeline.stack.up(choices)
    assert pipeline.wait(run_id) == "success", pipeline.states(run_id)
    assert pipeline.content(MONTH) == expected


class Holds:
    """Sessions that each hold up one stage, until what waits for them has been killed."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.sessions = {}
        for stage, statement in holds_of(pipeline.dataset).items():
            connection = psycopg.connect(pipeline.stack.postgres.dsn("warehouse", "postgres"))
            connection.execute(statement)
            self.sessions[stage] = connection
        self.observer = psycopg.connect(pipeline.stack.postgres.dsn("warehouse", "postgres"), autocommit=True)

    def kill_who_waits(self) -> Iterator[str]:
        """Kills every process that waits for one of the sessions, ends that session, and names its stage."""
        waiting = self.observer.execute(
            "select pg_blocking_pids(pid), client_port from pg_stat_activity where wait_event_type = 'Lock'"
        ).fetchall()
        for stage, connection in list(self.sessions.items()):
            ports = [port for blockers, port in waiting if connection.info.backend_pid in blockers]
            if ports:
                for port in ports:
                    kill(client_of(port, self.observer.info.port))
                connection.close()
                del self.sessions[stage]
                yield stage

    def close(self) -> None:
        for connection in (*self.sessions.values(), self.observer):
            connection.close()


@contextmanager
def holding(pipeline: Pipeline) -> Iterator[Holds]:
    holds = Holds(pipeline)
    try:
        yield holds
    finally:
        holds.close()


class Seen:
    """What a reader has seen of each published table, month by whole month."""

    def __init__(self, versions: list[dict[str, Any]]) -> None:
        self.versions, self.polls, self.strangers = versions, 0, []
        self.versions_of: dict[str, set[int]] = {table: set() for table in PUBLISHED}

    def look(self, pipeline: Pipeline) -> None:
        for table, rows in pipeline.content(MONTH).items():
            known = [number for number, version in enumerate(self.versions) if version[table] == rows]
            if not known:
                self.strangers.append((table, len(rows or [])))
            self.versions_of[table] |= set(known)
        self.polls += 1

    @property
    def tables_seen_in_both_versions(self) -> set[str]:
        return {table for table, seen in self.versions_of.items() if seen == {0, 1}}


@contextmanager
def polling(pipeline: Pipeline, versions: list[dict[str, Any]]) -> Iterator[Seen]:
    """A reader that looks at the month's published rows all the while."""
    seen = Seen(versions)
    with meanwhile(lambda: seen.look(pipeline), every=0.2):
        yield seen
    seen.look(pipeline)
