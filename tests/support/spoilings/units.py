"""Spoilings of what numbers and times mean: other units, other clocks."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tests.support.spoilings.month_file import MonthFile

Spoil = Callable[[MonthFile], pa.Table]
HOUR, DAY = np.timedelta64(1, "h"), np.timedelta64(1, "D")


def times_factor(factor: float, *names: str, digits: int = 2) -> Spoil:
    """These columns, every amount where none is named, multiplied by the factor."""

    def spoil(file: MonthFile) -> pa.Table:
        return file.mapped(lambda each: pc.round(pc.multiply(each, factor), digits), *(names or file.money))

    return spoil


def durations_times(factor: float) -> Spoil:
    def spoil(file: MonthFile) -> pa.Table:
        lasted = (file.dropoff - file.pickup) / np.timedelta64(1, "s")
        return file.at(dropoff=file.pickup + np.round(lasted * factor).astype("timedelta64[s]"))

    return spoil


def later(by: np.timedelta64, from_day: int = 1) -> Spoil:
    """Both times, from this day of the month on."""

    def spoil(file: MonthFile) -> pa.Table:
        late = np.where(file.day >= from_day, by, np.timedelta64(0, "s"))
        return file.at(file.pickup + late, file.dropoff + late)

    return spoil


def only_pickups_later(by: np.timedelta64) -> Spoil:
    return lambda file: file.at(pickup=file.pickup + by)


def in_utc(file: MonthFile) -> pa.Table:
    def utc(times: np.ndarray) -> np.ndarray:
        local = pc.assume_timezone(pa.array(times), "America/New_York", ambiguous="earliest", nonexistent="earliest")
        return local.cast(pa.int64()).cast(pa.timestamp("us")).to_numpy()

    return file.at(utc(file.pickup), utc(file.dropoff))


def day_and_month_swapped(file: MonthFile) -> pa.Table:
    """Where both can be: a lenient reader takes the other dates as they are."""

    def swapped(times: np.ndarray) -> np.ndarray:
        year, month = times.astype("datetime64[Y]"), times.astype("datetime64[M]")
        day = times.astype("datetime64[D]")
        number_of_month, number_of_day = (month - year).astype(int), (day - month).astype(int)
        other = (year.astype("datetime64[M]") + number_of_day).astype("datetime64[D]") + number_of_month
        return np.where(number_of_day < 12, other + (times - day), times)

    return file.at(swapped(file.pickup), swapped(file.dropoff))


def on_a_12_hour_clock(file: MonthFile) -> pa.Table:
    def halved(times: np.ndarray) -> np.ndarray:
        day = times.astype("datetime64[D]")
        return day + (times - day) % (12 * HOUR)

    return file.at(halved(file.pickup), halved(file.dropoff))


def pickups_at_midnight(file: MonthFile) -> pa.Table:
    return file.at(pickup=file.pickup.astype("datetime64[D]"))


def both_times_at_midnight(file: MonthFile) -> pa.Table:
    return file.at(file.pickup.astype("datetime64[D]"), file.dropoff.astype("datetime64[D]"))


def in_whole(unit: str) -> Spoil:
    """Both times cut to the hour (h) or the minute (m)."""
    return lambda file: file.at(file.pickup.astype(f"datetime64[{unit}]"), file.dropoff.astype(f"datetime64[{unit}]"))


def in_years_of_two_digits(file: MonthFile) -> pa.Table:
    years = np.timedelta64(2000 * 146_097 // 400, "D")
    return file.at(file.pickup - years, file.dropoff - years)
