"""Which months `make rebuild` makes anew, by the lines of the ledger."""

from __future__ import annotations

from typing import Any

import pytest

from dev.runs.rebuild import loaded, outdated
from include.datasets import GREEN
from include.month import Month


def line(month: str, state: str = "published", **given: Any) -> dict[str, Any]:
    return {"dataset": "green", "month": month, "state": state, "is_outdated": True, "figures": {}} | given


def test_months_of_another_version_are_made_anew_unless_a_run_makes_them_now():
    lines = [
        line("2024-01"),
        line("2024-02", is_outdated=False),
        line("2024-03", "running"),
        line("2024-04", "waiting"),
        line("2024-05", "failed"),
        line("2024-06", dataset="yellow"),
    ]
    assert [str(month) for month in outdated(lines, GREEN)] == ["2024-01", "2024-05"]


def test_months_without_loaded_rows_are_left_out_which_is_said(capsys: pytest.CaptureFixture):
    lines = [line("2024-01", figures={"loaded_at": "2024-03-01"}), line("2024-02"), line("2024-03")]
    asked = Month.parse("2024-01").through(Month.parse("2024-02"))
    assert [str(month) for month in loaded(lines, GREEN, asked)] == ["2024-01"]
    assert "green 2024-02: not loaded" in capsys.readouterr().out
