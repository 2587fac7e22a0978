"""The warehouse's Airflow connection, read where a task runs and nowhere else."""

from __future__ import annotations

from airflow.sdk import Connection
from airflow.sdk.exceptions import AirflowNotFoundException

from include.libpq import refuse_unknown
from include.settings import WAREHOUSE_CONNECTION, SettingError

# Extras that Airflow's own Postgres hook reads and that say nothing of the connection.
HOOKS_OWN = frozenset({"cursor", "enable_log_db_messages", "sqlalchemy_scheme", "sqlalchemy_query"})


def warehouse_fields() -> dict[str, str | int | None]:
    """host, port, user, password, dbname and sslmode of the connection, and its other settings, by libpq's names.

    Raises SettingError where it is not defined, or has an extra that cannot be honoured.
    """
    try:
        connection = Connection.get(WAREHOUSE_CONNECTION)
    except AirflowNotFoundException as error:
        raise SettingError(
            f"The Airflow connection {WAREHOUSE_CONNECTION!r} is not defined. Add it (type Postgres) under Admin > "
            f"Connections, or set AIRFLOW_CONN_{WAREHOUSE_CONNECTION.upper()}; then clear this task."
        ) from error
    extras = {name: value for name, value in connection.extra_dejson.items() if value not in (None, "")}
    settings = {name: value for name, value in extras.items() if name not in HOOKS_OWN}
    refuse_unknown(settings, f"The Airflow connection {WAREHOUSE_CONNECTION!r}")
    return {
        "host": connection.host,
        "port": connection.port or 5432,
        "user": connection.login,
        "password": connection.password,
        "dbname": connection.schema,
        "sslmode": None,
        **settings,
    }
