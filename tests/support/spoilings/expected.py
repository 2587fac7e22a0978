"""What becomes of a spoiled month."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa

from tests.support.spoilings.month_file import MonthFile


@dataclass(frozen=True)
class Expected:
    """`outcome`, and `by`: words of the loader's error, audits, or figures. Others may tell the month too.

    - refused: the loader raises, and nothing is loaded.
    - red: audits fail, and nothing is published.
    - marked: the month is published, and the ledger marks figures that depart from its neighbours'.
    - missed: the month is published, and nothing is said.
    - harmless: what is judged is what would be without the spoiling.

    `why`: for a month that is missed or harmless.
    """

    outcome: str
    by: tuple[str, ...] = ()
    why: str = ""


@dataclass(frozen=True)
class Spoiling:
    """`expected`: what becomes of a real month; `on_sample`: of a generated one."""

    name: str
    kind: str
    spoil: Callable[[MonthFile], pa.Table]
    expected: Expected
    on_sample: Expected


def refused(*words: str) -> Expected:
    return Expected("refused", words)


def red(*audits: str) -> Expected:
    return Expected("red", audits)


def marked(*figures: str) -> Expected:
    return Expected("marked", figures)


def missed(why: str) -> Expected:
    return Expected("missed", why=why)


def harmless(why: str = "") -> Expected:
    return Expected("harmless", why=why)
