"""Spoilings of columns: their types, their names, whether they are there."""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc

from tests.support.spoilings.month_file import MonthFile

Spoil = Callable[[MonthFile], pa.Table]
IDS = ("VendorID", "PULocationID", "DOLocationID")


def cast(type: pa.DataType, *names: str) -> Spoil:
    """These columns, every amount where none is named."""
    return lambda file: file.mapped(lambda each: each.cast(type), *(names or file.money))


def times_as(type: pa.DataType) -> Spoil:
    """Both times. A time zone is taken for that of the clock."""

    def change(each: pa.ChunkedArray) -> pa.ChunkedArray:
        return each.cast(pa.timestamp("us")).cast(type)

    return lambda file: file.mapped(change, *(file.name_of(clock) for clock in ("pickup", "dropoff")))


def times_as_text(form: str) -> Spoil:
    def change(each: pa.ChunkedArray) -> pa.ChunkedArray:
        return pc.strftime(each.cast(pa.timestamp("us")).cast(pa.timestamp("s")), form)

    return lambda file: file.mapped(change, *(file.name_of(clock) for clock in ("pickup", "dropoff")))


def money_as_text(form: str) -> Spoil:
    """`form`: how a number of dollars is written, such as `${}`."""

    def change(each: pa.ChunkedArray) -> pa.Array:
        return pa.array([None if each is None else form.format(each) for each in each.to_pylist()], pa.string())

    return lambda file: file.mapped(change, *file.money)


def dictionaries(*names: str) -> Spoil:
    return lambda file: file.mapped(lambda each: each.dictionary_encode(), *names)


def plus_a_half(file: MonthFile) -> pa.Table:
    return file.mapped(lambda each: pc.add(each.cast(pa.float64()), 0.5), "PULocationID")


def renamed(old: str, new: str) -> Spoil:
    return lambda file: file.rows.rename_columns({old: new})


def without(name: str) -> Spoil:
    return lambda file: file.rows.drop_columns(name)


def with_a_new_column(file: MonthFile) -> pa.Table:
    return file.but(driver_mood=pa.array(["merry"] * file.rows.num_rows))


def with_a_column_twice(file: MonthFile) -> pa.Table:
    return file.but(FARE_AMOUNT=file.rows["fare_amount"])


def in_upper_case(file: MonthFile) -> pa.Table:
    return file.rows.rename_columns([name.upper() for name in file.rows.column_names])


def columns_in_another_order(file: MonthFile) -> pa.Table:
    return file.rows.select(file.rows.column_names[::-1])
