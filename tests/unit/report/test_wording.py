"""How a report writes its figures."""

from __future__ import annotations

from decimal import Decimal

import pytest

from include.report.wording import change, per_cent


@pytest.mark.parametrize(("part", "shown"), [(0, "0.0 %"), (4, "< 0.1 %"), (7, "0.1 %"), (10, "0.1 %"), (16, "0.2 %")])
def test_a_share_and_a_change_of_the_same_size_round_alike(part: int, shown: str):
    """The sentence said `< 0.1 % more` of a change that the table below it gave as `+0.1 %`."""
    assert per_cent(part, 10_000) == shown
    assert change(Decimal(10_000 + part), Decimal(10_000)) == f"+{shown}".replace("+< 0.1", "+0.0")


def test_of_nothing_there_is_no_share():
    assert per_cent(1, 0) == change(1, 0) == "n/a"
