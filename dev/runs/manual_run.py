"""What comes before and after runs that a command creates one by one, without a backfill."""

from dev.console import console
from dev.errors import StackError
from dev.services.airflow_api import AirflowApi, DagPaths


def require_unpaused(api: AirflowApi, paths: DagPaths) -> None:
    """Raises StackError where the DAG is paused, as its runs would never begin, and requests.RequestException."""
    if api.call("GET", paths.dag)["is_paused"]:
        raise StackError(f"The DAG is paused; unpause it first: {api.url}{paths.dag}")


def print_failed_tasks(api: AirflowApi, paths: DagPaths, run_id: str) -> None:
    """The run's failed tasks, each with the UI's page of it. Raises requests.RequestException."""
    for task in api.pages(f"{paths.run(run_id)}/taskInstances", "task_instances", state="failed"):
        link = api.task_link(paths.dag_id, run_id, task["task_id"])
        console.print(f"[red]failed[/red]: {task['task_id']}: {link}")
