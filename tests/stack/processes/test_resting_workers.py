"""LocalExecutor's workers, in the local stack: none while nothing runs."""

from __future__ import annotations

from contextlib import suppress

import psutil
import pytest

from dev.services.airflow_api import DagPaths
from include.processes.executor import IDLE_SECONDS
from tests.support.stack.pipeline import Pipeline
from tests.support.until import until

MAINTENANCE = DagPaths("taxi_maintenance")


def is_worker(process: psutil.Process) -> bool:
    with suppress(psutil.Error):  # it has just ended
        return "LocalExecutor" in " ".join(process.cmdline())
    return False


@pytest.mark.long
def test_workers_end_when_nothing_runs_and_the_next_task_has_them_again(pipeline: Pipeline):
    def workers() -> list[psutil.Process]:
        return [child for child in psutil.Process(pipeline.scheduler_pid).children() if is_worker(child)]

    for _ in range(2):
        run, state = pipeline.run_to_its_end(MAINTENANCE, seconds=60)
        tasks = pipeline.stack.api.pages(f"{MAINTENANCE.run(run)}/taskInstances", "task_instances")
        assert (state, {task["try_number"] for task in tasks}) == ("success", {1})
        assert workers()
        until(workers, lambda found: not found, seconds=IDLE_SECONDS + 60)
