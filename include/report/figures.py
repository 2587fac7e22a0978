"""Reads the figures of a month's report from the published tables."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from datetime import datetime
from decimal import Decimal
from typing import Any

import psycopg
from pandas import DataFrame, Series, date_range
from psycopg.rows import dict_row
from psycopg.sql import SQL, Identifier

from include.month import Month

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

MONTHS = "select * from {fct_months} where source_month = any(%(months)s)"
DAYS = """
    select source_month, pickup_date, sum(trips)::bigint as trips
    from {fct_zone_days}
    where source_month = any(%(months)s)
    group by source_month, pickup_date
"""
ZONES = """
    select
        pickup_zone_id as zone_id, coalesce(zone_name, '') as name, coalesce(borough, '') as borough,
        sum(trips)::bigint as trips, sum(total_amount) as total_amount
    from {fct_zone_days}
    left join {dim_zones} on pickup_zone_id = zone_id
    where source_month = %(month)s
    group by pickup_zone_id, zone_name, borough
    order by trips desc, pickup_zone_id
    limit %(top_zones)s
"""
BOROUGHS = """
    select coalesce(borough, '') as borough, pickup_date, sum(trips)::bigint as trips
    from {fct_zone_days}
    left join {dim_zones} on pickup_zone_id = zone_id
    where source_month = %(month)s
    group by 1, pickup_date
"""
# tip_class, of trips paid by card whose fare is positive, else null: 0 for no tip, 1 for up to 5 % of the fare (5 not
# included), 2 for 5 to 10 % and so on by TIP_STEPS. A charge that a later row reverses is among these trips.
PAYMENTS = """
    select coalesce(payment_type_id::text, '') as payment_type, tip_class, count(*) as trips,
        sum(total_amount) as total_amount, sum(fare_amount) as fare_amount, sum(tip_amount) as tip_amount
    from (
        select *,
            case
                when payment_type_id is distinct from %(card)s or fare_amount <= 0 then null
                when tip_amount <= 0 then 0
                else 1 + width_bucket(100 * tip_amount / fare_amount, %(tip_steps)s::numeric[])
            end as tip_class
        from {fct_trips}
        where source_month = %(month)s
    ) as trips
    group by payment_type_id, tip_class
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


@dataclass(frozen=True, eq=False)
class MonthFigures:
    """All that the report of a month shows. In the tables, trips are accepted trips, and amounts exact: Decimals.

    `before`, `year_before`: the calendar month before, and the same month a year before; None where not published.
    `days`: trips by day of the month; a column for each of these months, NA where it has no such day. `boroughs`: trips
    by day of the month; a column for each borough of the pickup, most trips first. `zones`: the pickup zones with most
    trips, most first; a name or borough that dim_zones lacks is empty. `payments`: trips and total_amount by payment
    type, most trips first. `tips`: trips, fare_amount and tip_amount by tip_class. `bounds`: the numbers of the rules
    that judged the month, by the names that dbt_project.yml gives them; empty where they are not known.
    """

    month: PublishedMonth
    before: PublishedMonth | None
    year_before: PublishedMonth | None
    days: DataFrame
    boroughs: DataFrame
    zones: DataFrame
    payments: DataFrame
    tips: DataFrame
    bounds: dict[str, Any] = field(default_factory=dict)


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
    tables = {name: Identifier(schema, name) for name in ("fct_months", "fct_zone_days", "fct_trips", "dim_zones")}

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
        bounds=_bounds(connection, schema, published[month].code_version),
    )


def _bounds(connection: psycopg.Connection[Any], schema: str, version: str | None) -> dict[str, Any]:
    table = Identifier(schema, "code_versions")
    [there] = connection.execute("select to_regclass(%s) is not null", [table.as_string()]).fetchone() or [False]
    query = SQL("select variables from {} where code_version = %s").format(table)
    found = connection.execute(query, [version]).fetchone() if there and version else None
    return dict(found[0]) if found else {}


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
