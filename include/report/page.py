"""The report of a month: one HTML page that needs nothing beside itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from include.report import charts
from include.report.figures import MonthFigures, PublishedMonth
from include.report.wording import borough_label, change, count, money, per_cent, tip_labels, utc, zone_label

REASONS = {  # what fct_months counts as rejected_<reason>
    "value_missing": "a time, zone or amount that every trip has is missing",
    "pickup_outside_window": "the pickup is a month or more off the file's month",
    "dropoff_before_pickup": "the drop-off is before the pickup",
    "distance_impossible": "more than 200 miles, or less than none",
    "amount_impossible": "an amount of 100,000 dollars or more, or one that is no number",
}


@dataclass(frozen=True)
class Table:
    """`rows`: text, the first cell of each names the row."""

    heads: Sequence[str]
    rows: Sequence[Sequence[str]]


def page_of(title: str, figures: MonthFigures) -> str:
    """The page as HTML: tables with the exact figures, and charts of them as inline SVG.

    `title` is the dataset's. The same figures give the same text. Not for several threads at once, as the settings of
    matplotlib are those of the process.
    """
    month = figures.month.month
    compared = {month.plus(-1): figures.before, month.plus(-12): figures.year_before}
    published = [each for each in compared.values() if each]
    return TEMPLATE.render(
        title=title,
        figures=figures,
        this=figures.month,
        compared=published,
        absent=[each for each in compared if not compared[each]],
        accepted_spillover=figures.month.rows_accepted - sum(figures.month.trips_by_day),
        charts=charts,
        tables={
            "months": _months(figures.month, published),
            "days": _days([figures.month, *published]),
            "grid": _grid(figures),
            "zones": _zones(figures),
            "payments": _payments(figures),
            "tips": _tips(figures),
            "rejected": _rejected(figures.month),
        },
    )


def _months(this: PublishedMonth, compared: list[PublishedMonth]) -> Table:
    def row(name: str, of: Callable[[PublishedMonth], Any], shown: Callable[[Any], str]) -> list[str]:
        others = [text for other in compared for text in (shown(of(other)), change(of(this), of(other)))]
        return [name, shown(of(this)), *others]

    return Table(
        ["", str(this.month), *(head for other in compared for head in (str(other.month), f"since {other.month}"))],
        [
            row("Rows in the file", lambda month: month.rows_in_file, count),
            row("Accepted trips", lambda month: month.rows_accepted, count),
            row("Reversals among them", lambda month: month.reversals, count),
            row("Accepted trips per day", lambda month: round(month.rows_accepted / len(month.trips_by_day)), count),
            row("Rejected rows", lambda month: month.rows_rejected, count),
            row("Rows picked up outside the month", lambda month: month.pickups_outside_month, count),
            row("Total amount, all rows", lambda month: month.total_amount_in_file, money),
            row("Total amount, accepted trips", lambda month: month.total_amount_accepted, money),
            row("Total amount, rejected rows", lambda month: month.total_amount_rejected, money),
        ],
    )


def _days(months: list[PublishedMonth]) -> Table:
    longest = max(len(month.trips_by_day) for month in months)
    rows = [
        [str(day + 1), *(count(month.trips_by_day[day]) if day < len(month.trips_by_day) else "" for month in months)]
        for day in range(longest)
    ]
    return Table(["Day", *(str(month.month) for month in months)], rows)


def _grid(figures: MonthFigures) -> Table:
    boroughs = figures.trips_by_borough
    rows = [[str(day), *map(count, trips)] for day, trips in enumerate(zip(*boroughs.values(), strict=True), start=1)]
    return Table(["Day", *map(borough_label, boroughs)], rows)


def _zones(figures: MonthFigures) -> Table:
    rows = [
        [
            zone_label(zone),
            count(zone.trips),
            per_cent(zone.trips, figures.month.rows_accepted),
            money(zone.total_amount),
        ]
        for zone in figures.top_zones
    ]
    return Table(["Pickup zone", "Trips", "Share of all", "Total amount"], rows)


def _payments(figures: MonthFigures) -> Table:
    rows = [
        [
            payment.name,
            count(payment.trips),
            per_cent(payment.trips, figures.month.rows_accepted),
            money(payment.total_amount),
            per_cent(payment.total_amount, figures.month.total_amount_accepted),
        ]
        for payment in figures.payments
    ]
    return Table(["Payment type", "Trips", "Share of trips", "Total amount", "Share of amount"], rows)


def _tips(figures: MonthFigures) -> Table:
    trips = zip(tip_labels(), figures.tips.trips_by_class, strict=True)
    rows = [[label, count(number), per_cent(number, figures.tips.trips)] for label, number in trips]
    return Table(["Tip as a share of the fare", "Trips", "Share of these trips"], rows)


def _rejected(month: PublishedMonth) -> Table:
    rows = [
        [f"{reason.replace('_', ' ')}: {REASONS[reason]}" if reason in REASONS else reason, count(number)]
        for reason, number in month.rejected.items()
    ]
    return Table(["Reason", "Rows"], [*rows, ["All reasons", count(month.rows_rejected)]])


TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True
)
TEMPLATES.filters |= {"count": count, "money": money, "utc": utc}
TEMPLATES.globals |= {"per_cent": per_cent, "change": change}
TEMPLATE = TEMPLATES.get_template("page.html")
