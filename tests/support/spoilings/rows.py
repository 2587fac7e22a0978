"""Spoilings of which rows there are: too few, too many, others."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tests.support.spoilings.month_file import MonthFile, chosen

Spoil = Callable[[MonthFile], pa.Table]


# ---------- too few


def without_days(first: int, last: int) -> Spoil:
    return lambda file: file.only((file.day < first) | (file.day > last))


def without_hour(hour: int) -> Spoil:
    return lambda file: file.only(file.hour != hour)


def without_hours_of_day(day: int, first: int) -> Spoil:
    return lambda file: file.only((file.day != day) | (file.hour < first))


def without_commonest(name: str) -> Spoil:
    def spoil(file: MonthFile) -> pa.Table:
        return file.rows.filter(pc.not_equal(file.rows[name], _by_count(file, name)[0]), null_selection_behavior="drop")

    return spoil


def without_second_commonest(name: str) -> Spoil:
    def spoil(file: MonthFile) -> pa.Table:
        return file.rows.filter(pc.fill_null(pc.not_equal(file.rows[name], _by_count(file, name)[1]), True))

    return spoil


def _by_count(file: MonthFile, name: str) -> list[int]:
    counted = sorted(file.rows[name].drop_null().value_counts().to_pylist(), key=lambda each: -each["counts"])
    return [each["values"] for each in counted]


def every_second_row(file: MonthFile) -> pa.Table:
    return file.only(np.arange(file.rows.num_rows) % 2 == 0)


def first_half(file: MonthFile) -> pa.Table:
    return file.rows.slice(0, file.rows.num_rows // 2)


def second_half(file: MonthFile) -> pa.Table:
    return file.rows.slice(file.rows.num_rows // 2)


def first_rows(rows: int) -> Spoil:
    return lambda file: file.rows.slice(0, rows)


def without_a_tenth(file: MonthFile) -> pa.Table:
    return file.only(~chosen(file.rows.num_rows, 0.1))


def without_the_block(file: MonthFile) -> pa.Table:
    """Without the rows at the file's end that have no passengers, rate and so on."""
    return file.rows.filter(pc.is_valid(file.rows["passenger_count"]))


def only_the_block(file: MonthFile) -> pa.Table:
    return file.rows.filter(pc.is_null(file.rows["passenger_count"]))


def without_reversals(file: MonthFile) -> pa.Table:
    return file.only(~(file.values("total_amount") < 0))


# ---------- too many


def twice(file: MonthFile) -> pa.Table:
    return pa.concat_tables([file.rows, file.rows])


def twice_in_another_order(file: MonthFile) -> pa.Table:
    return pa.concat_tables([file.rows, in_another_order(file)])


def twice_with_other_cents(file: MonthFile) -> pa.Table:
    cents = file.mapped(lambda each: pc.round(pc.add(each, 0.01), 2), "fare_amount", "total_amount")
    return pa.concat_tables([file.rows, cents])


def twice_a_second_later(file: MonthFile) -> pa.Table:
    second = np.timedelta64(1, "s")
    return pa.concat_tables([file.rows, file.at(file.pickup + second, file.dropoff + second)])


def a_share_twice(share: float) -> Spoil:
    return lambda file: pa.concat_tables([file.rows, file.only(chosen(file.rows.num_rows, share))])


def a_day_twice(file: MonthFile) -> pa.Table:
    return pa.concat_tables([file.rows, file.only(file.day == 17)])


# ---------- others


def another_months_file(file: MonthFile) -> pa.Table:
    return file.of_another_month


def another_datasets_file(file: MonthFile) -> pa.Table:
    return file.of_another_dataset


def with_rows_of_another_month(share: float) -> Spoil:
    """The share is of the month's own rows."""

    def spoil(file: MonthFile) -> pa.Table:
        return file.and_of(file.of_another_month.slice(0, round(share * file.rows.num_rows)))

    return spoil


def another_months_trips_with_this_months_dates(file: MonthFile) -> pa.Table:
    """A whole number of weeks later, as far as the month goes."""
    other = MonthFile(file.month, file.of_another_month, file.rows, file.of_another_dataset)
    start = np.datetime64(file.month.first_day, "D")
    weeks = np.timedelta64(4 * 7, "D")
    moved = other.at(other.pickup + weeks, other.dropoff + weeks)
    return moved.filter(pa.array((other.pickup + weeks >= start) & (other.pickup + weeks < start + weeks)))


def in_another_order(file: MonthFile) -> pa.Table:
    return file.rows.take(np.random.default_rng(20240101).permutation(file.rows.num_rows))


def no_rows(file: MonthFile) -> pa.Table:
    return file.rows.slice(0, 0)
