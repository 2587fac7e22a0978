"""What comes before and after the runs that a command creates."""

import requests

from dev.console import console
from dev.errors import StackError
from dev.services.airflow_api import AirflowApi, DagPaths

REASON = "reason"  # include.failures.reason.KEY, whose module imports Airflow: 2 s


def require_unpaused(api: AirflowApi, paths: DagPaths) -> None:
    """Raises StackError where the DAG is paused, as its runs would never begin, and requests.RequestException."""
    if api.call("GET", paths.dag)["is_paused"]:
        raise StackError(f"The DAG is paused; unpause it first: {api.url}{paths.dag}")


def print_failed_tasks(api: AirflowApi, paths: DagPaths, run_id: str) -> None:
    """The run's failed tasks, each with why it failed and the UI's page of it. Raises requests.RequestException."""
    for task in api.pages(f"{paths.run(run_id)}/taskInstances", "task_instances", state="failed"):
        console.print(
            f"  {task['task_id']} failed: {_why(api, paths, run_id, task['task_id'])}", style="red", markup=False
        )
        console.print(f"  {api.task_link(paths.dag_id, run_id, task['task_id'])}", markup=False)


def _why(api: AirflowApi, paths: DagPaths, run_id: str, task: str) -> str:
    """As the ledger says it. A task that was killed has left no reason."""
    try:
        return str(api.call("GET", f"{paths.task(run_id, task)}/xcomEntries/{REASON}")["value"])
    except requests.HTTPError as error:
        if error.response is None or error.response.status_code != requests.codes.not_found:
            raise
        return "no reason was kept, as for a task that is killed"
