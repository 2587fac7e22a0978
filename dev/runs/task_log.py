"""Prints the log of a month's task, of its latest try, in the terminal."""

from typing import Any

import requests

from dev.console import console
from dev.errors import StackError
from dev.runs.ledger_table import Line, lines_of
from dev.services.airflow_api import AirflowApi, DagPaths
from include.datasets import Dataset
from include.month import Month

STYLES = {"error": "red", "critical": "red", "warning": "yellow"}


def print_log(api: AirflowApi, dataset: Dataset, month: Month, task: str | None) -> None:
    """Prints the log of the task; by default of the one that failed, as the ledger has it.

    Raises StackError where the month has no run, none of its tasks has failed, or its run has no such task.
    """
    line = _line_of(api, dataset, month)
    if (run_id := line["run_id"]) is None:
        raise StackError(f"{dataset.name} {month} has no run yet: make backfill DATASET={dataset.name} FROM=… TO=…")
    if (task := task or line["failed_task"]) is None:
        raise StackError(f"No task of {dataset.name} {month} has failed ({line['state']}). Name one: TASK=load_month")
    paths = DagPaths(dataset.dag_id)
    try:
        attempt = api.call("GET", paths.task(run_id, task))["try_number"]
    except requests.HTTPError as error:
        if error.response is None or error.response.status_code != requests.codes.not_found:
            raise
        there = api.pages(f"{paths.run(run_id)}/taskInstances", "task_instances")
        names = ", ".join(sorted(each["task_id"] for each in there))
        raise StackError(f"TASK={task}: run {run_id} has no such task. It has {names}") from None
    console.print(f"{task}, try {attempt} of run {run_id}: {api.task_link(dataset.dag_id, run_id, task)}", style="bold")
    answer = api.call("GET", f"{paths.task(run_id, task)}/logs/{attempt}", params={"full_content": True})
    for each in answer["content"]:
        _print_line(each if isinstance(each, dict) else {"event": each})  # text where Airflow could not parse the file


def _line_of(api: AirflowApi, dataset: Dataset, month: Month) -> Line:
    for line in lines_of(api, dataset):
        if line["month"] == str(month):
            return line
    raise StackError(f"MONTH={month}: {dataset.name} has no such month; it begins with {dataset.first_month}.")


def _print_line(line: dict[str, Any]) -> None:
    """Without the marks of the UI's groups. `error_detail`: an exception and the chain of those that led to it."""
    if line["event"].startswith("::"):
        return
    style = STYLES.get(line.get("level") or "")
    time = f"{line['timestamp'][11:19]} " if line.get("timestamp") else ""
    console.print(f"{time}{line['event']}", style=style, markup=False)
    for error in line.get("error_detail") or ():
        console.print(f"  {error['exc_type']}: {error['exc_value']}", style=style, markup=False)
        for frame in error["frames"]:
            console.print(f"    {frame['filename']}:{frame['lineno']}, in {frame['name']}", style=style, markup=False)
