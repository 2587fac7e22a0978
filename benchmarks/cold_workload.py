"""Writes a task's workload as a Kubernetes pod gets it: `python -m benchmarks.cold_workload DAG RUN TASK FILE`.

Runs in the environment of a stack whose scheduler is stopped. It does what the scheduler does when it queues a task.
"""

from __future__ import annotations

import sys
from pathlib import Path

from airflow.executors.local_executor import LocalExecutor
from airflow.executors.workloads import ExecuteTask
from airflow.models.taskinstance import TaskInstance
from airflow.utils.session import create_session
from airflow.utils.state import TaskInstanceState
from sqlalchemy import select

from dev.system.files import write_private


def main(dag_id: str, run_id: str, task_id: str, file: str) -> None:
    with create_session() as session:
        task = session.scalars(select(TaskInstance).filter_by(dag_id=dag_id, run_id=run_id, task_id=task_id)).one()
        task.state = TaskInstanceState.QUEUED
        workload = ExecuteTask.make(task, generator=LocalExecutor().jwt_generator)
        write_private(Path(file), workload.model_dump_json())


if __name__ == "__main__":
    main(*sys.argv[1:])
