"""Keeps why a task failed, in one line, as the task's XCom `reason`, which the ledger of months shows."""

from __future__ import annotations

import logging
import re
from typing import Any

from airflow.listeners import hookimpl
from airflow.sdk.exceptions import AirflowRuntimeError

log = logging.getLogger(__name__)

KEY = "reason"
MOST_CHARACTERS = 1000
# dbt and Cosmos put it before the words of Postgres, or of an audit
PREAMBLE = re.compile(r"^dbt invocation (completed with errors|did not complete with unhandled error): *")
# such a line names the model at most, as the task does; the next line says what is wrong
KIND = re.compile(r"(Database|Compilation|Runtime) Error( in |$)")


@hookimpl
def on_task_instance_failed(task_instance: Any, error: str | BaseException | None) -> None:
    """Airflow calls this in the task's process. A process that was killed leaves no reason.

    A listener, not an on_failure_callback of the task: with one, the scheduler sends the callback of a killed task to
    the dag-processor, and a task that is cleared while it runs begins with its second try.
    """
    from include.datasets import dataset_of  # Airflow loads this module in every process

    dataset = dataset_of(task_instance.dag_id)
    if isinstance(error, BaseException) and dataset and dataset.dag_id == task_instance.dag_id:
        try:
            task_instance.xcom_push(key=KEY, value=reason_of(error))
        except AirflowRuntimeError as why:  # else Airflow would call no other listener
            log.warning("The reason is not kept for the ledger: %s", why)


def reason_of(error: BaseException) -> str:
    """Why, in a line: what dbt's nodes say, else the first line of the error that says something.

    Where dbt has not written that line, the error's class stands before it.
    """
    from include.transform.dbt_log import DbtFailed

    if isinstance(error, DbtFailed) and error.nodes:
        return " ".join("; ".join(each.reason() for each in error.nodes).split())[:MOST_CHARACTERS]
    text = str(error)
    said_by_dbt = PREAMBLE.sub("", text)
    lines = [line.strip() for line in said_by_dbt.splitlines() if line.strip()] or [""]
    said = lines[1] if KIND.search(lines[0]) and len(lines) > 1 else lines[0]
    name = type(error).__name__
    if not said:
        return name
    return (said if said_by_dbt != text else f"{name}: {said}")[:MOST_CHARACTERS]
