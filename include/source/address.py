"""Where a dataset's files are: read where a task runs and nowhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk import Variable
from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType

from include.support.lookup import certain

if TYPE_CHECKING:  # with it comes pyarrow, which the triggerer needs for nothing
    from include.datasets import Dataset


def base_url(dataset: Dataset) -> str:
    """Where the dataset's files are: the address in its host's Airflow variable, else the host's own.

    Raises AirflowRuntimeError where Airflow's server does not answer.
    """
    return address(dataset.host.variable, dataset.host.address)


def address(variable: str, otherwise: str) -> str:
    """The Airflow variable's value, else the other address. Raises AirflowRuntimeError, as `base_url` does."""
    try:
        found: str = certain(lambda: Variable.get(variable))
    except AirflowRuntimeError as error:
        if error.error.error is not ErrorType.VARIABLE_NOT_FOUND:
            raise
        return otherwise
    return found
