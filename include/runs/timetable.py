"""The timetable of the pipelines: the run of a month begins once its file may be there."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.timetables.base import DagRunInfo, DataInterval, TimeRestriction, Timetable
from airflow.utils.types import DagRunType
from pendulum import DateTime, instance

from include.month import Month
from include.support.counted import counted
from include.support.timezone import default_timezone

# A run is named so long after its month's start. Earlier timetables named it by the month's start, by the next month's
# start, or by the time it was due, all of them whole minutes. Their names stay taken, and where a backfill's name is
# taken, Airflow makes no run and says nothing.
NAMED_AFTER = timedelta(seconds=1)


class MonthlyOncePublished(Timetable):
    """A run for each month, dated at its start, that begins `published_after` its end.

    Without catchup a DAG begins with the latest month that is due, or with `first` if that is later. After a pause it
    goes on with the latest month that is due, as with Airflow's own timetables. Earlier months are for a backfill.
    Months begin in the default time zone.
    """

    def __init__(self, published_after: timedelta, first: Month | None = None) -> None:
        self.published_after, self.first = published_after, first
        self.description = f"Monthly, {counted(published_after.days, 'day')} after the month's end"

    @property
    def summary(self) -> str:
        return f"monthly + {counted(self.published_after.days, 'day')}"

    def serialize(self) -> dict[str, Any]:
        return {"published_after": self.published_after.total_seconds(), "first": self.first and str(self.first)}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> Timetable:
        return cls(timedelta(seconds=data["published_after"]), data["first"] and Month.parse(data["first"]))

    def infer_manual_data_interval(self, *, run_after: DateTime) -> DataInterval:
        """The latest month that has ended then."""
        return interval(Month.containing(run_after, default_timezone()).plus(-1))

    def next_dagrun_info(
        self, *, last_automated_data_interval: DataInterval | None, restriction: TimeRestriction
    ) -> DagRunInfo | None:
        timezone, now = default_timezone(), datetime.now(UTC)
        if restriction.earliest is None:
            return None
        month = Month.containing(restriction.earliest, timezone)
        if month.start_in(timezone) < restriction.earliest:
            month = month.plus(1)
        if last_automated_data_interval:
            month = max(month, Month.containing(last_automated_data_interval.start, timezone).plus(1))
        if not restriction.catchup:
            month = max(month, self.latest_due(now), *filter(None, [self.first]))
        if restriction.latest is not None and month.start_in(timezone) > restriction.latest:
            return None
        month_of_run, due = interval(month), instance(self.due(month))
        # Airflow names a backfill's run by `run_after`. It may begin at once: its month's start names it.
        has_ended = month_of_run.end <= now
        run_after = month_of_run.start + NAMED_AFTER if restriction.catchup and has_ended else due
        return DagRunInfo(run_after=run_after, data_interval=month_of_run)

    def generate_run_id(
        self, *, run_type: DagRunType, run_after: DateTime, data_interval: DataInterval | None, **extra: Any
    ) -> str:
        """Names a scheduled run by its month's start, as a backfill's run is by its `run_after`."""
        if data_interval and run_type == DagRunType.SCHEDULED:
            run_after = data_interval.start + NAMED_AFTER
        made: str = super().generate_run_id(
            run_type=run_type, run_after=run_after, data_interval=data_interval, **extra
        )
        return made

    def due(self, month: Month) -> datetime:
        """When the month's run begins, UTC."""
        return month.plus(1).start_in(default_timezone()).astimezone(UTC) + self.published_after

    def latest_due(self, now: datetime) -> Month:
        """The latest month whose run is due at the aware time `now`."""
        month = Month.containing(now - self.published_after, default_timezone())
        return month if self.due(month) <= now else month.plus(-1)


def interval(month: Month) -> DataInterval:
    """From the month's start to the next one's, UTC."""
    timezone = default_timezone()
    return DataInterval(*(instance(each.start_in(timezone).astimezone(UTC)) for each in (month, month.plus(1))))
