"""Celery's executor: two workers that share nothing with the scheduler but the code, one of them killed."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from dev.choices import Choices
from dev.sample_months import write_zones
from dev.source import Source
from dev.stack import Stack
from dev.tlc_mirror import TlcMirror
from include.settings import ROOT
from tests.support.pipeline import Pipeline

MONTHS = ("2020-09", "2020-10", "2020-11")
WORKERS = ("worker-1", "worker-2")
HEARTBEAT_TIMEOUT = 60  # [scheduler] task_instance_heartbeat_timeout


@pytest.fixture(scope="module")
def celery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    state, folder = ROOT / ".local" / "tests" / f"celery-{os.getpid()}", tmp_path_factory.mktemp("tlc")
    write_zones(folder)
    with pytest.MonkeyPatch.context() as environment, TlcMirror(folder) as tlc:
        environment.setenv("PIPELINE_RETRY_SECONDS", "1")
        environment.setenv("PIPELINE_POLL_SECONDS", "10")
        stack = Stack(state)
        try:
            stack.up(Choices(Source("url", tlc.url), executor="celery"))
            yield Pipeline(stack, tlc)
        finally:
            stack.down()
    shutil.rmtree(state)


def log_of(pipeline: Pipeline, worker: str) -> str:
    return (pipeline.stack.state / "logs" / f"{worker}.log").read_text()


def kill(pipeline: Pipeline, worker: str) -> None:
    """The machine is gone: the worker, its pool and the tasks it runs."""
    leader = psutil.Process(pipeline.stack.workers.pid(worker))
    for process in [leader, *leader.children(recursive=True)]:
        process.send_signal(signal.SIGKILL)


def test_two_workers_make_the_months_and_each_runs_tasks_of_each(celery: Pipeline, tmp_path: Path):
    for month in MONTHS:
        celery.publish_file(month)
    celery.backfill(*MONTHS)
    for month in MONTHS:
        assert celery.content(month) == celery.content_of_a_clean_load(month, tmp_path), month
        for worker in WORKERS:
            assert celery.run_of(month) in log_of(celery, worker), (worker, month)


def test_a_killed_workers_tasks_run_on_the_other(celery: Pipeline, tmp_path: Path):
    month = MONTHS[0]
    run_id = celery.run_of(month)
    celery.clear_run(run_id)
    celery.wait_for_task(run_id, "build.int_trips_judged.run", "running")
    kill(celery, WORKERS[0])
    killed = time.monotonic()
    assert celery.wait(run_id) == "success"
    assert time.monotonic() - killed < HEARTBEAT_TIMEOUT + 60
    assert celery.content(month) == celery.content_of_a_clean_load(month, tmp_path)
