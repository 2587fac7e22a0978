"""The running stack as an operator uses it: triggers, backfills, clears and looks at runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil

from dev.runs.backfill import ENDED, Backfill, months_between
from dev.runs.ledger_table import lines_of
from dev.services.airflow import OPTIONS
from dev.services.airflow_api import DagPaths
from dev.stack.choices import Choices
from dev.stack.stack import Stack
from dev.stack.trip_source import Source
from dev.system.process import BackgroundProcess
from dev.system.programs import command
from dev.tlc.mirror import TlcMirror
from dev.tlc.sample_months import write_month
from include.datasets import GREEN, Dataset
from include.month import Month
from tests.support.dbt.project import ROWS, Project
from tests.support.postgres.warehouse_content import content, drop_schemas
from tests.support.until import POLL_SECONDS, until

POOL = "/pools/default_pool"
SOURCE_SECRETS = ("S3cret-p@ss/word", "S3cret/signature+=")


@dataclass
class Pipeline:
    """A running stack, the source it loads from, and one of its datasets."""

    stack: Stack
    tlc: TlcMirror
    dataset: Dataset = GREEN

    @property
    def paths(self) -> DagPaths:
        return DagPaths(self.dataset.dag_id)

    @property
    def dsn(self) -> str:
        return self.stack.warehouse.uri()

    @property
    def scheduler_pid(self) -> int:
        return BackgroundProcess(self.stack.state, "scheduler").pid()

    def task_processes(self) -> list[psutil.Process]:
        """Those that run a task now."""
        executors = [self.scheduler_pid]
        if self.stack.choices.executor == "celery":
            executors = [self.stack.workers.pid(name) for name in self.stack.workers.names(self.stack.choices.workers)]
        children = [child for pid in executors for child in psutil.Process(pid).children()]
        return [task for child in children for task in child.children()]

    def content(self, month: str) -> dict[str, Any]:
        """The month in the published tables."""
        return content(self.dsn, schema=self.stack.published_schema(self.dataset), month=month)

    def ledger(self) -> list[dict[str, Any]]:
        """A line for each month of the dataset, as the page *Months* gets them."""
        return lines_of(self.stack.api, self.dataset)

    def publish_file(self, month: str, version: int = 1) -> None:
        """What TLC does: put the month's file up, in some version."""
        write_month(self.tlc.folder, month, ROWS, version, self.dataset)

    def backfill(self, *months: str) -> None:
        """A backfill of the months, all side by side; returns when all have succeeded."""
        asked = months_between(self.dataset, months[0], months[-1])
        backfill = Backfill(self.stack.api, self.dataset, asked)
        backfill.create(parallel=16)
        for month in months:
            run_id = self.run_of(month)
            assert self.wait(run_id) == "success", self.states(run_id)

    def wait_for_report(self, month: str, runs: int = 1, seconds: float = 120) -> None:
        """Waits until so many runs of the report's DAG for the month have succeeded."""
        path = f"/dags/{self.dataset.report_dag_id}/dagRuns"

        def states() -> list[str]:
            made = self.stack.api.pages(path, "dag_runs")
            found = [run["state"] for run in made if run["partition_key"] == month]
            assert "failed" not in found, found
            return found

        until(states, lambda found: found.count("success") >= runs, seconds=seconds)

    def wait_for_backfills_to_close(self, seconds: float = 120) -> None:
        """Airflow takes no other before it has noticed the end of the last, within 30 s."""

        def still_open() -> list[dict[str, Any]]:
            made = self.stack.api.pages("/backfills", "backfills", dag_id=self.dataset.dag_id)
            return [each for each in made if not each["completed_at"]]

        until(still_open, lambda found: not found, seconds=seconds)

    def content_of_a_clean_load(self, month: str, scratch: Path) -> dict[str, Any]:
        """The month in the published tables after one load of the file that is up, alone, without Airflow."""
        clean = Project(self.dsn, self.tlc, scratch, self.dataset, f"airflow_clean{self.dataset.schema_suffix}")
        try:
            clean.run(month)
            return content(self.dsn, schema=clean.schema, month=month)
        finally:
            drop_schemas(self.dsn, "^airflow_clean")

    def trigger(
        self, *, logical_date: str | None = None, month: str | None = None, conf: dict[str, Any] | None = None
    ) -> str:
        """A manual run: its id."""
        body = {"logical_date": logical_date, "conf": (conf or {}) | ({"month": month} if month else {})}
        return self.stack.api.call("POST", self.paths.runs, json=body)["dag_run_id"]

    def ask_the_source(self, seconds: float = 120) -> str:
        """What the daily DAG does, now: the log of its task for the dataset."""
        paths = DagPaths("taxi_restatements")
        run_id, state = self.run_to_its_end(paths, seconds)
        path = paths.task(run_id, f"find_restated_{self.dataset.name}")
        task = self.stack.api.call("GET", path)
        assert task["try_number"] == 1, task
        log = str(self.stack.api.call("GET", f"{path}/logs/1"))
        assert state == "success", log
        return log

    def run_to_its_end(self, paths: DagPaths, seconds: float) -> tuple[str, str]:
        """A manual run of a DAG that has no months: its id, and its state at its end."""
        run_id = self.stack.api.call("POST", paths.runs, json={"logical_date": None})["dag_run_id"]
        path = paths.run(run_id)
        return run_id, until(lambda: self.stack.api.call("GET", path)["state"], ENDED.__contains__, seconds=seconds)

    def pool(self) -> dict[str, Any]:
        """The pool that all tasks run in."""
        return self.stack.api.call("GET", POOL)

    @contextmanager
    def slots(self, number: int) -> Iterator[None]:
        """So many tasks at once, until the end; then as many as before."""

        def give(number: int) -> None:
            self.stack.api.call("PATCH", POOL, json={"slots": number}, params={"update_mask": ["slots"]})

        before = self.pool()["slots"]
        give(number)
        try:
            yield
        finally:
            give(before)

    def mark_as_succeeded(self, run_id: str, task: str) -> None:
        """As the grid does; tasks that could not run without it go on."""
        self.stack.api.call("PATCH", self.paths.task(run_id, task), json={"new_state": "success"})

    @contextmanager
    def workers_with(self, **environment: str) -> Iterator[None]:
        """Restarts the scheduler, whose children run the tasks, with another environment than the other processes."""
        scheduler = command("airflow", "scheduler", *OPTIONS["scheduler"])
        try:
            BackgroundProcess(self.stack.state, "scheduler").ensure(scheduler, self.stack.environment() | environment)
            yield
        finally:
            self.stack.up(self.stack.choices)

    def dag_run(self, run_id: str) -> dict[str, Any]:
        return self.stack.api.call("GET", self.paths.run(run_id))

    def state(self, run_id: str) -> str:
        return self.dag_run(run_id)["state"]

    def tasks(self, run_id: str) -> dict[str, dict[str, Any]]:
        found = self.stack.api.pages(f"{self.paths.run(run_id)}/taskInstances", "task_instances")
        return {each["task_id"]: each for each in found}

    def wait(self, run_id: str, seconds: float = 300, every: float = POLL_SECONDS) -> str:
        """Waits for the run's end, looking `every` so many seconds; returns its state."""
        return until(
            lambda: self.state(run_id),
            ENDED.__contains__,
            seconds=seconds,
            every=every,
            besides=lambda: self.states(run_id),
        )

    def states(self, run_id: str) -> dict[str, str]:
        return {name: task["state"] for name, task in self.tasks(run_id).items()}

    def clear(self, run_id: str, *tasks: str, downstream: bool = False) -> None:
        """Clears these tasks, alone or with what follows them, as the grid does."""
        body = {"dag_run_id": run_id, "task_ids": list(tasks), "dry_run": False, "only_failed": False}
        body["include_downstream"] = downstream
        self.stack.api.call("POST", f"{self.paths.dag}/clearTaskInstances", json=body)

    def wait_for_task(self, run_id: str, task: str, state: str, seconds: float = 120) -> None:
        path = self.paths.task(run_id, task)
        until(lambda: self.stack.api.call("GET", path)["state"], lambda found: found == state, seconds=seconds)

    def wait_for_failure(self, run_id: str, task: str) -> None:
        """Waits until the task has failed and its run has ended.

        A task that is cleared between the two may never run: Airflow can end the run all the same.
        """
        self.wait_for_task(run_id, task, "failed")
        self.wait(run_id)

    def log(self, run_id: str, task: str, attempt: int = 1) -> str:
        return str(self.stack.api.call("GET", f"{self.paths.task(run_id, task)}/logs/{attempt}"))

    def clear_run(self, run_id: str) -> None:
        """Clears every task of the run."""
        self.stack.api.call("POST", f"{self.paths.run(run_id)}/clear", json={"dry_run": False})

    def run_of(self, month: str) -> str:
        """The id of the run whose logical date is the month's first instant."""
        start = Month.parse(month).start.strftime("%Y-%m-%dT%H:%M:%SZ")
        runs = self.stack.api.pages(self.paths.runs, "dag_runs")
        return next(run["dag_run_id"] for run in runs if run["logical_date"] == start)


@contextmanager
def running_pipeline(stack: Stack, folder: Path, **choices: Any) -> Iterator[Pipeline]:
    """The stack, up, over a mirror of the folder; stopped afterwards, its data left.

    The mirror's address holds SOURCE_SECRETS, which it does not ask for: tests/stack/dags/test_secrets.py looks for
    them.

    `choices`: of dev.stack.choices, all but the source.
    """
    with TlcMirror(folder) as tlc:
        try:
            password, signature = map(partial(quote, safe=""), SOURCE_SECRETS)
            address = tlc.url.replace("//", f"//somebody:{password}@") + f"/?sv=1&sig={signature}"
            stack.up(Choices(Source("url", address), **choices))
            yield Pipeline(stack, tlc)
        finally:
            stack.down()
