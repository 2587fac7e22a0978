"""Makes months anew from the raw rows that are loaded, without the source, and follows their runs."""

import time
from collections.abc import Iterable
from typing import Any

from dev.console import console
from dev.runs.backfill import ENDED, POLL_SECONDS, Outcome
from dev.runs.manual_run import print_failed_tasks, require_unpaused
from dev.services.airflow_api import AirflowApi, DagPaths
from include.datasets import Dataset
from include.ledger.months import PROGRESS
from include.month import Month


def outdated(lines: Iterable[dict[str, Any]], dataset: Dataset) -> list[Month]:
    """Of the ledger's lines, the dataset's months that another version of the SQL than the present one made.

    A month that a run is making now is left out.
    """
    return [
        Month.parse(line["month"])
        for line in lines
        if line["dataset"] == dataset.name and line["is_outdated"] and line["state"] not in PROGRESS
    ]


def loaded(lines: Iterable[dict[str, Any]], dataset: Dataset, months: Iterable[Month]) -> list[Month]:
    """Those of the months whose rows are in the raw table, by the ledger's lines. Says which are not."""
    asked = {str(month) for month in months}
    of_dataset = [line for line in lines if line["dataset"] == dataset.name and line["month"] in asked]
    if missing := [line["month"] for line in of_dataset if not line["figures"].get("loaded_at")]:
        console.print(f"{dataset.name} {', '.join(missing)}: not loaded, so there is nothing to rebuild from")
    return [Month.parse(line["month"]) for line in of_dataset if line["figures"].get("loaded_at")]


def rebuild(api: AirflowApi, dataset: Dataset, months: list[Month], parallel: int) -> Outcome:
    """Creates a run for each month, `parallel` at a time, and returns when all have ended.

    A run that is killed meanwhile, or an interruption, loses nothing: the months that are left are outdated still.
    Raises StackError where the DAG is paused, and requests.RequestException.
    """
    paths, outcome = DagPaths(dataset.dag_id), Outcome()
    require_unpaused(api, paths)
    left, running = list(months), dict[str, Month]()
    while left or running:
        while left and len(running) < parallel:
            asked = {"logical_date": None, "conf": {"month": str(left[0]), "rebuild": True}}
            running[api.call("POST", paths.runs, json=asked)["dag_run_id"]] = left.pop(0)
        time.sleep(POLL_SECONDS)
        for run_id, month in list(running.items()):
            if (state := api.call("GET", paths.run(run_id))["state"]) in ENDED:
                del running[run_id]
                outcome.add(month, state)
                console.print(
                    f"{dataset.name} {month}: {'rebuilt' if state == 'success' else f'failed, dag run {run_id}'} "
                    f"({len(outcome.ended)} of {len(months)})"
                )
                print_failed_tasks(api, paths, run_id)
    return outcome
