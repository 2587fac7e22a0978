"""The month and every name that derives from it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.month import Month, MonthError

days = st.dates(date(1900, 1, 1), date(2200, 12, 31))
months = days.map(Month.containing)
JANUARY = Month.parse("2024-01")
NEW_YORK_WINTER = timezone(timedelta(hours=-5))


# ---------- the calendar


@given(months)
def test_a_month_reads_back_from_its_text(month):
    assert Month.parse(str(month)) == month


@pytest.mark.parametrize(
    "text",
    ["", "2024", "2024-1", "2024-13", "2024-00", "2024-01-01", "202401", " 2024-01", "2024-01\n", "24-01", "0000-01"],
)
def test_text_of_another_form_is_refused(text):
    with pytest.raises(MonthError):
        Month.parse(text)


def test_the_refusal_quotes_the_text_and_shows_the_form():
    with pytest.raises(MonthError, match=r"'01/2024'.*YYYY-MM"):
        Month.parse("01/2024")


def test_a_month_begins_on_its_first_day():
    with pytest.raises(MonthError):
        Month(date(2024, 1, 2))


@given(days)
def test_a_day_lies_between_its_months_bounds(day):
    month = Month.containing(day)
    assert month.start <= datetime(day.year, day.month, day.day, tzinfo=UTC) < month.end


@given(months, st.integers(-3, 30))
def test_months_through_a_last_one_follow_each_other_both_included(month, count):
    assert month.through(month.plus(count)) == [month.plus(each) for each in range(count + 1)]


@given(months)
def test_a_month_ends_where_the_next_begins(month):
    assert month.end == month.plus(1).start


@given(months, st.integers(-500, 500))
def test_adding_months_is_undone_by_subtracting_them(month, count):
    assert month.plus(count).plus(-count) == month


@given(months, st.integers(-500, 500))
def test_later_months_sort_after_earlier_ones(month, count):
    later = month.plus(count)
    assert (later > month, later == month, later < month) == (count > 0, count == 0, count < 0)
    assert sorted([str(later), str(month)]) == [str(each) for each in sorted([later, month])]


@pytest.mark.parametrize(
    ("month", "count", "result"),
    [("2023-12", 1, "2024-01"), ("2024-01", -1, "2023-12"), ("2023-11", 14, "2025-01"), ("2024-01", -13, "2022-12")],
)
def test_adding_months_carries_into_other_years(month, count, result):
    assert str(Month.parse(month).plus(count)) == result


@pytest.mark.parametrize(
    "day",
    [
        "2024-01-01",
        "2024-01-31",
        "2024-01-31T23:59:59+00:00",
        "2024-01-01T00:00:00Z",
        date(2024, 1, 15),
        datetime(2024, 1, 31, 23, 59),
        datetime(2023, 12, 31, 19, tzinfo=NEW_YORK_WINTER),
        datetime(2024, 1, 31, 18, 59, tzinfo=NEW_YORK_WINTER),
    ],
)
def test_a_day_is_taken_in_utc(day):
    assert Month.containing(day) == JANUARY


def test_an_evening_in_new_york_can_be_the_next_month_in_utc():
    assert Month.containing(datetime(2024, 1, 31, 19, tzinfo=NEW_YORK_WINTER)) == JANUARY.plus(1)


@pytest.mark.parametrize("text", ["", "january", "2024-01-32"])
def test_text_that_is_no_date_is_refused(text):
    with pytest.raises(MonthError, match="ISO date"):
        Month.containing(text)


def test_the_dates_for_dbt_and_for_schema_names_are_the_first_of_the_month():
    assert (JANUARY.ds, JANUARY.ds_nodash) == ("2024-01-01", "20240101")
