"""Where a dataset's files are. Read only where a task or a trigger runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk import Variable
from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
from airflow.sdk.log import mask_secret

from include.settings import SettingError
from include.source.address import Address
from include.support.lookup import certain_answer

if TYPE_CHECKING:  # with it comes pyarrow, which the triggerer needs for nothing
    from include.datasets import Dataset


def base_url(dataset: Dataset) -> Address:
    """The address in the Airflow variable of the dataset's host, else the host's own.

    Raises AirflowRuntimeError where Airflow's server does not answer, SettingError for a variable that is no address.
    """
    return address(dataset.host.variable, dataset.host.address)


def address_to_show(dataset: Dataset) -> str:
    """The same without what may be secret: login, query and fragment.

    Where Airflow's server does not answer, the variable's name in pointed brackets, as what explains a failure may not
    fail.
    """
    try:
        return base_url(dataset).shown
    except Exception:
        return f"<{dataset.host.variable}>"


def address(variable: str, otherwise: str) -> Address:
    """The Airflow variable's value, else `otherwise`. Raises what `base_url` does."""
    try:
        found: str = certain_answer(lambda: Variable.get(variable))
    except AirflowRuntimeError as error:
        if error.error.error is not ErrorType.VARIABLE_NOT_FOUND:
            raise
        found = otherwise
    try:
        parsed = Address.parse(found)
    except ValueError as error:
        raise SettingError(f"Airflow variable {variable}: {error}") from None
    for secret in parsed.secrets():  # for other code that logs what it asks, such as a library's debugging
        mask_secret(secret)
    return parsed
