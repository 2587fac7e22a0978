"""Splits the time of a dbt task into its parts, by Airflow's record of the task and the times in its log."""

from __future__ import annotations

import re
from itertools import pairwise
from statistics import median

from dev.services.airflow_api import DagPaths, instant
from include.datasets import GREEN
from tests.support.stack.pipeline import Pipeline

# Each part of a task, and the line of its log that ends the part, in the order of the log
LINES = {
    "start of the process": "::group::Pre Execute",
    "DAG file": "Worker startup parse complete",
    "parameters rendered, the run's names put into the parse": "dbt uses the parse it was given",
    "dbt start, graph and selection, connection, relations, hooks": r"1 of \d+ START (?!hook)",
    "SQL of the model or test": "Finished running",
}
BEFORE = ("scheduler hop", "executor, fork, supervisor")
PATHS = DagPaths(GREEN.dag_id)
AFTER = "dbt's end, artifacts, report to Airflow"


def parts_of_tasks(pipeline: Pipeline, run_id: str) -> dict[str, float]:
    """For each part, by name, the median of the seconds (wall clock) that the run's dbt tasks spent in it.

    The run must have succeeded; the latest try of each task counts. The scheduler hop of a task begins at the end of
    the last task that it waited for, and ends when the scheduler has queued it.
    """
    tasks = pipeline.tasks(run_id)
    waits_for = tasks_before_each(pipeline)
    found = [
        _parts(task, max(instant(tasks[before]["end_date"]) for before in waits_for[name]), _log(pipeline, task))
        for name, task in tasks.items()
        if "." in name and task["queued_when"]  # Airflow does not run tasks that do nothing, such as those of sources
    ]
    return {part: median(parts[part] for parts in found) for part in found[0]}


def tasks_before_each(pipeline: Pipeline) -> dict[str, list[str]]:
    """By task of the pipeline's DAG, the tasks that it waits for."""
    graph = pipeline.stack.api.call("GET", f"{PATHS.dag}/tasks")["tasks"]
    before: dict[str, list[str]] = {task["task_id"]: [] for task in graph}
    for task in graph:
        for downstream in task["downstream_task_ids"]:
            before[downstream].append(task["task_id"])
    return before


def _parts(task: dict, ready: float, log: list[tuple[float, str]]) -> dict[str, float]:
    moments = [ready, instant(task["queued_when"]), instant(task["start_date"])]
    lines = iter(log)
    for line in LINES.values():
        moments.append(next(moment for moment, event in lines if re.search(line, event)))
    moments.append(instant(task["end_date"]))
    return dict(zip((*BEFORE, *LINES, AFTER), (until - since for since, until in pairwise(moments)), strict=True))


def _log(pipeline: Pipeline, task: dict) -> list[tuple[float, str]]:
    path = PATHS.task(task["dag_run_id"], task["task_id"])
    answer = pipeline.stack.api.call("GET", f"{path}/logs/{task['try_number']}", params={"full_content": True})
    return [(instant(line["timestamp"]), line["event"]) for line in answer["content"] if line.get("timestamp")]
