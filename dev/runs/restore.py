"""Puts an archived version of a month back, or lets the source count again, and follows the run that does it."""

import time
from datetime import UTC, datetime

from dev.console import console
from dev.errors import StackError
from dev.runs.backfill import ENDED, POLL_SECONDS
from dev.runs.manual_run import print_failed_tasks, require_unpaused
from dev.services.airflow_api import AirflowApi, DagPaths
from include.datasets import Dataset
from include.ingest.choices import choice_of_month
from include.ingest.versions import KeptVersion, kept_versions
from include.month import Month
from include.runs.month_of_run import SOURCE
from include.support.counted import counted
from include.warehouse.session import Warehouse


def restore(api: AirflowApi, dsn: str, schema: str, dataset: Dataset, month: Month, version: str = "") -> bool:
    """Puts back the version with this SHA-256, of which the first digits will do; by default the one replaced last.

    Returns whether the run succeeded. `dsn` and `schema`: of the dataset's published tables. Raises StackError where no
    such version is kept, or the DAG is paused, and requests.RequestException.
    """
    kept = _kept(dsn, schema, dataset, month, version)
    said = (
        f"Putting back {dataset.name} {month}: {counted(kept.rows, 'row')}, loaded {kept.loaded_at:%Y-%m-%d}, SHA-256 "
        f"{kept.sha256}. It stays at this version until: make release DATASET={dataset.name} MONTH={month}"
    )
    return _run(api, dataset, month, kept.sha256, said)


def release(api: AirflowApi, dsn: str, schema: str, dataset: Dataset, month: Month) -> bool:
    """Loads what the source has for a month that was put back, and lets the source count again.

    Returns and raises as `restore` does; StackError also where the month was not put back.
    """
    choice = choice_of_month(dsn, schema, month, None)
    if not choice or not choice.pins:
        raise StackError(
            f"{dataset.name} {month} was not put back: what the source has counts. Nothing was changed. To load it: "
            f"make backfill DATASET={dataset.name} FROM={month} TO={month} REPROCESS=completed"
        )
    said = f"Loading what the source has for {dataset.name} {month}, in place of the version {choice.version}"
    return _run(api, dataset, month, SOURCE, said)


def _run(api: AirflowApi, dataset: Dataset, month: Month, version: str, said: str) -> bool:
    """Follows a run of the month that asks for the version; returns whether it succeeded."""
    paths = DagPaths(dataset.dag_id)
    require_unpaused(api, paths)
    named = f"{'release' if version == SOURCE else 'restore'}__{month}__{datetime.now(UTC).isoformat()}"
    asked = {"logical_date": None, "dag_run_id": named, "conf": {"month": str(month), "version": version}}
    run_id = api.call("POST", paths.runs, json=asked)["dag_run_id"]
    console.print(f"{said}; dag run {run_id}", highlight=False)
    while (state := api.call("GET", paths.run(run_id))["state"]) not in ENDED:
        time.sleep(POLL_SECONDS)
    print_failed_tasks(api, paths, run_id)
    return bool(state == "success")


def _kept(dsn: str, schema: str, dataset: Dataset, month: Month, version: str) -> KeptVersion:
    with Warehouse(dsn, schema) as warehouse:
        found = kept_versions(warehouse, dataset.monthly.table, month.ds)
    others = [each for each in found if not each.is_loaded]
    for each in others:
        if each.sha256.startswith(version):
            return each
    there = ", ".join(map(str, others)) or "none"
    raise StackError(
        f"No version {version + ' ' if version else ''}of {dataset.name} {month} is kept that could be put back. Kept: "
        f"{there}. Nothing was changed. What the source has is loaded by: make backfill DATASET={dataset.name} "
        f"FROM={month} TO={month} REPROCESS=completed (of a month that was put back: make release)"
    )
