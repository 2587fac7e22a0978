"""Celery's workers as an operator's bad day has them: killed, stopped, cut off, of another version."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import psycopg

from dev.services.airflow import tasks_at_once
from dev.services.celery import hostname
from dev.stack.stack import Stack
from dev.tlc.sample_months import write_zones
from include.settings import ROOT
from tests.support.stack.pipeline import Pipeline, running_pipeline
from tests.support.until import until

WORKERS = ("worker-1", "worker-2")
MODEL = "build.int_trips_judged.run"
HEARTBEAT_TIMEOUT = 60  # [scheduler] task_instance_heartbeat_timeout


@contextmanager
def celery_pipeline(folder: Path, settings: dict[str, str] | None = None) -> Iterator[Pipeline]:
    """A stack of its own with two workers, over a mirror of the folder. `settings`: given for Airflow's processes."""
    state = ROOT / ".local" / "tests" / f"celery-{os.getpid()}"
    write_zones(folder)
    with running_pipeline(Stack(state), folder, executor="celery", settings=settings or {}) as pipeline:
        yield pipeline
    shutil.rmtree(state)


def start_workers(pipeline: Pipeline, **environment: str) -> None:
    """Starts those that do not run; those whose environment this changes are stopped, and started with it."""
    stack = pipeline.stack
    stack.workers.ensure(len(WORKERS), tasks_at_once() // len(WORKERS), stack.environment() | environment)


def kill_worker(pipeline: Pipeline, worker: str) -> None:
    """Its machine is gone, and all that ran on it: the worker, its pool, their tasks."""
    leader = psutil.Process(pipeline.stack.workers.pid(worker))
    for process in [leader, *leader.children(recursive=True)]:
        process.send_signal(signal.SIGKILL)


@contextmanager
def no_worker(pipeline: Pipeline) -> Iterator[None]:
    """None runs, and the queue grows; afterwards all are started."""
    pipeline.stack.workers.stop()
    try:
        yield
    finally:
        start_workers(pipeline)


def tasks_on(pipeline: Pipeline, run_id: str, worker: str, state: str | None = None) -> dict[str, dict[str, Any]]:
    """The run's tasks whose latest try ran, or runs, on the worker."""
    tasks = pipeline.tasks(run_id)
    return {
        name: task
        for name, task in tasks.items()
        if task["hostname"] == hostname(worker) and state in (None, task["state"])
    }


def wait_until_running_on(pipeline: Pipeline, run_id: str, worker: str, seconds: float = 120) -> list[str]:
    """Waits until tasks of the run are running on the worker: their names."""
    running = until(
        lambda: tasks_on(pipeline, run_id, worker, "running"),
        seconds=seconds,
        every=0.1,
        besides=lambda: pipeline.states(run_id),
    )
    return list(running)


def worker_of(pipeline: Pipeline, run_id: str, task: str) -> str:
    """That on which the task's latest try runs, or ran."""
    [worker] = [each for each in WORKERS if task in tasks_on(pipeline, run_id, each)]
    return worker


def lock_of_model(month: str) -> str:
    """For `held`: MODEL of the month's run has made its new table, and waits to drop the old one."""
    return f"select 1 from airflow_default_{month.replace('-', '')}01.int_trips_judged limit 1"


@contextmanager
def held(pipeline: Pipeline, statement: str) -> Iterator[None]:
    """Another session of the warehouse holds what the statement locks: whatever needs it waits in mid-transaction."""
    with psycopg.connect(pipeline.stack.postgres.dsn("warehouse", "postgres")) as connection:
        connection.execute(statement)
        yield
