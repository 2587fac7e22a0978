"""What a month's report shows, read from the published tables."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import psycopg
from psycopg.rows import dict_row, namedtuple_row
from psycopg.sql import SQL, Identifier

from include.month import Month

TOP_ZONES = 12
CARD = 1
PAYMENT_TYPES = {  # by TLC's data dictionary
    None: "Not said",
    0: "Flex Fare",
    CARD: "Credit card",
    2: "Cash",
    3: "No charge",
    4: "Dispute",
    5: "Unknown",
    6: "Voided trip",
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
    select pickup_zone_id, zone_name, borough, sum(trips)::bigint as trips, sum(total_amount) as total_amount
    from {fct_zone_days}
    left join {dim_zones} on pickup_zone_id = zone_id
    where source_month = %(month)s
    group by pickup_zone_id, zone_name, borough
    order by trips desc, pickup_zone_id
    limit %(top_zones)s
"""
BOROUGHS = """
    select borough, pickup_date, sum(trips)::bigint as trips
    from {fct_zone_days}
    left join {dim_zones} on pickup_zone_id = zone_id
    where source_month = %(month)s
    group by borough, pickup_date
"""
# tip_class: 0 no tip, then those that TIP_STEPS divide; null where the trip is not among those whose tips are looked at
PAYMENTS = """
    select payment_type_id, tip_class, count(*) as trips,
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
    """A row of fct_months, and the accepted trips picked up on each day of that month, from day 1 on.

    `rejected`: rows by the rule that rejected them, in the table's order. Amounts are US dollars.
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
    trips_by_day: tuple[int, ...]


@dataclass(frozen=True)
class Zone:
    """Accepted trips from a pickup zone. Name and borough are None where dim_zones has none."""

    zone_id: int
    name: str | None
    borough: str | None
    trips: int
    total_amount: Decimal


@dataclass(frozen=True)
class Payment:
    """Accepted trips of one payment type."""

    name: str
    trips: int
    total_amount: Decimal


@dataclass(frozen=True)
class Tips:
    """Accepted trips paid by card whose fare is positive.

    `trips_by_class`: those without a tip, then those with a tip of up to 5 % of the fare (5 not included), of 5 to 10 %
    and so on by TIP_STEPS, last those of the last step or more. A charge that a later row reverses is among them.
    """

    fare_amount: Decimal
    tip_amount: Decimal
    trips_by_class: tuple[int, ...]

    @property
    def trips(self) -> int:
        return sum(self.trips_by_class)


@dataclass(frozen=True)
class MonthFigures:
    """All that the report of a month shows.

    `before`, `year_before`: the calendar month before, and the same month a year before; None where not published.
    `top_zones`: by trips, most first. `trips_by_borough`: accepted trips on each day of the month, from day 1 on, by
    borough (None: dim_zones has none), most trips first. `payments`: by trips, most first.
    """

    month: PublishedMonth
    before: PublishedMonth | None
    year_before: PublishedMonth | None
    top_zones: tuple[Zone, ...]
    trips_by_borough: dict[str | None, tuple[int, ...]]
    payments: tuple[Payment, ...]
    tips: Tips


def figures_of(connection: psycopg.Connection[Any], schema: str, month: Month) -> MonthFigures | None:
    """The month's figures from the tables published in the schema; None where the month is not published.

    Reads in the connection's own transaction: for figures that agree with each other it has to be a repeatable read.
    Raises psycopg.errors.UndefinedTable where nothing has been published in the schema yet.
    """
    before, year_before = month.plus(-1), month.plus(-12)
    values = {
        "month": month.first_day,
        "months": [each.first_day for each in (month, before, year_before)],
        "top_zones": TOP_ZONES,
        "card": CARD,
        "tip_steps": list(TIP_STEPS),
    }
    tables = {name: Identifier(schema, name) for name in ("fct_months", "fct_zone_days", "fct_trips", "dim_zones")}

    def rows(query: str) -> list[Any]:
        return connection.cursor(row_factory=namedtuple_row).execute(SQL(query).format(**tables), values).fetchall()

    with connection.cursor(row_factory=dict_row) as cursor:
        counts = {row["source_month"]: row for row in cursor.execute(SQL(MONTHS).format(**tables), values)}
    if month.first_day not in counts:
        return None
    days = rows(DAYS)

    def published(which: Month) -> PublishedMonth | None:
        if which.first_day not in counts:
            return None
        of_month = {row.pickup_date: row.trips for row in days if row.source_month == which.first_day}
        return _published_month(which, counts[which.first_day], _by_day(which, of_month))

    this = published(month)
    assert this is not None
    boroughs: dict[str | None, dict[date, int]] = {}
    for row in rows(BOROUGHS):
        boroughs.setdefault(row.borough, {})[row.pickup_date] = row.trips
    by_borough = {borough: _by_day(month, trips) for borough, trips in boroughs.items()}
    payments = rows(PAYMENTS)
    return MonthFigures(
        month=this,
        before=published(before),
        year_before=published(year_before),
        top_zones=tuple(Zone(*row) for row in rows(ZONES)),
        trips_by_borough=dict(sorted(by_borough.items(), key=lambda each: (-sum(each[1]), str(each[0])))),
        payments=_payments(payments),
        tips=_tips([row for row in payments if row.tip_class is not None]),
    )


def _published_month(month: Month, row: dict[str, Any], trips_by_day: tuple[int, ...]) -> PublishedMonth:
    prefix = "rejected_"
    rejected = {name.removeprefix(prefix): count for name, count in row.items() if name.startswith(prefix)}
    columns = {field.name: row[field.name] for field in fields(PublishedMonth) if field.name in row}
    return PublishedMonth(month=month, rejected=rejected, trips_by_day=trips_by_day, **columns)


def _by_day(month: Month, trips: dict[date, int]) -> tuple[int, ...]:
    """A number for each day of the month; days outside it are left out."""
    last = (month.plus(1).first_day - month.first_day).days
    return tuple(trips.get(month.first_day.replace(day=day), 0) for day in range(1, last + 1))


def _payments(rows: list[Any]) -> tuple[Payment, ...]:
    found = []
    for code in {row.payment_type_id for row in rows}:
        of_code = [row for row in rows if row.payment_type_id == code]
        name = PAYMENT_TYPES.get(code, str(code))
        found.append(Payment(name, sum(row.trips for row in of_code), sum(row.total_amount for row in of_code)))
    return tuple(sorted(found, key=lambda payment: (-payment.trips, payment.name)))


def _tips(rows: list[Any]) -> Tips:
    by_class = {row.tip_class: row.trips for row in rows}
    return Tips(
        fare_amount=sum((row.fare_amount for row in rows), Decimal("0.00")),
        tip_amount=sum((row.tip_amount for row in rows), Decimal("0.00")),
        trips_by_class=tuple(by_class.get(each, 0) for each in range(len(TIP_STEPS) + 2)),
    )
