"""The warehouse's Airflow connection. Read only where a task runs, or a request is answered."""

from __future__ import annotations

from airflow.sdk import Connection
from airflow.sdk.exceptions import AirflowNotFoundException
from psycopg.conninfo import make_conninfo

from include.settings import WAREHOUSE_CONNECTION, SettingError
from include.support.lookup import certain_answer
from include.warehouse.libpq import settings_of


def warehouse_fields() -> dict[str, str | int | None]:
    """host, port, user, password, dbname and sslmode of the connection, and its other settings, by libpq's names.

    None stands for libpq's default. Raises SettingError where the connection is not defined, or has an extra that is
    not passed on, and AirflowRuntimeError where Airflow's server does not answer.
    """
    try:
        connection = certain_answer(lambda: Connection.get(WAREHOUSE_CONNECTION))
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


def warehouse_dsn(**settings: str | int) -> str:
    """The libpq connection string. `settings` replace the connection's own. Raises what `warehouse_fields` raises."""
    return make_conninfo(
        "", **{"application_name": "taxi_pipeline", "connect_timeout": 10, **warehouse_fields(), **settings}
    )
