"""The reference of Postgres' answers is the table itself. Each answer is produced in tests/warehouse/failures."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from cosmos.exceptions import CosmosDbtRunError

from include.failures.postgres import ANSWERS, Answer
from include.failures.retry import heals
from include.settings import ROOT
from include.transform.dbt_log import DbtFailed, FailedNode

REFERENCE = ROOT / "docs" / "reference" / "postgres-answers.md"
# A group of states, `57P0[123]`, is written as `57P01`, `57P02`, `57P03`; a class, `08...`, as `08…`.
GROUP = re.compile(r"(.*)\[([\dA-Z]+)\](.*)")


def row(answer: Answer) -> str:
    states = [state for part in answer.states.split("|") for state in spelled_out(part)]
    shown = ", ".join(f"`{each}`" for each in states) if answer.states else "none"
    heading = answer.entry.heading
    anchor = re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")
    words = f", with `{answer.words}`" if answer.states and answer.words else ""
    heals = "yes" if answer.heals else "no"
    return f"| {shown}{words} | {answer.meaning} | {heals} | [{heading}](../../RUNBOOK.md#{anchor}) |"


def spelled_out(part: str) -> list[str]:
    part = part.replace("0-2", "012")
    if found := GROUP.fullmatch(part):
        return [re.sub(r"\.+$", "…", f"{found[1]}{each}{found[3]}") for each in found[2]]
    return [re.sub(r"\.+$", "…", part)]


def test_the_reference_shows_every_row_in_order():
    rows = [line for line in REFERENCE.read_text().splitlines() if line.endswith(" |") and "RUNBOOK.md#" in line]
    assert rows == [row(each) for each in ANSWERS]


AUDIT = FailedNode("test", "a", 2, "a: Guards.\n  road=connection refused")


def node(sqlstate: str | None) -> FailedNode:
    return FailedNode("model", "m", None, "words", sqlstate)


@pytest.mark.parametrize(
    ("failure", "healing"),
    [
        (DbtFailed("x", (node("40P01"),)), True),
        (DbtFailed("x", (node("42P01"),)), False),
        (DbtFailed("x", (node("42P01"), node("40P01"))), True),
        (DbtFailed("x", (node("53400"), node("40P01"))), True),
        (DbtFailed("x", (AUDIT, node("40P01"))), True),
        (DbtFailed("connection refused", (AUDIT,)), False),  # an audit's words are its author's
        (DbtFailed("connection refused", (node("42P01"),)), False),  # the SQLSTATE counts, not the words
        (DbtFailed("connection refused", (node(None),)), True),
        (DbtFailed("x", (), "25006"), True),
        (DbtFailed("connection refused", ()), True),
        (CosmosDbtRunError("connection refused"), True),
        (CosmosDbtRunError("connection refused; password authentication failed"), False),
    ],
)
def test_of_several_nodes_of_dbt_one_that_heals_decides(failure: CosmosDbtRunError, healing: bool):
    assert heals(failure) == healing


def test_the_table_is_read_without_dbt():
    """The api-server reads it, and has no use for dbt and Cosmos: 150 MB."""
    code = (
        "import sys, include.failures.postgres; "
        "print({'dbt', 'cosmos', 'airflow'} & {name.partition('.')[0] for name in sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
