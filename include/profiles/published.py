"""Reads the figures of published months, and finds those that depart."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

import psycopg
from psycopg.rows import tuple_row
from psycopg.sql import SQL, Composable, Identifier, Literal

from include.datasets import Dataset
from include.month import Month
from include.profiles.departures import COMPARED_WITH, Departure, Figures, departures

# Runs a statement, given as text; `{name}` in it stands for the identifier or literal of that name. Returns its rows.
Execute = Callable[..., list[tuple[Any, ...]]]
# A month of fewer has shares and medians of chance. TLC's smallest month, green 2013-08, has 8,700.
FEWEST_ROWS = 1000
ARE_THERE = "select to_regclass({profiles_name}) is not null and to_regclass({months_name}) is not null"
# As JSON: a table that an earlier revision made may have fewer columns. Not a join: planned for the partitions of 39
# months in a new session, that takes twice as long as both tables one after the other.
FIGURES = """
    select source_month, to_jsonb(profiles) from {profiles} as profiles where {which}
    union all
    select source_month, jsonb_build_object('rows_accepted', rows_accepted) from {months} where {which}
"""


def on(connection: psycopg.Connection[Any]) -> Execute:
    """Runs statements on the connection, whatever it makes of rows."""

    def execute(query: str, **names: Composable) -> list[tuple[Any, ...]]:
        return connection.cursor(row_factory=tuple_row).execute(SQL(query).format(**names)).fetchall()

    return execute


def published_departures(
    execute: Execute, dataset: Dataset, schema: str, months: list[Month] | None = None
) -> dict[Month, list[Departure]]:
    """The published months with figures that depart, of these months, or of all. Raises psycopg.Error."""
    return departing(published_profiles(execute, dataset, schema, months), dataset, months)


def departing(
    profiles: Mapping[Month, Mapping[str, Any]], dataset: Dataset, months: list[Month] | None = None
) -> dict[Month, list[Departure]]:
    """Of these profiles: the months with figures that depart, of these months, or of all."""
    if not dataset.profile:
        return {}
    return departures({month: _figures(month, each) for month, each in profiles.items()}, dataset.profile, months)


def published_profiles(
    execute: Execute, dataset: Dataset, schema: str, months: list[Month] | None = None
) -> dict[Month, dict[str, Any]]:
    """The columns of the profile of each published month, and its `rows_accepted`; or of those that decide on `months`.

    Empty where the dataset compares no figures, or has published none yet. Raises psycopg.Error.
    """
    if not (dataset.profile and dataset.months_table):
        return {}
    tables = {"profiles": Identifier(schema, dataset.profile.table), "months": Identifier(schema, dataset.months_table)}
    if execute(ARE_THERE, **{f"{name}_name": Literal(each.as_string()) for name, each in tables.items()}) != [(True,)]:
        return {}
    which: Composable = SQL("true")
    if months is not None:
        earliest, latest = COMPARED_WITH
        first, last = min(months).plus(earliest), max(months).plus(latest)
        which = SQL("source_month between {} and {}").format(Literal(first.first_day), Literal(last.first_day))
    found: dict[Month, dict[str, Any]] = defaultdict(dict)
    for day, figures in execute(FIGURES, which=which, **tables):
        found[Month(day)] |= figures
    # the table of months is published last: a month counts once both have it
    return {month: each for month, each in found.items() if {"rows_accepted", "rows_profiled"} <= each.keys()}


def _figures(month: Month, found: Mapping[str, Any]) -> Figures:
    days = (month.plus(1).first_day - month.first_day).days
    figures = found if found["rows_profiled"] >= FEWEST_ROWS else {}
    numbers = {name: value for name, value in figures.items() if isinstance(value, int | float)}
    return numbers | {"trips_a_day": found["rows_accepted"] / days}
