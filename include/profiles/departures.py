"""Finds published months whose figures depart from those of the months nearest to them, and of the year before.

docs/explanation/decisions/departures.md says how the numbers here were chosen.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from include.datasets import Profile
from include.month import Month
from include.support.counted import counted

Figures = Mapping[str, float | None]

REACH = 6  # months either side, in which neighbours are looked for
MOST_NEIGHBOURS, FEWEST_NEIGHBOURS = 6, 4
# in standard deviations, estimated by the median deviation from the median: half of the neighbours may be wild
SPREADS = 4 * 1.4826
YEAR_BEFORE = -12
COMPARED_WITH = (YEAR_BEFORE, REACH)  # no month outside this range has a part in whether a month departs
LEAST = 1e-9  # stands for nothing, which has no logarithm


@dataclass(frozen=True)
class Departure:
    """A figure of a month, and the median of its values in the `neighbours` months nearest to it.

    `year_before`: its value in the same month a year before; None where that is not published. `is_ratio`: whether its
    ratio to the median counts, and not the difference.
    """

    figure: str
    value: float
    median: float
    neighbours: int
    year_before: float | None
    is_ratio: bool

    def __str__(self) -> str:
        above, off = self.value > self.median, abs(self.value - self.median)
        by = f"{100 * off / self.median:,.0f} %" if self.is_ratio else _number(off)
        before = "" if self.year_before is None else f"; a year before it was {_number(self.year_before)}"
        return (
            f"{self.figure.replace('_', ' ')} {_number(self.value)} is {by} {'above' if above else 'below'} the median "
            f"of the {counted(self.neighbours, 'month')} nearest to it, {_number(self.median)}{before}"
        )


def departures(
    figures: Mapping[Month, Figures], profile: Profile, of: Iterable[Month] | None = None
) -> dict[Month, list[Departure]]:
    """The months with a figure that departs, and these figures. `of`: only these months are judged; by default all.

    A figure departs if it is further from the median of its neighbours than the profile tolerates, and than SPREADS
    times their spread; and on the same side, and further than tolerated, from the same month a year before, where that
    is published. So a season is no departure, and a lasting change is one until half of the neighbours have it.
    """
    measured = {month: _measured(found, profile) for month, found in figures.items()}
    tolerated = {**{name: math.log1p(by) for name, by in profile.ratios.items()}, **profile.differences}
    found = {}
    for month in sorted(figures.keys() & (figures.keys() if of is None else set(of))):
        near = [measured[each] for each in _by_distance(month) if each in measured]
        year_before, own = measured.get(month.plus(YEAR_BEFORE), {}), measured[month]
        departs = [
            departure
            for name, by in tolerated.items()
            if name in own and (departure := _departure(name, own[name], near, year_before, by, name in profile.ratios))
        ]
        if departs:
            found[month] = departs
    return found


def affected_by(month: Month) -> list[Month]:
    """The months that may depart, or depart no more, once this one has other figures."""
    earliest, latest = COMPARED_WITH
    return [month.plus(each) for each in range(-latest, -earliest + 1)]


def _departure(
    name: str,
    value: float,
    near: Sequence[Mapping[str, float]],
    year_before: Mapping[str, float],
    tolerated: float,
    is_ratio: bool,
) -> Departure | None:
    values = [each[name] for each in near if name in each][:MOST_NEIGHBOURS]
    if len(values) < FEWEST_NEIGHBOURS:
        return None
    middle = _median(values)
    off = value - middle
    if abs(off) <= tolerated or abs(off) <= SPREADS * _median([abs(each - middle) for each in values]):
        return None
    earlier = year_before.get(name)
    if earlier is not None and (value - earlier) * math.copysign(1, off) <= tolerated:
        return None
    if is_ratio:
        value, middle, earlier = math.exp(value), math.exp(middle), None if earlier is None else math.exp(earlier)
    return Departure(name, value, middle, len(values), earlier, is_ratio)


def _measured(figures: Figures, profile: Profile) -> dict[str, float]:
    """The figures that have a value; of those whose ratio counts the logarithm: half is as far off as double."""
    ratios = {name: math.log(max(value, LEAST)) for name in profile.ratios if (value := figures.get(name)) is not None}
    return ratios | {name: value for name in profile.differences if (value := figures.get(name)) is not None}


def _median(values: Sequence[float]) -> float:
    """As statistics.median, which takes three times as long for six."""
    ordered, half = sorted(values), len(values) // 2
    return ordered[half] if len(values) % 2 else (ordered[half - 1] + ordered[half]) / 2


def _by_distance(month: Month) -> list[Month]:
    """The months within REACH, the nearest first, and of two the earlier."""
    return [month.plus(side * distance) for distance in range(1, REACH + 1) for side in (-1, 1)]


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.2f}"
