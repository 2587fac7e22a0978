"""The warehouse's Airflow connection and the sources' Airflow variables, read where a task runs and nowhere else."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from airflow.sdk import Connection, Variable, get_current_context
from airflow.sdk.exceptions import AirflowNotFoundException, AirflowRuntimeError, ErrorType

from include.libpq import settings_of
from include.settings import WAREHOUSE_CONNECTION, SettingError

if TYPE_CHECKING:  # with it comes pyarrow, which the triggerer needs for nothing
    from include.datasets import Dataset


def warehouse_fields() -> dict[str, str | int | None]:
    """host, port, user, password, dbname and sslmode of the connection, and its other settings, by libpq's names.

    Raises SettingError where it is not defined, or has an extra that cannot be honoured, and AirflowRuntimeError where
    Airflow's server does not answer.
    """
    try:
        connection = _certain(lambda: Connection.get(WAREHOUSE_CONNECTION))
    except AirflowNotFoundException as error:
        raise SettingError(
            f"The Airflow connection {WAREHOUSE_CONNECTION!r} is not defined. Add it (type Postgres) under Admin > "
            f"Connections, or set AIRFLOW_CONN_{WAREHOUSE_CONNECTION.upper()}; then clear this task."
        ) from error
    return {
        "host": connection.host,
        "port": connection.port or 5432,
        "user": connection.login,
        "password": connection.password,
        "dbname": connection.schema,
        "sslmode": None,
        **settings_of(connection.extra_dejson, f"The Airflow connection {WAREHOUSE_CONNECTION!r}"),
    }


def base_url(dataset: Dataset) -> str:
    """Where the dataset's files are: the address in its host's Airflow variable, else the host's own.

    Raises AirflowRuntimeError where Airflow's server does not answer.
    """
    return address(dataset.host.variable, dataset.host.address)


def address(variable: str, otherwise: str) -> str:
    """The Airflow variable's value, else the other address. Raises AirflowRuntimeError, as `base_url` does."""
    try:
        found: str = _certain(lambda: Variable.get(variable))
    except AirflowRuntimeError as error:
        if error.error.error is not ErrorType.VARIABLE_NOT_FOUND:
            raise
        return otherwise
    return found


def _certain(question: Callable[[], Any]) -> Any:
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
