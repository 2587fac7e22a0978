"""A task that has failed, as Airflow hands it to a listener in the task's process."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from airflow.sdk import BaseOperator

from include.datasets import default_dataset
from include.failures.retry import RetryWhatHeals


def failed_task(
    dag_id: str = default_dataset().dag_id,
    task_id: str = "load_month",
    *,
    month: str | None = "2024-01",
    state: str = "failed",
    operator: Any = None,
) -> SimpleNamespace:
    """`month`: of the run; None: it does not say it."""
    run = SimpleNamespace(logical_date=None, conf={}, run_type="manual", run_id="manual__1", partition_key=None)
    return SimpleNamespace(
        dag_id=dag_id,
        task_id=task_id,
        task=operator or BaseOperator(task_id="a_task", retry_policy=RetryWhatHeals()),
        state=state,
        try_number=1,
        log_url=f"http://airflow.example/dags/{dag_id}/runs/manual__1/tasks/{task_id}",
        get_template_context=lambda: {"dag_run": run, "params": {"month": month}},
    )
