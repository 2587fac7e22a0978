"""The lineage of a column in a terminal."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from dev.change.column_text import lineage_text
from dev.errors import StackError
from include.lineage.graph import Tables


def column(*inputs: tuple[str, str, str, str], sql: str = "", origins: tuple[str, ...] = ()) -> dict[str, Any]:
    return {
        "type": "numeric",
        "description": "US dollars.",
        "tests": ["total_is_plausible"],
        "inputs": [dict(zip(("table", "column", "type", "subtype"), each, strict=True)) for each in inputs],
        "steps": [{"sql": sql}] if sql else [],
        "origins": list(origins),
    }


def table(layer: str, rows: str = "", unread: str = "", **columns: dict[str, Any]) -> dict[str, Any]:
    rule = {"subtype": "FILTER", "sql": rows, "inputs": [{"table": "raw", "column": "month"}]}
    return {"layer": layer, "unread": unread, "rows": [rule] if rows else [], "columns": columns}


TABLES = {
    "file.parquet": table("file", total=column(origins=("file",))),
    "raw": table("raw", total=column(("file.parquet", "total", "DIRECT", "IDENTITY")), month=column(origins=("run",))),
    "int_days": table(
        "intermediate",
        "raw.month = 1",
        total=column(
            *(("raw", "total", "DIRECT", "AGGREGATION"), ("raw", "total", "INDIRECT", "CONDITIONAL")),
            *(("raw", "", "DIRECT", "AGGREGATION"), ("raw", "month", "INDIRECT", "SORT")),
            sql="sum(total)",
        ),
        flag=column(sql="true", origins=("constant",)),
    ),
    "fct_days": table("marts", unread="odd SQL", total=column(("int_days", "total", "DIRECT", "IDENTITY"))),
    "all_days": table("readers", total=column(("fct_days", "total", "DIRECT", "IDENTITY"))),
}


def printed(asked: str, tables: Tables = TABLES) -> list[str]:
    console = Console(width=100, file=(text := io.StringIO()))
    for part in lineage_text("green", tables, asked):
        console.print(part, highlight=False)
    return [line.strip(" │└├─") for line in text.getvalue().splitlines()]


def test_the_way_up_and_what_stands_on_it():
    assert printed("int_days.total") == [
        *("int_days.total  numeric  of green", "US dollars.", "tested by total_is_plausible", "", "comes from"),
        *("int_days.total", "sum(total)", "rows where raw.month = 1"),
        *("raw.total", "file.parquet.total", "the rows of raw", "sort: raw.month", "decided by the run"),
        *("", "on it stand", "int_days.total", "fct_days.total", "all_days.total"),
    ]


def test_what_decides_about_rows_reaches_the_rows_of_each_table_that_reads_them_and_no_branch_is_cut_without_a_mark():
    told = printed("raw.month")
    assert told[told.index("on it stand") + 1 :] == [
        *("raw.month", "int_days.total", "fct_days.total", "all_days.total"),
        *("the rows of int_days", "the rows of fct_days", "the rows of all_days"),
    ]
    total = printed("file.parquet.total")
    assert total[total.index("on it stand") + 1 :] == [
        *("file.parquet.total", "raw.total", "int_days.total", "fct_days.total", "all_days.total"),
    ]
    twice = {"one": table("raw", x=column()), "two": table("staging", x=column(("one", "x", "DIRECT", "IDENTITY")))}
    twice["two"]["columns"]["y"] = column(("one", "x", "DIRECT", "IDENTITY"))
    both = [("two", "x", "DIRECT", "IDENTITY"), ("two", "y", "DIRECT", "IDENTITY")]
    twice |= {
        "three": table("marts", z=column(*both)),
        "four": table("marts", z=column(("three", "z", "DIRECT", "IDENTITY"))),
    }
    assert printed("one.x", twice)[-6:] == ["one.x", "two.x", "three.z", "four.z", "two.y", "three.z (see above)"]


def test_a_constant_what_cannot_be_read_and_what_nothing_stands_on():
    assert printed("int_days.flag")[-7:] == [
        *("int_days.flag", "true", "a constant", "rows where raw.month = 1", "", "on it stand"),
        "none of the tables, views and reports of green",
    ]
    assert "sqlglot cannot read its SQL: odd SQL" in printed("fct_days.total")


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("fct_days.totl", "Is it fct_days.total"),
        ("total", "Is it file.parquet.total or raw.total"),
        ("FCT_DAYS.Total", r"Is it fct_days.total\?"),
        ("airflow_default.fct_days.total", r"Is it fct_days.total\?"),
        ("fct_days", "names a table: add one of its columns, total."),
        ("elsewhere.x.y", "Give <table>.<column>"),
    ],
)
def test_a_column_that_is_not_there_is_told_with_those_that_are(asked: str, told: str):
    with pytest.raises(StackError, match=f"COLUMN={asked}.*{told}"):
        printed(asked)
