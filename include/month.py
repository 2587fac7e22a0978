"""The calendar: a month, how it is written, and when it begins. Importable without Airflow."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, tzinfo

PATTERN = r"[12]\d{3}-(0[1-9]|1[0-2])"  # of YYYY-MM


class MonthError(ValueError):
    """A month is malformed, or no run can be for it."""


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
        if not re.fullmatch(PATTERN, text):
            raise MonthError(f"month {text!r} is not of the form YYYY-MM, for example 2024-01")
        return cls(date(int(text[:4]), int(text[5:]), 1))

    @classmethod
    def containing(cls, day: str | date | datetime, timezone: tzinfo = UTC) -> Month:
        """The month of a day. An aware datetime is read in the time zone, a string in ISO format.

        Raises MonthError for another string.
        """
        try:
            day = datetime.fromisoformat(day) if isinstance(day, str) else day
        except ValueError as error:
            raise MonthError(f"{day!r} is not an ISO date, for example 2024-01-01") from error
        if isinstance(day, datetime) and day.tzinfo:
            day = day.astimezone(timezone)
        return cls(date(day.year, day.month, 1))

    def __str__(self) -> str:
        return f"{self.first_day:%Y-%m}"

    @property
    def ds(self) -> str:
        """First day, `YYYY-MM-DD`: what dbt gets as the variable `ds`."""
        return self.first_day.isoformat()

    @property
    def ds_nodash(self) -> str:
        """First day, `YYYYMMDD`: in the name of a run schema."""
        return f"{self.first_day:%Y%m%d}"

    @property
    def start(self) -> datetime:
        """First instant of the month, UTC."""
        return datetime(self.first_day.year, self.first_day.month, 1, tzinfo=UTC)

    @property
    def end(self) -> datetime:
        """First instant after the month, UTC."""
        return self.plus(1).start

    def start_in(self, timezone: tzinfo) -> datetime:
        """Midnight of the first day in the time zone, as Airflow's timetables and its command line take it.

        Where clocks change at that hour: the second of two midnights (Havana, 2020-11), or the first instant after one
        that is left out (Asuncion, 2023-10).
        """
        midnights = (self.start.replace(tzinfo=timezone, fold=fold).astimezone(UTC) for fold in (0, 1))
        return max(midnights).astimezone(timezone)

    def through(self, last: Month) -> list[Month]:
        """Every month from this one to the last, both included; none where the last is earlier."""
        years, months = last.first_day.year - self.first_day.year, last.first_day.month - self.first_day.month
        return [self.plus(count) for count in range(12 * years + months + 1)]

    def plus(self, months: int) -> Month:
        """So many months later; earlier for a negative number."""
        count = self.first_day.year * 12 + self.first_day.month - 1 + months
        return Month(date(count // 12, count % 12 + 1, 1))
