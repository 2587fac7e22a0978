"""Reads and judges the commands' variables, such as DATASET and FROM, from the environment."""

import getpass
import os
import shlex
from collections.abc import Callable
from datetime import timedelta

from dev.change.workshop import developer_name
from dev.errors import StackError
from dev.runs.backfill import REPROCESS, months_between
from include.datasets import DATASETS, Dataset, default_dataset
from include.month import Month, MonthError

MOST_PARALLEL, MOST_DAYS = 200, 36_500
ROLES = ("analyst", "developer", "owner")


def given(name: str) -> str | None:
    """The variable's text; None where it is not set, or empty."""
    return os.environ.get(name) or None


def dataset() -> Dataset:
    """DATASET, else the first."""
    name = given("DATASET") or default_dataset().name
    if name not in DATASETS:
        raise StackError(f"DATASET={name}: one of {', '.join(DATASETS)} is needed.")
    return DATASETS[name]


def month(otherwise: str | None = None) -> Month:
    if not (text := given("MONTH") or otherwise):
        raise StackError("MONTH is needed, for example: make dev MONTH=2024-01")
    try:
        return Month.parse(text)
    except MonthError as error:
        raise StackError(f"MONTH={text}: {error}") from None


def months(dataset: Dataset, otherwise: Callable[[Dataset], list[Month]] | None = None) -> list[Month]:
    """The months from FROM to TO. Where neither is given, what `otherwise` returns."""
    first, last = given("FROM"), given("TO")
    if otherwise and not first and not last:
        return otherwise(dataset)
    if not (first and last):
        raise StackError("FROM and TO are needed, for example: make backfill FROM=2024-01 TO=2024-03")
    return months_between(dataset, first, last)


def parallel() -> int:
    """PARALLEL: the months that run side by side."""
    text = given("PARALLEL") or "3"
    if not text.isdecimal() or not 1 <= int(text) <= MOST_PARALLEL:
        raise StackError(f"PARALLEL={text}: a number of months to run side by side is needed, 1 to {MOST_PARALLEL}.")
    return int(text)


def reprocess() -> str:
    """REPROCESS: which months that have a run are run again."""
    text = given("REPROCESS") or "none"
    if text not in REPROCESS:
        raise StackError(f"REPROCESS={text}: one of {', '.join(REPROCESS)} is needed.")
    return text


def judge_backfill() -> None:
    """Reads what a backfill is told, before a command that starts something for it."""
    months(dataset(), otherwise=lambda dataset: [])
    parallel()
    reprocess()


def replace() -> bool:
    """REPLACE: whether what is there may be replaced."""
    text = given("REPLACE") or "no"
    if text not in ("yes", "no"):
        raise StackError(f"REPLACE={text}: yes or no is needed.")
    return text == "yes"


def role() -> str:
    """ROLE: of ROLES; without it the first, which can harm nothing."""
    name = given("ROLE") or ROLES[0]
    if name not in ROLES:
        raise StackError(f"ROLE={name}: one of {', '.join(ROLES)} is needed.")
    return name


def older_than() -> timedelta:
    """OLDER_THAN_DAYS."""
    text = given("OLDER_THAN_DAYS") or "30"
    if not text.isdecimal() or int(text) > MOST_DAYS:
        raise StackError(f"OLDER_THAN_DAYS={text}: a number of days is needed, {MOST_DAYS} at most.")
    return timedelta(days=int(text))


def words() -> list[str]:
    """ARGS, split as a shell splits it."""
    text = given("ARGS") or ""
    try:
        return shlex.split(text)
    except ValueError as error:
        raise StackError(f"ARGS={text}: {error}") from None


def developer() -> str:
    """DEV_USER, else the login, as part of a schema's name."""
    return developer_name(given("DEV_USER") or getpass.getuser())
