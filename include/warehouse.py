"""A session with the warehouse: how it is opened, and the statements that run in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import adbc_driver_postgresql.dbapi
import pyarrow as pa
from psycopg.conninfo import make_conninfo
from psycopg.sql import SQL, Composable, Identifier


def connection_string(fields: Mapping[str, Any]) -> str:
    """libpq connection string from host, port, user, password, dbname and libpq's settings (None: its default)."""
    return make_conninfo("", **{"application_name": "taxi_pipeline", "connect_timeout": 10, **fields})


class Warehouse:
    """One connection, one transaction at a time. Closing without commit() rolls back.

    Raises adbc_driver_manager.Error with `sqlstate` for whatever Postgres refuses.
    """

    def __init__(self, conninfo: str, schema: str) -> None:
        self.schema = schema
        self.partitions = f"{schema}_partitions"
        self._connection = adbc_driver_postgresql.dbapi.connect(conninfo)

    def __enter__(self) -> Warehouse:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def commit(self) -> None:
        self._connection.commit()

    def rollback(self) -> None:
        self._connection.rollback()

    def execute(self, query: str, *, values: tuple[Any, ...] = (), **names: Composable) -> list[tuple[Any, ...]]:
        """Runs one statement: `{name}` for identifiers and literals, `$1` for values."""
        statement = SQL(query).format(schema=Identifier(self.schema), partitions=Identifier(self.partitions), **names)
        with self._connection.cursor() as cursor:
            cursor.execute(statement.as_string(), values or None)
            return cursor.fetchall() if cursor.description else []

    def ingest(self, schema: str, table: str, rows: pa.RecordBatchReader) -> int:
        """Appends the rows by binary COPY, batch by batch, in the current transaction; returns their number."""
        with self._connection.cursor() as cursor:
            appended: int = cursor.adbc_ingest(table, rows, mode="append", db_schema_name=schema)
            return appended

    def lock(self, *what: str) -> None:
        """Waits for, and holds until the transaction ends, the lock named by the published schema and `what`."""
        self.execute("select pg_advisory_xact_lock(hashtextextended($1, 0))", values=("/".join((self.schema, *what)),))

    def exists(self, schema: str, name: str) -> bool:
        found: bool
        [[found]] = self.execute(
            "select exists (select from pg_class where relnamespace = to_regnamespace($1) and relname = $2)",
            values=(schema, name),
        )
        return found
