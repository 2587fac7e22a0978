"""Asks Airflow's server for a connection or a variable. That there is none is believed only if the server answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from airflow.sdk import get_current_context
from airflow.sdk.exceptions import AirflowNotFoundException, AirflowRuntimeError


def certain_answer(question: Callable[[], Any]) -> Any:
    """The answer to the question. If there is none, it is asked again, once Airflow's server has answered another one.

    Airflow's secrets backends do not tell a server that does not answer from a connection or variable that is not
    there. A task would fail for good, or load from another source, because the server was away for a moment.
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
