"""The ledger in a terminal: which months another version of the SQL made, and which depart from their neighbours."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from dev.runs.ledger_table import as_calendars, ranges, told_of_outdated


def line(month: str, version: str | None = None, *, outdated: bool = True, changed: list[str] | None = None) -> Any:
    return {
        **{"dataset": "green", "title": "Green", "month": month, "state": "published", "restated": None},
        **{
            "is_published": True,
            "readers_see": None,
            "pinned": None,
            "accepted": [],
            "may_accept": [],
            "departures": [],
        },
        **{"code_version": version, "git_revision": None, "is_outdated": outdated, "changed_models": changed},
    }


@pytest.mark.parametrize(
    ("months", "text"),
    [
        ([], ""),
        (["2024-01"], "2024-01"),
        (["2024-02", "2023-12", "2024-01", "2024-04"], "2023-12 to 2024-02, 2024-04"),
    ],
)
def test_months_are_told_as_ranges(months: list[str], text: str):
    assert ranges(months) == text


def test_months_are_told_by_the_version_that_made_them_and_present_ones_are_not():
    lines = [
        line("2023-12", "aaa", changed=["fct_trips", "int_months"]),
        line("2024-01", "aaa", changed=["fct_trips", "int_months"]),
        line("2024-02", "bbb", outdated=False),
        line("2024-03"),
    ]
    by_version, unknown = sorted(told_of_outdated(lines), key=lambda told: "unknown" in told)
    assert by_version == (
        "green: 2 months made by version aaa of the SQL: 2023-12 to 2024-01; since then changed: fct_trips, int_months"
        ". Rebuild without asking the source: make rebuild DATASET=green"
    )
    assert unknown.startswith("green: 1 month made by an unknown version of the SQL: 2024-03. Rebuild")
    assert told_of_outdated([line("2024-02", "bbb", outdated=False)]) == []


def test_the_calendar_marks_them_beside_their_state_and_not_in_red():
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(as_calendars([line("2024-01"), line("2024-02", "bbb", outdated=False)]))
    said = console.export_text()
    assert "✓*" in said
    assert "2 of 2 published" in said


def test_a_month_that_departs_is_marked_and_says_in_which_figures():
    figures = ["tipped 0.20 is 0.38 below the median of the 6 months nearest to it, 0.58", "tolled 0.20 is …"]
    departing = line("2024-02", "bbb", outdated=False) | {"departures": figures}
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(as_calendars([line("2024-01", "bbb", outdated=False), departing]))
    said = console.export_text()
    assert said.count("✓!") == 1
    assert f"green 2024-02: {figures[0]}; {figures[1]}" in said
    assert "green 2024-01" not in said
