"""Where a dataset's files are. Read only where a task or a trigger runs."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

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


def address_to_show(dataset: Dataset) -> str:
    """The same without what may be secret: user, password, query and fragment.

    Where Airflow's server does not answer, the variable's name in pointed brackets, as what explains a failure may not
    fail.
    """
    try:
        found = urlsplit(base_url(dataset))
        place = found.hostname if found.port is None else f"{found.hostname}:{found.port}"
    except Exception:
        return f"<{dataset.host.variable}>"
    return urlunsplit((found.scheme, place or "", found.path.rstrip("/"), "", ""))


def address(variable: str, otherwise: str) -> str:
    """The Airflow variable's value, else `otherwise`. Raises AirflowRuntimeError, as `base_url` does."""
    try:
        found: str = certain_answer(lambda: Variable.get(variable))
    except AirflowRuntimeError as error:
        if error.error.error is not ErrorType.VARIABLE_NOT_FOUND:
            raise
        return otherwise
    return found
