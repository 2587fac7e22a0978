"""Which month the next run is for, and when it begins."""

from __future__ import annotations

import runpy
from datetime import UTC, datetime, timedelta

import pytest
from airflow.models.dagrun import DagRun
from airflow.timetables.base import DataInterval, TimeRestriction
from airflow.utils.types import DagRunType
from hypothesis import given
from hypothesis import strategies as st
from pendulum import instance

from include.datasets import DATASETS, GREEN
from include.month import Month
from include.runs.timetable import MonthlyOncePublished, interval
from include.settings import ROOT

TIMETABLE = MonthlyOncePublished(timedelta(days=48))
START = instance(GREEN.first_month.start)
ALL_MONTHS = [GREEN.first_month.plus(number) for number in range(150)]
months = st.integers(0, 200).map(GREEN.first_month.plus)


def next_month(last: Month | None, *, catchup=False, earliest=START, latest=None, first=None) -> Month | None:
    before: DataInterval | None = interval(last) if last else None
    made = MonthlyOncePublished(timedelta(days=48), first and Month.parse(first)).next_dagrun_info(
        last_automated_data_interval=before, restriction=TimeRestriction(earliest, latest, catchup)
    )
    if made is None:
        return None
    month = Month.containing(made.logical_date)
    assert made.data_interval == (month.start, month.end)
    if not catchup:
        assert made.run_after == month.end + timedelta(days=48)
    return month


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch):
    """Sets the time."""

    def set_to(text: str) -> None:
        class Clock(datetime):
            @classmethod
            def now(cls, tz=None):
                return datetime.fromisoformat(text)

        monkeypatch.setattr("include.runs.timetable.datetime", Clock)

    return set_to


# 2026-08 is due on 2026-10-19, 2026-09 on 2026-11-18, 2026-10 on 2026-12-19
@pytest.mark.parametrize(
    ("at", "first", "begins_with"),
    [
        ("2026-11-17T23:59:59Z", None, "2026-08"),
        ("2026-11-18T00:00:00Z", None, "2026-09"),
        ("2026-11-30T00:00:00Z", "2026-11", "2026-11"),
        ("2026-11-30T00:00:00Z", "2020-01", "2026-09"),
    ],
)
def test_a_new_dag_begins_with_the_latest_month_due_or_with_the_first_asked_for(now, at, first, begins_with):
    now(at)
    assert str(next_month(None, first=first)) == begins_with


def test_later_runs_follow_month_by_month_and_a_scheduler_that_was_down_makes_the_latest_due(now):
    now("2026-11-26T00:00:00Z")
    following = {"2026-10": "2026-11", "2026-09": "2026-10", "2026-08": "2026-09", "2026-02": "2026-09"}
    for last, expected in following.items():
        assert str(next_month(Month.parse(last))) == expected, last


@given(st.datetimes(datetime(2014, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)))
def test_exactly_one_month_is_the_latest_due(at: datetime):
    month = TIMETABLE.latest_due(at)
    assert TIMETABLE.due(month) <= at < TIMETABLE.due(month.plus(1))


@given(months, st.integers(0, 30))
def test_a_backfill_has_each_month_of_its_range_once(first: Month, count: int):
    found, month = [], None
    last = instance(first.plus(count).start)
    while month := next_month(month, catchup=True, earliest=instance(first.start), latest=last):
        found.append(month)
    assert found == [first.plus(each) for each in range(count + 1)]


@given(months, st.integers(1, 27))
def test_a_backfill_that_begins_within_a_month_begins_with_the_next(month: Month, days: int):
    assert next_month(None, catchup=True, earliest=instance(month.start + timedelta(days=days))) == month.plus(1)


@pytest.mark.parametrize(
    ("month", "begins"), [("2026-08", "2026-08-01"), ("2026-10", "2026-10-01"), ("2026-11", "2027-01-18")]
)
def test_a_backfills_run_may_begin_at_once_if_its_month_has_ended_and_is_dated_in_it(now, month: str, begins: str):
    now("2026-11-26T00:00:00Z")
    start = instance(Month.parse(month).start)
    made = TIMETABLE.next_dagrun_info(
        last_automated_data_interval=None, restriction=TimeRestriction(start, start, catchup=True)
    )
    assert f"{made.run_after:%Y-%m-%d}" == begins


def test_a_scheduled_run_is_named_by_its_month():
    given = {"run_after": START, "data_interval": interval(Month.parse("2024-01"))}
    named = TIMETABLE.generate_run_id(run_type=DagRunType.SCHEDULED, **given)
    assert named == "scheduled__2024-01-01T00:00:01+00:00"
    assert TIMETABLE.generate_run_id(run_type=DagRunType.MANUAL, **given) == "manual__2013-08-01T00:00:00+00:00"


# What has named a run, of a backfill and of the schedule alike: when Airflow's own timetable began the month's run, at
# its end; then when this one did; then the month's start.
EARLIER_NAMES = {
    "CronDataIntervalTimetable": lambda month, published_after: month.end,
    "due": lambda month, published_after: month.end + published_after,
    "month's start": lambda month, published_after: month.start,
}


@pytest.mark.parametrize("run_type", [DagRunType.SCHEDULED, DagRunType.BACKFILL_JOB])
def test_no_run_is_named_as_one_of_an_earlier_revision_and_each_month_has_a_name_of_its_own(run_type: DagRunType):
    """Else Airflow makes no run of the month (backfill), or its scheduler fails (schedule)."""
    named = [name_of(GREEN.first_month.plus(number), run_type) for number in range(140)]
    assert len(set(named)) == len(named)
    for what, date in EARLIER_NAMES.items():
        for days in {dataset.published_after for dataset in DATASETS.values()}:
            earlier = {run_type.generate_run_id(suffix=date(month, days).isoformat()) for month in ALL_MONTHS}
            assert not earlier & set(named), what


def name_of(month: Month, run_type: DagRunType) -> str | None:
    """What Airflow names the month's run: its scheduler asks the timetable, its backfill does not."""
    if run_type == DagRunType.SCHEDULED:
        return TIMETABLE.generate_run_id(run_type=run_type, run_after=START, data_interval=interval(month))
    start = instance(month.start)
    made = TIMETABLE.next_dagrun_info(
        last_automated_data_interval=None, restriction=TimeRestriction(start, start, catchup=True)
    )
    return made and DagRun.generate_run_id(run_type=run_type, logical_date=made.logical_date, run_after=made.run_after)


@pytest.mark.parametrize("first", [None, Month.parse("2026-11")])
def test_it_survives_the_way_through_airflows_database(first: Month | None):
    found = MonthlyOncePublished.deserialize(MonthlyOncePublished(timedelta(days=48), first).serialize())
    assert (found.published_after, found.first) == (timedelta(days=48), first)


def test_airflow_finds_it_by_the_path_that_earlier_versions_of_a_dag_are_kept_with():
    """Where it does not, the grid of runs that began with them answers 500, and the scheduler ends."""
    plugin = runpy.run_path(str(ROOT / "plugins" / "timetable.py"))["Timetables"]
    known = {f"{each.__module__}.{each.__name__}": each for each in plugin.timetables}
    earlier = known["include.timetable.MonthlyOncePublished"].deserialize({"published_after": 4147200.0, "first": None})
    assert known["include.runs.timetable.MonthlyOncePublished"] is MonthlyOncePublished
    assert earlier.due(Month.parse("2024-01")) == TIMETABLE.due(Month.parse("2024-01"))


def test_a_run_triggered_by_hand_is_of_the_latest_month_that_has_ended():
    made = TIMETABLE.infer_manual_data_interval(run_after=instance(datetime(2024, 3, 15, tzinfo=UTC)))
    assert made == interval(Month.parse("2024-02"))
