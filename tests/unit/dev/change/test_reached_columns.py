"""A change of the SQL reaches published columns: those that are made of what it changes, and no others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import pytest

from dev.change.reached_columns import reached
from include.lineage.columns import lineage_of
from include.lineage.graph import Tables

SQL = {
    "int_trips": "select amount, amount < 0 as is_reversal, zone from raw_trips where zone > 0",
    "int_days": "select zone, sum(amount) as amount, count(*) as trips from int_trips group by zone",
    "fct_trips": "select amount, is_reversal from int_trips",
    "fct_days": "select zone, amount, trips from int_days",
}
NAMES: Mapping[str, str] = {"int_": "intermediate", "fct_": "marts"}


def tables(**changed: str) -> Tables:
    """The lineage of these models, each of whose SQL may be changed."""
    found: Tables = {}
    known: dict[str, dict[str, str]] = {"raw_trips": {"amount": "numeric", "zone": "integer"}}
    for name, sql in (SQL | changed).items():
        model = lineage_of(sql, known)
        columns: dict[str, Any] = {
            column: {
                "type": "",
                "steps": [asdict(step) for step in made.steps],
                "inputs": [asdict(each) for each in sorted(made.inputs)],
            }
            for column, made in model.columns.items()
        }
        rows = [
            {"subtype": rule.subtype, "sql": rule.sql, "inputs": [asdict(each) for each in sorted(rule.inputs)]}
            for rule in model.rows
        ]
        found[name] = {"layer": NAMES[name[:4]], "columns": columns, "rows": rows}
        known[name] = dict.fromkeys(columns, "")
    return found


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({}, ["None."]),
        ({"int_trips": SQL["int_trips"] + " -- the same"}, ["None."]),
        (
            {"int_trips": SQL["int_trips"].replace("amount < 0", "amount < 7")},
            ["- `fct_trips`: `is_reversal`, by `int_trips`"],
        ),
        (
            {"int_days": SQL["int_days"].replace("sum(amount)", "max(amount)")},
            ["- `fct_days`: `amount`, by `int_days`"],
        ),
        (
            {"int_trips": SQL["int_trips"].replace("zone > 0", "zone > 1")},
            [
                "- `fct_days`: every column, by the rows of `int_trips` → `int_days`",
                "- `fct_trips`: every column, by the rows of `int_trips`",
            ],
        ),
        ({"fct_trips": SQL["fct_trips"] + " where amount > 0"}, ["- `fct_trips`: which rows it has"]),
        (
            {"int_trips": SQL["int_trips"].replace("amount, amount", "amount * 2 as amount, amount")},
            ["- `fct_days`: `amount`, by `int_trips` → `int_days`", "- `fct_trips`: `amount`, by `int_trips`"],
        ),
        ({"fct_days": SQL["fct_days"].replace(", trips", "")}, ["- `fct_days.trips` is gone"]),
        (
            {"fct_days": SQL["fct_days"].replace("trips from", "trips + 1 as trips, zone + 1 as next from")},
            ["- `fct_days`: `next`, `trips`"],
        ),
    ],
)
def test_a_change_reaches_what_is_made_of_it(changed: dict[str, str], told: list[str]):
    assert reached(tables(), tables(**changed)).splitlines() == told
