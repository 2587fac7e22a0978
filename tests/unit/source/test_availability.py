"""When to wait for a month, and when to give up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
import requests

from include.datasets import GREEN
from include.month import Month
from include.source.availability import MonthUnavailable, month_is_available
from tests.support.helpers import JANUARY, trips_path

MARCH = datetime(2024, 3, 1, tzinfo=UTC)


@pytest.fixture
def available(tlc):
    (tlc.folder / "green_tripdata_2024-01.parquet").write_bytes(b"PAR1")
    return tlc


@pytest.mark.parametrize("now", [JANUARY.start, MARCH, MARCH + timedelta(days=5000)])
def test_a_month_that_is_there_is_available_however_old(available, now):
    assert month_is_available(GREEN, JANUARY, available.address, now) is True


@pytest.mark.parametrize("now", [JANUARY.start, JANUARY.end, MARCH, JANUARY.end + GREEN.overdue_after])
def test_a_month_that_may_still_come_is_waited_for(tlc, now):
    assert month_is_available(GREEN, JANUARY, tlc.address, now) is False


def test_a_month_that_appears_is_seen_at_the_next_look(tlc):
    assert month_is_available(GREEN, JANUARY, tlc.address, MARCH) is False
    (tlc.folder / "green_tripdata_2024-01.parquet").write_bytes(b"PAR1")
    assert month_is_available(GREEN, JANUARY, tlc.address, MARCH) is True


def test_an_overdue_month_is_given_up_with_what_to_check(tlc):
    now = JANUARY.end + GREEN.overdue_after + timedelta(seconds=1)
    with pytest.raises(MonthUnavailable, match=rf"{tlc.url}{trips_path(JANUARY)}.* 180 days .*tlc_base_url"):
        month_is_available(GREEN, JANUARY, tlc.address, now)


@pytest.mark.parametrize(
    "now",
    [
        JANUARY.start - timedelta(seconds=1),
        datetime(2023, 12, 31, 18, 59, tzinfo=timezone(timedelta(hours=-5))),
    ],
)
def test_a_month_in_the_future_is_refused_though_a_file_is_there(available, now):
    with pytest.raises(MonthUnavailable, match=r"2024-01 lies in the future: today is 2023-12-31"):
        month_is_available(GREEN, JANUARY, available.address, now)


def test_a_month_before_the_first_is_refused_though_a_file_is_there(tlc):
    (tlc.folder / "green_tripdata_2013-07.parquet").write_bytes(b"PAR1")
    with pytest.raises(MonthUnavailable, match=r"2013-07 is before 2013-08"):
        month_is_available(GREEN, Month.parse("2013-07"), tlc.address, MARCH)


def test_the_first_month_is_asked_for(tlc):
    (tlc.folder / "green_tripdata_2013-08.parquet").write_bytes(b"PAR1")
    assert month_is_available(GREEN, Month.parse("2013-08"), tlc.address, MARCH) is True


@pytest.mark.parametrize("now", [MARCH, MARCH + timedelta(days=5000)])
@pytest.mark.parametrize("code", [429, 503])
def test_a_source_in_trouble_is_neither_an_absence_nor_a_reason_to_give_up(available, now, code):
    available.faults[trips_path(JANUARY)] = lambda request: request.answer(code, b"")
    with pytest.raises(requests.HTTPError):
        month_is_available(GREEN, JANUARY, available.address, now)
