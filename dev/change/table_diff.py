"""Compares a developer's table of a month with the published one: rows, columns, sums. It only reads."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from dev.change.workshop import Workshop
from include.month import Month

EXAMPLES = 5
# Not compared: they say when a month was published, and by which version.
TIMES = frozenset({"published_at", "code_version", "git_revision"})
COLUMNS = """
    select attname, format_type(atttypid, atttypmod), atttypid = 'numeric'::regtype
    from pg_attribute where attrelid = to_regclass(%s) and attnum > 0 and not attisdropped order by attnum
"""
KEY = """
    select attname from pg_index join pg_attribute on attrelid = indrelid and attnum = any(indkey)
    where indrelid = to_regclass(%s) and indisprimary order by array_position(indkey::int2[], attnum)
"""
# The join of two months of 3.5 million rows would otherwise be written to disk in parts.
SESSION = "set work_mem = '256MB'; set jit = off; set default_transaction_read_only = on"


@dataclass(frozen=True)
class TableDiff:
    """`here` is the developer's table, `there` the published one. Counts are of rows.

    `changed`: by column, the rows with the same key and another value. `sums`: by column of type numeric, both sums.
    `examples`: by kind (`here`, `there`, or a column's name), the first rows by key, each as names and values.
    `only_columns`: columns that only one of the tables has, as `name (yours)`. `types`: columns whose type differs.
    """

    table: str
    key: tuple[str, ...]
    rows_here: int
    rows_there: int
    only_here: int
    only_there: int
    rows_changed: int
    changed: dict[str, int] = field(default_factory=dict)
    sums: dict[str, tuple[Decimal | None, Decimal | None]] = field(default_factory=dict)
    examples: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    only_columns: tuple[str, ...] = ()
    types: tuple[str, ...] = ()

    @property
    def differs(self) -> bool:
        return bool(self.only_here or self.only_there or self.rows_changed or self.only_columns or self.types)


class NoRows(Exception):
    """The developer's table is not there, or has no rows of the month."""


def tables_of(dsn: str, schema: str) -> list[str]:
    """The marts, by name: the tables of the schema that have a primary key."""
    query = """
        select relname from pg_class join pg_index on indrelid = pg_class.oid and indisprimary
        where relnamespace = to_regnamespace(%s) and relkind in ('r', 'p') and relname <> 'audit_log' order by 1
    """
    with psycopg.connect(dsn) as connection:
        return [name for (name,) in connection.execute(query, [sql.Identifier(schema).as_string()]).fetchall()]


def table_diff(dsn: str, table: str, here: str, there: str, month: Month) -> TableDiff:
    """Compares the table of two schemas by primary key; of a table with source_month, the month's rows.

    Raises NoRows where the schema `here` has none, psycopg.Error where a table cannot be read.
    """
    names = [sql.Identifier(schema, table).as_string() for schema in (here, there)]
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(SESSION)
        ours, theirs = (
            {name: (kind, is_numeric) for name, kind, is_numeric in connection.execute(COLUMNS, [each]).fetchall()}
            for each in names
        )
        if not ours:
            raise NoRows(f"{here}.{table} is not there")
        key = tuple(name for (name,) in connection.execute(KEY, [names[0]]).fetchall())
        of_month = sql.SQL("where source_month = {}").format(sql.Literal(month.first_day))
        where = of_month if "source_month" in ours else sql.SQL("")
        only_columns = (
            *(f"{name} (yours)" for name in ours if name not in theirs),
            *(f"{name} (published)" for name in theirs if name not in ours),
        )
        if not set(key) <= theirs.keys():  # not published yet, or by another key
            [[rows]] = connection.execute(_count(here, table, where)).fetchall()
            return TableDiff(table, key, rows, 0, rows, 0, 0, only_columns=only_columns)
        both = [name for name in ours if name in theirs and name not in {*key, *TIMES}]
        joined = _Join(here, there, table, key, both, where)
        numeric = [name for name in both if ours[name][1] and theirs[name][1]]
        [counts] = connection.cursor(row_factory=dict_row).execute(joined.counts(numeric)).fetchall()
        if not counts["rows_here"]:
            raise NoRows(f"{here}.{table} has no rows of {month}")
        of_columns, sums_here, sums_there = (counts.pop(name) for name in ("changed", "sums_here", "sums_there"))
        changed = {name: count for name, count in zip(both, of_columns, strict=True) if count}
        kinds = {"here": counts["only_here"], "there": counts["only_there"]} | changed
        return TableDiff(
            **counts,
            table=table,
            key=key,
            changed=changed,
            sums=dict(zip(numeric, zip(sums_here, sums_there, strict=True), strict=True)),
            examples={kind: joined.examples(connection, kind) for kind, count in kinds.items() if count},
            only_columns=only_columns,
            types=tuple(
                f"{name} ({ours[name][0]} yours, {theirs[name][0]} published)"
                for name in (*key, *both)
                if name in theirs and ours[name][0] != theirs[name][0]
            ),
        )


class _Join:
    """Both tables' rows side by side, by key: `h` and `t`, of which one is null where the other has no such row."""

    def __init__(
        self, here: str, there: str, table: str, key: Iterable[str], columns: list[str], where: sql.Composable
    ) -> None:
        self.key, self.columns = list(key), columns
        self.rows = sql.SQL(
            "from (select * from {here} {where}) as h full join (select * from {there} {where}) as t using ({key})"
        ).format(
            here=sql.Identifier(here, table),
            there=sql.Identifier(there, table),
            where=where,
            key=_names(self.key),
        )
        self.only_here, self.only_there = (
            sql.SQL("{} is null").format(sql.Identifier(side, self.key[0])) for side in ("t", "h")
        )

    def counts(self, numeric: list[str]) -> sql.Composed:
        """SQL of one row: the counts, an array of the changed values by column, and one of the sums for each side."""
        count = sql.SQL("count(*) filter (where {} and {})")
        both, changed = self._both(), [self._changed(name) for name in self.columns]
        return sql.SQL(
            """
            select
                count(*) filter (where not ({only_there})) as rows_here,
                count(*) filter (where not ({only_here})) as rows_there,
                count(*) filter (where {only_here}) as only_here,
                count(*) filter (where {only_there}) as only_there,
                count(*) filter (where {both} and ({any_changed})) as rows_changed,
                array[{changed}]::bigint[] as changed,
                array[{sums_here}]::numeric[] as sums_here,
                array[{sums_there}]::numeric[] as sums_there
            {rows}
            """
        ).format(
            only_here=self.only_here,
            only_there=self.only_there,
            any_changed=sql.SQL(" or ").join([sql.SQL("false"), *changed]),
            both=both,
            changed=sql.SQL(", ").join(count.format(both, each) for each in changed),
            sums_here=_sums("h", numeric),
            sums_there=_sums("t", numeric),
            rows=self.rows,
        )

    def examples(self, connection: psycopg.Connection, kind: str) -> list[dict[str, Any]]:
        """The first rows by key: only here, only there, or with another value in the column of that name."""
        key = _names(self.key)
        if kind in ("here", "there"):
            side, where = ("h", self.only_here) if kind == "here" else ("t", self.only_there)
            values = sql.SQL(", ").join(sql.Identifier(side, name) for name in self.columns)
            shown = sql.SQL("{}, {}").format(key, values) if self.columns else key
        else:
            where = sql.SQL("{} and {}").format(self._both(), self._changed(kind))
            shown = sql.SQL("{}, {} as here, {} as there").format(
                key, sql.Identifier("h", kind), sql.Identifier("t", kind)
            )
        query = sql.SQL("select {} {} where {} order by {} limit {}").format(
            shown, self.rows, where, key, sql.Literal(EXAMPLES)
        )
        with connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(query).fetchall()

    def _both(self) -> sql.Composable:
        return sql.SQL("not ({}) and not ({})").format(self.only_here, self.only_there)

    def _changed(self, name: str) -> sql.Composable:
        return sql.SQL("{} is distinct from {}").format(sql.Identifier("h", name), sql.Identifier("t", name))


def _names(names: Iterable[str]) -> sql.Composable:
    return sql.SQL(", ").join(map(sql.Identifier, names))


def _sums(side: str, names: Iterable[str]) -> sql.Composable:
    return sql.SQL(", ").join(sql.SQL("sum({})").format(sql.Identifier(side, name)) for name in names)


def _count(schema: str, table: str, where: sql.Composable) -> sql.Composed:
    return sql.SQL("select count(*) from {} {}").format(sql.Identifier(schema, table), where)


def compare(workshop: Workshop, only: str | None = None) -> list[TableDiff]:
    """Compares the developer's tables of the month, or the one named, with the published ones.

    Leaves out tables without rows of the month; raises NoRows where that is the one named.
    """
    dsn = workshop.address.uri()
    found = []
    for table in [only] if only else tables_of(dsn, workshop.schema):
        try:
            found.append(table_diff(dsn, table, workshop.schema, workshop.published, workshop.month))
        except NoRows:
            if only:
                raise
    return found
