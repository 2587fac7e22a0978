"""Writes figures and names as a report shows them."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from pandas import DataFrame

from include.report.figures import TIP_STEPS

NOTHING = "n/a"


def count(number: int) -> str:
    return f"{number:,}"


def money(amount: Decimal) -> str:
    """Dollars to the cent, such as `-$1,234.50`."""
    return f"{'-' if amount < 0 else ''}${abs(amount):,.2f}"


def per_cent(part: int | Decimal, whole: int | Decimal) -> str:
    """The share to a tenth of a per cent."""
    if not whole:
        return NOTHING
    share = f"{Decimal(100) * part / whole:.1f}"
    return "< 0.1 %" if share == "0.0" and part else f"{share} %"


def plain(figure: object) -> str:
    """A figure of the profile: a number without needless zeros, a date, or nothing where it is not known."""
    return "" if figure is None else f"{figure.normalize():f}" if isinstance(figure, Decimal) else str(figure)


def change(value: int | Decimal, base: int | Decimal) -> str:
    """The value's difference from an earlier one, in per cent of that."""
    return f"{Decimal(100) * (value - base) / base:+.1f} %" if base else NOTHING


def utc(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def zone_labels(zones: DataFrame) -> list[str]:
    return [
        f"{_printable(name) or f'zone {zone_id}, no name listed'} ({borough_label(borough)})"
        for zone_id, name, borough in zones[["zone_id", "name", "borough"]].itertuples(index=False, name=None)
    ]


def borough_label(borough: str) -> str:
    """`Unknown` and `N/A` are TLC's own boroughs. An empty one is not in the list of zones."""
    return _printable(borough) or "no borough listed"


def _printable(text: str) -> str:
    """The text without control characters: Postgres takes them, SVG does not."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


def tip_labels() -> list[str]:
    """The names of the tip classes, in their order."""
    between = [f"{low} to {high} %" for low, high in zip((0, *TIP_STEPS), TIP_STEPS, strict=False)]
    return ["no tip", *between, f"{TIP_STEPS[-1]} % or more"]
