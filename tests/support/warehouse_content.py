"""What is in a warehouse, in a form that can be compared."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import sql

PUBLISHED = ("dim_zones", "fct_months", "fct_rejected_trips", "fct_trips", "fct_zone_days")
RAW = ("load_log", "raw_trips", "raw_zones")
# What says when, and by which run, rather than what.
TIMES = {"published_at", "loaded_at", "dag_run", "file_id", "url"}


def content(
    dsn: str, tables: tuple[str, ...] = PUBLISHED, schema: str = "airflow_default", month: str | None = None
) -> dict[str, Any]:
    """Every row of the tables, without TIMES, as sorted text; None for a table that is not there.

    With `month`, only that month's rows of the tables that have a month.
    """
    with psycopg.connect(dsn) as connection:
        return {table: _rows(connection, schema, table, month) for table in tables}


def _rows(connection: psycopg.Connection, schema: str, table: str, month: str | None) -> list[str] | None:
    columns = connection.execute(
        "select column_name from information_schema.columns where table_schema = %s and table_name = %s order by 1",
        [schema, table],
    ).fetchall()
    if not columns:
        return None
    one_month = month and ("source_month",) in columns
    query = sql.SQL("select row({})::text as row from {} where {} order by 1").format(
        sql.SQL(", ").join(sql.Identifier(name) for (name,) in columns if name not in TIMES),
        sql.Identifier(schema, table),
        sql.SQL("source_month = {}").format(f"{month}-01") if one_month else sql.SQL("true"),
    )
    return [row for (row,) in connection.execute(query)]


def query(dsn: str, statement: str, *values: Any) -> list[tuple[Any, ...]]:
    """The rows a statement answers; committed."""
    with psycopg.connect(dsn) as connection:
        cursor = connection.execute(statement, values or None)
        return cursor.fetchall() if cursor.description else []


def drop_schemas(dsn: str, pattern: str) -> None:
    """Drops, with all in them, the schemas whose names match."""
    for (schema,) in query(dsn, "select nspname from pg_namespace where nspname ~ %s", pattern):
        query(dsn, sql.SQL("drop schema {} cascade").format(sql.Identifier(schema)).as_string())
