"""What is in a warehouse, in a form that can be compared."""

from __future__ import annotations

import json
from typing import Any

import psycopg
from psycopg import sql

from include.datasets import GREEN
from include.settings import DBT_MANIFEST, DBT_PROJECT

PUBLISHED = tuple(sorted(file.stem for file in (DBT_PROJECT / "models" / "marts" / GREEN.models).glob("*.sql")))
RAW = ("load_log", "raw_trips", "raw_zones")
# What says when, and by which run or version, rather than what.
TIMES = {"published_at", "code_version", "git_revision", "loaded_at", "dag_run", "file_id", "url"}


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


def columns(dsn: str, schema: str = "airflow_default") -> dict[str, list[str]]:
    """The columns of each published table, in the order in which `select *` shows them."""
    there = "select column_name from information_schema.columns where table_schema = %s and table_name = %s"
    return {
        table: [name for (name,) in query(dsn, f"{there} order by ordinal_position", schema, table)]
        for table in PUBLISHED
    }


def columns_of_contracts() -> dict[str, list[str]]:
    """The columns of each published table, in the order of its contract."""
    nodes = json.loads(DBT_MANIFEST.read_text())["nodes"].values()
    return {node["name"]: list(node["columns"]) for node in nodes if node["name"] in PUBLISHED}


def fingerprint(dsn: str, but: str = "dev\\_%") -> list[tuple[Any, ...]]:
    """Every table and view outside the schemas that match `but`: which one it is, its comment, its rights, its rows."""
    relations = """
        select nspname, relname, pg_class.oid, relfilenode, relacl::text, obj_description(pg_class.oid, 'pg_class')
        from pg_class join pg_namespace on pg_namespace.oid = relnamespace
        where nspname !~ '^(pg_|information_schema)' and nspname not like %s and relkind in ('r', 'p', 'v')
        order by 1, 2
    """
    rows = sql.SQL("select count(*), sum(hash_record_extended(each, 0)) from {} as each")
    with psycopg.connect(dsn) as connection:
        return [
            (*relation, *connection.execute(rows.format(sql.Identifier(*relation[:2]))).fetchall())
            for relation in connection.execute(relations, [but]).fetchall()
        ]


def query(dsn: str, statement: str, *values: Any) -> list[tuple[Any, ...]]:
    """The rows a statement answers; committed."""
    with psycopg.connect(dsn) as connection:
        cursor = connection.execute(statement, values or None)
        return cursor.fetchall() if cursor.description else []


def drop_schemas(dsn: str, pattern: str) -> None:
    """Drops, with all in them, the schemas whose names match."""
    for (schema,) in query(dsn, "select nspname from pg_namespace where nspname ~ %s", pattern):
        query(dsn, sql.SQL("drop schema {} cascade").format(sql.Identifier(schema)).as_string())
