"""The month of a TLC file, and every name that derives from it. Importable without Airflow."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, tzinfo
from typing import Any

from include.settings import SettingError

TLC_CDN = "https://d37ci6vzurychx.cloudfront.net"  # the host behind the links on TLC's trip record page


HOW_TO_TRIGGER = 'Nothing was changed. Delete this run; to load one month, trigger the DAG with {"month": "2024-01"}.'


class MonthError(ValueError):
    """The month asked for is malformed, lies outside the dataset's life, or is not the one a run can be for."""


@dataclass(frozen=True, order=True)
class Month:
    """One calendar month: the month of TLC's file, never of a pickup."""

    first_day: date

    def __post_init__(self) -> None:
        if self.first_day.day != 1:
            raise MonthError(f"a month begins on day 1, not on {self.first_day}")

    @classmethod
    def parse(cls, text: str) -> Month:
        """The month written as `YYYY-MM`; anything else raises MonthError."""
        if not re.fullmatch(r"[12]\d{3}-(0[1-9]|1[0-2])", text):
            raise MonthError(f"month {text!r} is not of the form YYYY-MM, for example 2024-01")
        return cls(date(int(text[:4]), int(text[5:]), 1))

    @classmethod
    def containing(cls, day: str | date | datetime, zone: tzinfo = UTC) -> Month:
        """The month a day lies in. An aware datetime is taken in the zone, a string in ISO format."""
        try:
            day = datetime.fromisoformat(day) if isinstance(day, str) else day
        except ValueError as error:
            raise MonthError(f"{day!r} is not an ISO date, for example 2024-01-01") from error
        if isinstance(day, datetime) and day.tzinfo:
            day = day.astimezone(zone)
        return cls(date(day.year, day.month, 1))

    def __str__(self) -> str:
        return f"{self.first_day:%Y-%m}"

    @property
    def ds(self) -> str:
        """First day, `YYYY-MM-DD`: what dbt gets as the variable `ds`."""
        return self.first_day.isoformat()

    @property
    def ds_nodash(self) -> str:
        return f"{self.first_day:%Y%m%d}"

    @property
    def start(self) -> datetime:
        """First instant of the month, UTC."""
        return datetime(self.first_day.year, self.first_day.month, 1, tzinfo=UTC)

    @property
    def end(self) -> datetime:
        """First instant after the month, UTC."""
        return self.plus(1).start

    def start_in(self, zone: tzinfo) -> datetime:
        """Midnight of the first day in the zone, as Airflow's timetables and its command line take it.

        Where clocks change at that hour: the second of two midnights (Havana, 2020-11), or the first instant after one
        that is left out (Asuncion, 2023-10).
        """
        midnights = (self.start.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
        return max(midnights).astimezone(zone)

    def plus(self, months: int) -> Month:
        count = self.first_day.year * 12 + self.first_day.month - 1 + months
        return Month(date(count // 12, count % 12 + 1, 1))

    def parquet_url(self, base_url: str = TLC_CDN) -> str:
        return f"{base_url.rstrip('/')}/trip-data/green_tripdata_{self}.parquet"

    def run_schema(self, published_schema: str, suffix: str = "") -> str:
        """Schema of one run's own tables, e.g. `airflow_default_20240101`."""
        return "_".join(filter(None, (published_schema, self.ds_nodash, suffix)))


FIRST_MONTH = Month(date(2013, 8, 1))  # the first green-taxi file there is


def parquet_url_for(ds: str | date, base_url: str = TLC_CDN) -> str:
    """URL of the file of the month that `ds` (any day of it) lies in."""
    return Month.containing(ds).parquet_url(base_url)


def month_of(dag_run: Any, params: Mapping[str, Any], zone: tzinfo = UTC) -> Month:
    """The month a DAG run is for: the `month` param, else the logical date, in the zone.

    `{{ ds }}` alone will not do: it is undefined on a manual run without a logical date. Raises MonthError where the
    run does not say which month, or says two, and SettingError where Airflow made it in another zone.
    """
    refuse_unknown_keys(dag_run)
    dated = Month.containing(dag_run.logical_date, zone) if dag_run.logical_date else None
    if params.get("month"):
        month = Month.parse(params["month"])
        refuse_second_month(dag_run, month, dated)
        return month
    if dated is None:
        raise MonthError(f"This run has neither month nor a logical date. {HOW_TO_TRIGGER}")
    refuse_another_zone(dag_run, zone)
    return dated


def refuse_unknown_keys(dag_run: Any) -> None:
    """Raises MonthError where the run's configuration holds a key that nothing reads, such as a mistyped one.

    Airflow accepts any. Its own keys have a slash in them.
    """
    if unknown := [key for key in dag_run.conf or {} if key != "month" and "/" not in key]:
        raise MonthError(f"The run's configuration has {unknown}, and may have month alone. {HOW_TO_TRIGGER}")


def refuse_second_month(dag_run: Any, month: Month, dated: Month | None) -> None:
    """Raises MonthError where a run that Airflow made for the month of its logical date, `dated`, is told another.

    A backfill hands its configuration to the run of every month in its range.
    """
    if dag_run.run_type in ("scheduled", "backfill") and month != dated:
        raise MonthError(
            f"This run is for {dated}, by its logical date, and its configuration says {month}. Leave month empty in a "
            f"backfill. {HOW_TO_TRIGGER}"
        )


def refuse_date_of_today(dag_run: Any, params: Mapping[str, Any], now: datetime) -> None:
    """Raises MonthError where a run without the `month` param is for a month that has not ended; `now` is in its zone.

    Airflow's own runs begin after their month. But its trigger form sets the logical date to the time it was opened.
    """
    month = month_of(dag_run, params, now.tzinfo)
    if not params.get("month") and now.date() < month.plus(1).first_day:
        raise MonthError(
            f"This run has no month, and {month}, which its logical date lies in, has not ended. The trigger form sets "
            f"the logical date to the present time. {HOW_TO_TRIGGER}"
        )


def refuse_another_zone(dag_run: Any, zone: tzinfo) -> None:
    """Raises SettingError where a run that Airflow made is not dated at a month's start in the zone.

    Its month would be a wrong one. A process with another default zone drew it, or the zone was changed since.
    """
    if dag_run.run_type not in ("scheduled", "backfill"):
        return
    month = Month.containing(dag_run.logical_date, zone)
    if dag_run.logical_date != month.start_in(zone).astimezone(UTC):
        raise SettingError(
            f"This run is dated {dag_run.logical_date.isoformat()}, at which no month begins in {zone}, the [core] "
            "default_timezone of this process. Give every Airflow process the same one, then clear this task. If the "
            "run was made before the zone was changed, trigger its month anew, by the param month."
        )


def run_schema_of(dag_run: Any, params: Mapping[str, Any], published_schema: str, zone: tzinfo = UTC) -> str:
    """The run's own schema; two runs of one month never share one.

    Airflow allows one run per logical date, so the run dated at the month's first instant in the zone owns the plain
    name. Any other run of the month may overlap it, and gets a hash of its run id.
    """
    month = month_of(dag_run, params, zone)
    if dag_run.logical_date == month.start_in(zone).astimezone(UTC):
        return month.run_schema(published_schema)
    return month.run_schema(published_schema, hashlib.sha256(dag_run.run_id.encode()).hexdigest()[:8])
