"""Asks Airflow's server for a connection or a variable, and believes that there is none only if the server answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from airflow.sdk import get_current_context
from airflow.sdk.exceptions import AirflowNotFoundException, AirflowRuntimeError


def certain(question: Callable[[], Any]) -> Any:
    """The answer. That there is none is believed only after Airflow's server has answered something else.

    For Airflow's secrets backends a server that does not answer is one that has no such connection or variable. A task
    would fail for good, or load from another source, because the server was away for a moment.
    """
    try:
        return question()
    except (AirflowNotFoundException, AirflowRuntimeError) as error:
        try:
            task = get_current_context()["ti"]
        except RuntimeError:  # no task runs here, and no server is asked
            raise error from None
        task.get_dag(task.dag_id)  # raises where the server does not answer
        return question()
