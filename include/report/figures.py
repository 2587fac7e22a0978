"""Reads the figures of a month's report from the published tables."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from datetime import datetime
from decimal import Decimal
from typing import Any

import psycopg
from pandas import DataFrame, Series, date_range
from psycopg.rows import dict_row
from psycopg.sql import SQL, Identifier

from include.month import Month
from include.report.queries import BOROUGHS, DAYS, MONTHS, PAYMENTS, PROFILES, TABLES, ZONES

TOP_ZONES = 12
CARD = 1
PAYMENT_TYPES = {  # by TLC's data dictionary; a code that is not here is its own name
    "": "Not said",
    "0": "Flex Fare",
    str(CARD): "Credit card",
    "2": "Cash",
    "3": "No charge",
    "4": "Dispute",
    "5": "Unknown",
    "6": "Voided trip",
}
TIP_STEPS = (5, 10, 15, 20, 25, 30, 35, 40)  # per cent of the fare

# `to_jsonb`, as an audit_log of an earlier revision has no such columns before the next load.
ACCEPTED = """
    select split_part(audit, '.', 3), noted ->> 'reason', noted ->> 'accepted_by', judged_at
    from (select audit_log.*, to_jsonb(audit_log) as noted from {} as audit_log) as audits
    where source_month = %s and inputs = %s and noted ->> 'reason' is not null
    order by 1
"""


@dataclass(frozen=True)
class PublishedMonth:
    """A row of fct_months. `rejected`: rows by the rule that rejected them. Amounts are US dollars.

    `code_version`, `git_revision`: of the SQL that made the month; None where that is not known.
    """

    month: Month
    rows_in_file: int
    rows_accepted: int
    rows_rejected: int
    rejected: dict[str, int]
    pickups_outside_month: int
    reversals: int
    total_amount_in_file: Decimal
    total_amount_accepted: Decimal
    total_amount_rejected: Decimal
    file_sha256: str
    published_at: datetime
    code_version: str | None = None
    git_revision: str | None = None


@dataclass(frozen=True)
class Accepted:
    """An audit that failed on the month's file, which `by` has accepted. `by`: a user's name; None: not known."""

    audit: str
    reason: str
    by: str | None
    at: datetime


@dataclass(frozen=True, eq=False)
class MonthFigures:
    """All that the report of a month shows. In the tables, trips are accepted trips, and amounts exact: Decimals.

    `before`, `year_before`: the calendar month before, and the same month a year before; None where not published.
    `days`: trips by day of the month; a column for each of these months, NA where it has no such day. `boroughs`: trips
    by day of the month; a column for each borough of the pickup, most trips first. `zones`: the pickup zones with most
    trips, most first; a name or borough that dim_zones lacks is empty. `payments`: trips and total_amount by payment
    type, most trips first. `tips`: trips, fare_amount and tip_amount by tip_class. `profile`: the figures of
    fct_month_profile, by name; a column for each of these months that has them. `bounds`: the numbers of the rules
    that judged the month, by the names that dbt_project.yml gives them; empty where they are not known. `accepted`: the
    audits that the month's file may fail.
    """

    month: PublishedMonth
    before: PublishedMonth | None
    year_before: PublishedMonth | None
    days: DataFrame
    boroughs: DataFrame
    zones: DataFrame
    payments: DataFrame
    tips: DataFrame
    profile: DataFrame
    bounds: dict[str, Any] = field(default_factory=dict)
    accepted: list[Accepted] = field(default_factory=list)


def figures_of(connection: psycopg.Connection[Any], schema: str, month: Month) -> MonthFigures | None:
    """The month's figures from the tables published in the schema; None where the month is not published.

    Reads in the connection's own transaction: for figures that agree with each other it has to be a repeatable read.
    Raises psycopg.errors.UndefinedTable where nothing has been published in the schema yet.
    """
    compared = month, before, year_before = month, month.plus(-1), month.plus(-12)
    values = {
        "month": month.first_day,
        "months": [each.first_day for each in compared],
        "top_zones": TOP_ZONES,
        "card": CARD,
        "tip_steps": list(TIP_STEPS),
    }
    tables = {name: Identifier(schema, name) for name in TABLES}

    def read(query: str) -> DataFrame:
        cursor = connection.execute(SQL(query).format(**tables), values)
        return DataFrame(cursor.fetchall(), columns=[column.name for column in cursor.description or ()])

    with connection.cursor(row_factory=dict_row) as cursor:
        found = {row["source_month"]: row for row in cursor.execute(SQL(MONTHS).format(**tables), values)}
    published = {each: _published_month(each, found[each.first_day]) for each in compared if each.first_day in found}
    if month not in published:
        return None
    days, payments = read(DAYS), read(PAYMENTS)
    boroughs = DataFrame({borough: _by_day(month, rows) for borough, rows in read(BOROUGHS).groupby("borough")})
    by_type = payments.replace({"payment_type": PAYMENT_TYPES}).groupby("payment_type")[["trips", "total_amount"]].sum()
    by_class = payments.groupby("tip_class")[["trips", "fare_amount", "tip_amount"]].sum()
    return MonthFigures(
        month=published[month],
        before=published.get(before),
        year_before=published.get(year_before),
        days=DataFrame(
            {each: _by_day(each, days[days.source_month == each.first_day]) for each in published}, dtype="Int64"
        ),
        boroughs=boroughs[boroughs.sum().sort_values(ascending=False, kind="stable").index],
        zones=read(ZONES),
        payments=by_type.sort_values(["trips", "payment_type"], ascending=[False, True]),
        tips=by_class.reindex(range(len(TIP_STEPS) + 2), fill_value=0),
        profile=_profile(read, compared) if _exists(connection, tables["fct_month_profile"]) else DataFrame(),
        bounds=_bounds(connection, schema, published[month].code_version),
        accepted=_accepted(connection, schema, published[month]),
    )


def _bounds(connection: psycopg.Connection[Any], schema: str, version: str | None) -> dict[str, Any]:
    table = Identifier(schema, "code_versions")
    query = SQL("select variables from {} where code_version = %s").format(table)
    found = connection.execute(query, [version]).fetchone() if version and _exists(connection, table) else None
    return dict(found[0]) if found else {}


def _accepted(connection: psycopg.Connection[Any], schema: str, month: PublishedMonth) -> list[Accepted]:
    table = Identifier(schema, "audit_log")
    values = [month.month.first_day, f"file {month.file_sha256}"]
    found = connection.execute(SQL(ACCEPTED).format(table), values).fetchall() if _exists(connection, table) else []
    return [Accepted(*row) for row in found]


def _exists(connection: psycopg.Connection[Any], table: Identifier) -> bool:
    """False where an earlier version of the project has published the months, and nothing has since."""
    [there] = connection.execute("select to_regclass(%s) is not null", [table.as_string()]).fetchone() or [False]
    return bool(there)


def _profile(read: Callable[[str], DataFrame], compared: tuple[Month, ...]) -> DataFrame:
    profiles: DataFrame = read(PROFILES).set_index("source_month").T
    there = [each for each in compared if each.first_day in profiles]
    return DataFrame({each: profiles[each.first_day] for each in there})


def _published_month(month: Month, row: dict[str, Any]) -> PublishedMonth:
    prefix = "rejected_"
    rejected = {name.removeprefix(prefix): count for name, count in row.items() if name.startswith(prefix)}
    columns = {each.name: row[each.name] for each in fields(PublishedMonth) if each.name in row}
    return PublishedMonth(month=month, rejected=rejected, **columns)


def _by_day(month: Month, rows: DataFrame) -> Series:
    """Trips on each day of the month, by its number; rows of other dates are left out."""
    dates = date_range(month.first_day, month.plus(1).first_day, inclusive="left")
    trips: Series = rows.set_index("pickup_date")["trips"]
    return trips.reindex(dates.date, fill_value=0).set_axis(dates.day)
