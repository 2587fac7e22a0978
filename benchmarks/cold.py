"""Measures the CPU of dbt tasks that inherit nothing: as a Kubernetes pod runs them, and by `airflow tasks test`."""

from __future__ import annotations

import resource
import tempfile
from pathlib import Path

from benchmarks.measures import Measure
from benchmarks.stack import SMALL, THREE_MONTHS, load_and_pause_all_else, stack
from dev.console import console
from dev.system.process import BackgroundProcess
from dev.system.programs import run
from tests.support.stack.pipeline import Pipeline

TASKS = ("build.int_trips_judged.run", "build.int_trips_judged.test")
ROUNDS = 3  # the first of them fills the caches of files


def measure_cold(state: Path) -> list[Measure]:
    """Both kinds in turn, with the scheduler stopped: it would take the tasks for its own."""
    workload: list[float] = []
    tests: list[float] = []
    with stack(state, THREE_MONTHS[:1], SMALL) as pipeline:
        load_and_pause_all_else(pipeline, THREE_MONTHS[:1])
        run_id = pipeline.run_of(str(THREE_MONTHS[0]))
        BackgroundProcess(pipeline.stack.state, "scheduler").stop()
        for _ in range(ROUNDS):
            workload.append(sum(cpu_of_workload(pipeline, run_id, task) for task in TASKS) / len(TASKS))
            tests.append(sum(cpu_of_tasks_test(pipeline, run_id, task) for task in TASKS) / len(TASKS))
            console.print(f"cold: execute_workload {workload[-1]:.2f} s of CPU, tasks test {tests[-1]:.2f} s")
    what = f"CPU of a dbt task that inherits nothing, mean of {' and '.join(TASKS)}"
    return [
        Measure("cold_workload_cpu_s", f"{what}: `execute_workload`, as in a pod", workload[1:], "s", at_most=5),
        Measure("cold_tasks_test_cpu_s", f"{what}: `airflow tasks test`", tests[1:], "s"),
    ]


def cpu_of_workload(pipeline: Pipeline, run_id: str, task: str) -> float:
    """Seconds of CPU, user and system, of the supervisor and the task that it forks. Asserts that the task succeeds."""
    environment = pipeline.stack.environment()
    with tempfile.TemporaryDirectory() as scratch:
        file = str(Path(scratch) / "workload.json")
        words = ("-m", "benchmarks.cold_workload", pipeline.dataset.dag_id, run_id, task, file)
        made = run("python", *words, environment=environment, capture=True)
        assert made.returncode == 0, made.stdout
        used = _cpu_of(
            "python", "-m", "airflow.sdk.execution_time.execute_workload", "--json-path", file, environment=environment
        )
    assert (state := pipeline.states(run_id)[task]) == "success", state
    return used


def cpu_of_tasks_test(pipeline: Pipeline, run_id: str, task: str) -> float:
    words = ("tasks", "test", pipeline.dataset.dag_id, task, run_id)
    return _cpu_of("airflow", *words, environment=pipeline.stack.environment())


def _cpu_of(program: str, *words: str, environment: dict[str, str]) -> float:
    """Seconds of CPU of the command and of all that it has waited for."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = run(program, *words, environment=environment, capture=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0, done.stdout
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
