"""Finds production's tables of a month that are made from the file that is loaded now, by a version of the SQL."""

from dataclasses import dataclass

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from dev.errors import StackError
from include.datasets import Dataset
from include.month import Month
from include.transform.code_version import MADE_BY

RUN_SCHEMAS = "select nspname from pg_namespace where nspname ~ %s and has_schema_privilege(oid, 'usage')"
RELATIONS = """
    select relname, relkind in ('v', 'm') as is_view, coalesce(obj_description(oid, 'pg_class'), '') as comment
    from pg_class where relnamespace = %s::regnamespace and relkind in ('r', 'p', 'v', 'm')
"""


@dataclass(frozen=True)
class ProductionTables:
    """`of_run`: the current tables and views of `run_schema`. `published`: the published ones. Both may be empty."""

    run_schema: str
    of_run: frozenset[str]
    published: frozenset[str]

    def holds(self, table: str) -> bool:
        return table in self.of_run or table in self.published


def production_tables(dsn: str, dataset: Dataset, published: str, month: Month, code: str) -> ProductionTables:
    """Chooses, of the month's run schemas, the one with the most current tables. `code`: the version that made them.

    Raises StackError where the month is not loaded, psycopg.Error where the tables cannot be read.
    """
    with psycopg.connect(dsn) as connection:
        if (sha256 := _loaded_sha256(connection, dataset, published, month)) is None:
            raise StackError(
                f"{published}.load_log has no file of {month}: load it first, with make backfill "
                f"DATASET={dataset.name} FROM={month} TO={month}."
            )
        pattern = f"^{published}_{month.ds_nodash}(_[0-9a-f]{{8}})?$"
        schemas = [name for (name,) in connection.execute(RUN_SCHEMAS, [pattern]).fetchall()]
        found = {name: _current_in(connection, name, published, code) for name in sorted(schemas)}
        best = max(found, key=lambda name: len(found[name]), default="")
        return ProductionTables(
            run_schema=best or f"{published}_{month.ds_nodash}",
            of_run=found.get(best, frozenset()),
            published=_published(connection, dataset, published, month, sha256, code),
        )


def _loaded_sha256(connection: psycopg.Connection, dataset: Dataset, published: str, month: Month) -> str | None:
    query = sql.SQL("select sha256 from {} where table_name = %s and source_month = %s")
    [[there]] = connection.execute("select to_regclass(%s)", [f"{published}.load_log"]).fetchall()
    if there is None:
        return None
    log = sql.Identifier(published, "load_log")
    row = connection.execute(query.format(log), [dataset.monthly.table, month.first_day]).fetchone()
    return row[0] if row else None


def _current_in(connection: psycopg.Connection, schema: str, published: str, code: str) -> frozenset[str]:
    """The tables that this version has made, and whose file_id is that of a file that is loaded now.

    Views too, where this version has made all tables: no comment says which version has made a view.
    """
    query = sql.SQL("select (select file_id from {} limit 1) in (select file_id from {})")
    relations = connection.execute(RELATIONS, [schema]).fetchall()
    tables = {name: comment.endswith(MADE_BY + code) for name, is_view, comment in relations if not is_view}
    current = {name for name, is_view, _ in relations if is_view} if tables and all(tables.values()) else set()
    for name in (name for name, made_by_it in tables.items() if made_by_it):
        table, log = sql.Identifier(schema, name), sql.Identifier(published, "load_log")
        [[made_from_it]] = connection.execute(query.format(table, log)).fetchall()
        current |= {name} if made_from_it else set()
    return frozenset(current)


def _published(
    connection: psycopg.Connection, dataset: Dataset, published: str, month: Month, sha256: str, code: str
) -> frozenset[str]:
    """The published tables, where this version has published the month with this file; else none."""
    tables = {name for name, _, _ in connection.execute(RELATIONS, [published]).fetchall()}
    if dataset.months_table is None or dataset.months_table not in tables:
        return frozenset()
    # a table of an earlier revision has no such column
    query = sql.SQL("select 1 from {} as m where source_month = %s and file_sha256 = %s and to_jsonb(m) @> %s")
    months = sql.Identifier(published, dataset.months_table)
    values = [month.first_day, sha256, Jsonb({"code_version": code})]
    is_published = connection.execute(query.format(months), values).fetchone()
    return frozenset(tables) if is_published else frozenset()
