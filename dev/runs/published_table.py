"""Shows what is published of some months, as a table in a terminal."""

from datetime import date
from typing import Any

import psycopg
from psycopg import sql
from rich.console import Group
from rich.table import Table

from include.month import Month

MONTHS_SIDE_BY_SIDE = 5  # so that a terminal of 80 columns holds them
FIRST = ("rows_in_file", "rows_accepted", "rows_rejected")
LAST = ("pickups_outside_month", "total_amount_in_file", "total_amount_accepted")


def published_table(dsn: str, schema: str, table: str, months: list[Month]) -> Group:
    """A line for each count and rejection reason, a column for each published month. Raises psycopg.Error.

    `table`: of the schema, with a row for each month.
    """
    query = sql.SQL("select * from {} where source_month = any(%s) order by source_month")
    with psycopg.connect(dsn, row_factory=psycopg.rows.dict_row) as connection:
        cursor = connection.execute(
            query.format(sql.Identifier(schema, table)), [[month.first_day for month in months]]
        )
        names = [column.name for column in cursor.description or ()]
        rows = cursor.fetchall()
    reasons = [name for name in names if name.startswith("rejected_")]
    lines = [name for name in (*FIRST, *reasons, *LAST) if name in names]
    return Group(
        *(
            _table(lines, rows[start : start + MONTHS_SIDE_BY_SIDE])
            for start in range(0, len(rows), MONTHS_SIDE_BY_SIDE)
        )
    )


def _table(lines: list[str], rows: list[dict[str, Any]]) -> Table:
    table = Table("", *(_month(row["source_month"]) for row in rows))
    for column in table.columns[1:]:
        column.justify = "right"
    for line in lines:
        label = line.replace("rejected_", "  ", 1) if line.startswith("rejected_") else line
        table.add_row(label.replace("_", " "), *(_number(row[line]) for row in rows))
    return table


def _month(day: date) -> str:
    return f"{day:%Y-%m}"


def _number(value: object) -> str:
    return f"{value:,}" if value is not None else ""
