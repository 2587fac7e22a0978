"""What a run is to accept, and why."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from include.alerts.runbook import MONTH
from include.month import MonthError
from include.runs.acceptance import Acceptance, acceptance_of
from tests.support.documents import shows

MADE = datetime(2026, 11, 30, 4, 12, tzinfo=UTC)


def run(run_type: str = "manual") -> Any:
    return SimpleNamespace(run_type=run_type, run_after=MADE, triggering_user_name="ana")


@pytest.mark.parametrize(
    ("accept", "audits"),
    [("a_b", ("a_b",)), ("a,b", ("a", "b")), (" a , b\n c a,", ("a", "b", "c"))],
)
def test_a_run_accepts_the_audits_it_names_since_it_was_made_in_the_name_of_who_made_it(accept, audits):
    assert acceptance_of(run(), {"accept": accept, "reason": "a flood"}) == Acceptance(audits, "a flood", MADE, "ana")


@pytest.mark.parametrize("params", [{}, {"accept": None, "reason": None}, {"accept": "", "reason": " "}])
@pytest.mark.parametrize("run_type", ["manual", "backfill", "scheduled"])
def test_an_ordinary_run_accepts_nothing(run_type, params):
    assert acceptance_of(run(run_type), params) is None


@pytest.mark.parametrize("reason", [None, "", " \n\t", "\x00\x1b"])
def test_a_reason_is_required(reason):
    with pytest.raises(MonthError, match="This run is to accept a, b, and gives no reason") as refusal:
        acceptance_of(run(), {"accept": "a b", "reason": reason})
    shows(MONTH.heading, "is to accept …, and gives no reason", str(refusal.value))


def test_a_reason_that_accepts_nothing_is_refused():
    with pytest.raises(MonthError, match="gives the reason “a flood”, and names no audit to accept"):
        acceptance_of(run(), {"reason": "a flood"})


@pytest.mark.parametrize("run_type", ["backfill", "scheduled"])
def test_a_backfill_accepts_nothing_of_months_that_nobody_has_looked_at(run_type):
    with pytest.raises(MonthError, match="A backfill's configuration says accept a"):
        acceptance_of(run(run_type), {"accept": "a", "reason": "a flood"})


def test_a_reason_is_one_line_of_what_can_be_printed():
    given = {"accept": "a", "reason": " a flood\r\n\x1b[31m in  the\x00Bronx “déluge” "}
    asked = acceptance_of(run(), given)
    assert asked
    assert asked.reason == "a flood [31m in the Bronx “déluge”"
