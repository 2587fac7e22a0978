"""Which months depart from their neighbours: the rule, without a database."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.datasets import Profile
from include.month import Month
from include.profiles.departures import affected_by, departures

FIRST = Month.parse("2021-01")
PROFILE = Profile(table="", ratios={"fare": 0.25}, differences={"card": 0.1})
CHANGE = 12  # the place of the month that is changed


def months(values: Iterable[float | None], figure: str = "fare", first: Month = FIRST) -> dict[Month, dict]:
    return {first.plus(place): {figure: value} for place, value in enumerate(values)}


def places(figures: dict[Month, dict], profile: Profile = PROFILE) -> list[int]:
    """The months that depart, counted from the first."""
    found = departures(figures, profile)
    return [place for place in range(60) if FIRST.plus(place) in found]


def with_change(values: list[float], factor: float, place: int = CHANGE) -> list[float]:
    return [value * factor if each == place else value for each, value in enumerate(values)]


NOISE = st.lists(st.floats(0.9, 1.1), min_size=25, max_size=25)
SCALE = st.floats(0.001, 1e6)


@given(NOISE, SCALE)
def test_noise_of_a_tenth_marks_nothing_whatever_the_scale(noise: list[float], scale: float):
    assert places(months(value * scale for value in noise)) == []


@given(NOISE, SCALE, st.sampled_from([1.61, 1 / 1.61, 2.0, 0.5]), st.integers(0, 24))
def test_a_change_of_more_than_the_noise_is_marked_wherever_it_is_and_no_other_month(
    noise: list[float], scale: float, factor: float, place: int
):
    """A quarter of the noise: the spread of six months that differ by up to a fifth may hide a change by half."""
    values = [scale * (1 + (value - 1) / 4) for value in noise]
    assert places(months(with_change(values, factor, place))) == [place]


@settings(max_examples=40)
@given(NOISE, st.sampled_from([1.0, 1.4, 3.0]), st.randoms())
def test_the_order_in_which_months_are_read_does_not_matter(noise: list[float], factor: float, random):
    figures = months(with_change(noise, factor))
    shuffled = dict(random.sample(list(figures.items()), len(figures)))
    assert departures(shuffled, PROFILE) == departures(figures, PROFILE)


@settings(max_examples=40)
@given(NOISE, st.sampled_from([1.0, 1.4, 3.0]), st.integers(0, 24))
def test_a_month_looked_at_alone_is_judged_as_among_all(noise: list[float], factor: float, place: int):
    figures, month = months(with_change(noise, factor)), FIRST.plus(place)
    of_all = departures(figures, PROFILE)
    assert departures(figures, PROFILE, [month]) == {each: found for each, found in of_all.items() if each == month}


@settings(max_examples=40)
@given(NOISE, st.sampled_from([1.4, 3.0]), st.integers(0, 24))
def test_another_figure_of_a_month_changes_no_other_than_the_months_that_it_affects(
    noise: list[float], factor: float, place: int
):
    """One of them departs in any case, and says by how much."""
    values = with_change(noise, 9.0)
    before, after = (departures(months(each), PROFILE) for each in (values, with_change(values, factor, place)))
    changed = {month for month in before.keys() | after.keys() if before.get(month) != after.get(month)}
    assert changed <= set(affected_by(FIRST.plus(place)))


# ---------- real series


GREEN_A_DAY = {  # accepted trips a day, from TLC's monthly figures
    "2019-09": [12985, 12470, 12068, 11598, 13446, 13743, 7208, 1187, 1850, 2103, 2330, 2614, 2932, 3067, 2953, 2681],
    "2022-07": [2070, 2126, 2300, 2236, 2076, 2336, 2199, 2313, 2323, 2179, 2231, 2184, 1978, 1957, 2181, 2135, 2133],
    "2013-08": [283, 1632, 5477, 12692, 19435, 25923, 35895, 41718, 43625, 45853, 44590, 41094, 43381, 45394, 48100],
}
# dollars, from TLC's monthly figures: fares went up on 2022-12-20
YELLOW_AMOUNTS = [19.42, 18.83, 18.93, 19.92, 19.48, 19.32, 21.58, 23.69, 23.55, 24.34, 24.80, 25.41, 25.53, 25.16]


def newest(values: list[float], first: str) -> list[str]:
    """The months that depart when they are the newest."""
    figures = months(values, first=Month.parse(first))
    ordered = sorted(figures)
    return [
        str(month)
        for place, month in enumerate(ordered)
        if month in departures({each: figures[each] for each in ordered[: place + 1]}, PROFILE)
    ]


def test_the_lockdown_departs_when_it_comes_and_is_the_new_level_once_later_months_are_there():
    trips = GREEN_A_DAY["2019-09"]
    assert newest(trips, "2019-09") == ["2020-03", "2020-04", "2020-05"]
    assert departures(months(trips, first=Month.parse("2019-09")), PROFILE) == {}


@pytest.mark.parametrize(
    ("values", "first"),
    [(GREEN_A_DAY["2022-07"], "2022-07"), (YELLOW_AMOUNTS, "2022-06")],
    ids=["a slow decline with summers", "a fare rise of a quarter"],
)
def test_seasons_declines_and_changes_of_fares_depart_neither_when_they_come_nor_later(values: list[float], first: str):
    assert newest(values, first) == []
    assert departures(months(values, first=Month.parse(first)), PROFILE) == {}


def test_a_first_month_that_began_late_departs_and_fast_growth_does_not():
    figures = months(GREEN_A_DAY["2013-08"], first=Month.parse("2013-08"))
    assert [str(month) for month in departures(figures, PROFILE)] == ["2013-08"]


def test_a_season_that_returns_is_no_departure():
    year = [1, 1, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1]
    assert places(months(year)) == [7]
    assert places(months([*year, *year])) == [7], "in its first year it is not known to be one"
    milder = [1, 1, 1, 1, 1, 1, 1, 1.4, 1, 1, 1, 1]
    assert places(months([*year, *milder])) == [7]
    two_months_late = [1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 1, 1]
    assert places(months([*year, *two_months_late])) == [7, 21]
    other_way = [1, 1, 1, 1, 1, 1, 1, 0.5, 1, 1, 1, 1]
    assert places(months([*year, *other_way])) == [7, 19]


# ---------- the edges of the rule


def test_a_share_departs_by_its_difference_and_a_scale_by_its_ratio_both_ways():
    for factor, departs in ((1.26, True), (1.24, False), (1 / 1.26, True), (1 / 1.24, False)):
        assert bool(places(months(with_change([10.0] * 25, factor)))) == departs, factor
    for value, departs in ((0.61, True), (0.59, False), (0.39, True), (0.41, False)):
        shares = [value if place == CHANGE else 0.5 for place in range(25)]
        assert bool(places(months(shares, "card"))) == departs, value


def test_fewer_than_four_neighbours_say_nothing():
    assert places(months([1, 1, 1, 9])) == []
    assert places(months([1, 1, 1, 1, 9])) == [4]
    assert places(months([1, None, 1, 1, 9, None])) == []
    far = months([1, 1, 1, 1]) | {FIRST.plus(7): {"fare": 9.0}}
    assert departures(far, PROFILE) == {}, "one of the four is more than six months away"


def test_the_six_nearest_count_where_more_are_within_reach():
    assert 6 in places(months([1, 1, 1, 2, 2, 2, 2.8, 2, 2, 2, 1, 1, 1]))


def test_neighbours_that_differ_much_from_one_another_say_nothing():
    assert places(months([1, 5, 2, 9, 12, 3, 1])) == []


def test_one_or_two_wild_neighbours_hide_no_departure_and_make_none():
    assert places(months([10, 10, 10, 99, 10, 10, 99, 10, 10, 10])) == [3, 6]


def test_figures_without_a_value_a_tolerance_or_a_column_are_not_compared():
    figures = {month: {**found, "other": 1.0} for month, found in months([1, 1, None, 1, 1, 1, 1]).items()}
    figures[FIRST.plus(5)]["other"] = 99.0
    assert departures(figures, PROFILE) == {}
    assert departures({}, PROFILE) == {}


def test_a_month_without_trips_departs():
    assert places(months([5, 5, 5, 0, 5, 5, 5])) == [3]
    assert places(months([0, 0, 0, 0, 0, 0, 0])) == []


@pytest.mark.parametrize(
    ("figure", "values", "says"),
    [
        ("fare", [6.61] * 12 + [8.79], "fare 8.79 is 33 % above the median of the 6 months nearest to it, 6.61"),
        ("fare", [2000] * 4 + [1000], "fare 1,000 is 50 % below the median of the 4 months nearest to it, 2,000"),
        ("card", [0.675] * 6 + [0.12], "card 0.12 is 0.56 below the median of the 6 months nearest to it, 0.68"),
    ],
)
def test_a_departure_says_which_figure_and_by_how_much(figure: str, values: list[float], says: str):
    [[found]] = departures(months(values, figure), PROFILE).values()
    assert str(found).startswith(says)
    year_before = "; a year before it was 6.61" if len(values) == 13 else ""
    assert str(found) == says + year_before
