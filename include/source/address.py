"""Where a dataset's files are. Read only where a task or a trigger runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk import Variable
from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType

from include.support.lookup import certain_answer

if TYPE_CHECKING:  # with it comes pyarrow, which the triggerer needs for nothing
    from include.datasets import Dataset


def base_url(dataset: Dataset) -> str:
    """The address in the Airflow variable of the dataset's host, else the host's own.

    Raises AirflowRuntimeError where Airflow's server does not answer.
    """
    return address(dataset.host.variable, dataset.host.address)


def address(variable: str, otherwise: str) -> str:
    """The Airflow variable's value, else `otherwise`. Raises AirflowRuntimeError, as `base_url` does."""
    try:
        found: str = certain_answer(lambda: Variable.get(variable))
    except AirflowRuntimeError as error:
        if error.error.error is not ErrorType.VARIABLE_NOT_FOUND:
            raise
        return otherwise
    return found
