"""The paths of a DAG in Airflow's REST API."""

from dataclasses import dataclass
from urllib.parse import quote


@dataclass(frozen=True)
class DagPaths:
    """Those of the DAG with this id."""

    dag_id: str

    @property
    def dag(self) -> str:
        return f"/dags/{self.dag_id}"

    @property
    def runs(self) -> str:
        return f"{self.dag}/dagRuns"

    @property
    def tasks(self) -> str:
        """The task instances of all its runs."""
        return f"{self.runs}/~/taskInstances"

    def run(self, run_id: str) -> str:
        return f"{self.runs}/{quote(run_id, safe='')}"

    def task(self, run_id: str, task_id: str) -> str:
        """The task's instance in the run."""
        return f"{self.run(run_id)}/taskInstances/{task_id}"
