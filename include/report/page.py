"""Renders the report of a month: one HTML page that needs nothing beside itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from pandas import DataFrame

from include.profiles.departures import Departure
from include.report import charts
from include.report.figures import MonthFigures, PublishedMonth
from include.report.wording import borough_label, change, count, money, per_cent, plain, tip_labels, utc, zone_labels

REASONS = {  # what fct_months counts as rejected_<reason>
    "value_missing": "a time, zone or amount that every trip has is missing",
    "pickup_outside_window": "the pickup is a month or more off the file's month",
    "dropoff_before_pickup": "the drop-off is before the pickup",
    "distance_impossible": "more miles than a taxi drives, or less than none",
    "amount_impossible": "more dollars than a ride costs, or an amount that is no number",
}
# The same with the numbers of the rules that judged the month, where they are known.
BOUNDED = {
    "distance_impossible": ("longest_trip_miles", "more than {:,} miles, or less than none"),
    "amount_impossible": ("highest_amount_dollars", "an amount of {:,} dollars or more, or one that is no number"),
}


def page_of(title: str, figures: MonthFigures, departures: Sequence[Departure] = ()) -> str:
    """The page as HTML: tables with the exact figures, and charts of them as inline SVG.

    `title`: the dataset's. `departures`: the figures in which the month departs from the months around it. The same
    figures give the same text. Not for several threads at once: matplotlib has one set of settings in a process.
    """
    month = figures.month.month
    compared = {month.plus(-1): figures.before, month.plus(-12): figures.year_before}
    published = [each for each in compared.values() if each]
    return TEMPLATE.render(
        title=title,
        figures=figures,
        this=figures.month,
        departures=departures,
        compared=published,
        absent=[each for each in compared if not compared[each]],
        accepted_spillover=figures.month.rows_accepted - figures.days[month].sum(),
        charts=charts,
        tables={
            "months": _months(figures, published),
            "days": figures.days.map(count, na_action="ignore").fillna("").rename_axis("Day"),
            "grid": figures.boroughs.map(count).rename(columns=borough_label).rename_axis("Day"),
            "zones": _zones(figures),
            "payments": _payments(figures),
            "tips": _tips(figures),
            "rejected": _rejected(figures),
            "profile": figures.profile.map(plain)
            .rename(index=lambda name: name.replace("_", " "))
            .rename_axis("Figure"),
        },
    )


# Each table is a DataFrame of text, and its index the first column.


def _months(figures: MonthFigures, compared: list[PublishedMonth]) -> DataFrame:
    this, days = figures.month, figures.days.count()

    def row(of: Callable[[PublishedMonth], Any], shown: Callable[[Any], str]) -> list[str]:
        others = [text for other in compared for text in (shown(of(other)), change(of(this), of(other)))]
        return [shown(of(this)), *others]

    rows = {
        "Rows in the file": row(lambda month: month.rows_in_file, count),
        "Accepted trips": row(lambda month: month.rows_accepted, count),
        "Reversals among them": row(lambda month: month.reversals, count),
        "Accepted trips per day": row(lambda month: round(month.rows_accepted / int(days[month.month])), count),
        "Rejected rows": row(lambda month: month.rows_rejected, count),
        "Rows picked up outside the month": row(lambda month: month.pickups_outside_month, count),
        "Total amount, all rows": row(lambda month: month.total_amount_in_file, money),
        "Total amount, accepted trips": row(lambda month: month.total_amount_accepted, money),
        "Total amount, rejected rows": row(lambda month: month.total_amount_rejected, money),
    }
    heads = [str(this.month), *(head for other in compared for head in (str(other.month), f"since {other.month}"))]
    return DataFrame.from_dict(rows, orient="index", columns=heads)


def _zones(figures: MonthFigures) -> DataFrame:
    zones = figures.zones
    text = {
        "Trips": zones.trips.map(count),
        "Share of all": zones.trips.map(partial(per_cent, whole=figures.month.rows_accepted)),
        "Total amount": zones.total_amount.map(money),
    }
    return DataFrame(text).set_axis(zone_labels(zones)).rename_axis("Pickup zone")


def _payments(figures: MonthFigures) -> DataFrame:
    payments = figures.payments
    text = {
        "Trips": payments.trips.map(count),
        "Share of trips": payments.trips.map(partial(per_cent, whole=figures.month.rows_accepted)),
        "Total amount": payments.total_amount.map(money),
        "Share of amount": payments.total_amount.map(partial(per_cent, whole=figures.month.total_amount_accepted)),
    }
    return DataFrame(text).rename_axis("Payment type")


def _tips(figures: MonthFigures) -> DataFrame:
    trips = figures.tips.trips
    text = {"Trips": trips.map(count), "Share of these trips": trips.map(partial(per_cent, whole=int(trips.sum())))}
    return DataFrame(text).set_axis(tip_labels()).rename_axis("Tip as a share of the fare")


def _rejected(figures: MonthFigures) -> DataFrame:
    month = figures.month
    said = dict(REASONS)
    for reason, (bound, words) in BOUNDED.items():
        if bound in figures.bounds:
            said[reason] = words.format(figures.bounds[bound])
    rows = {
        f"{reason.replace('_', ' ')}: {said[reason]}" if reason in said else reason: count(number)
        for reason, number in month.rejected.items()
    }
    return DataFrame({"Rows": rows | {"All reasons": count(month.rows_rejected)}}).rename_axis("Reason")


TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True
)
TEMPLATES.filters |= {"count": count, "money": money, "utc": utc}
TEMPLATES.globals |= {"per_cent": per_cent, "change": change}
TEMPLATE = TEMPLATES.get_template("page.html")
