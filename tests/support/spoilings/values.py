"""Spoilings of the values of columns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tests.support.spoilings.month_file import MonthFile, chosen

Spoil = Callable[[MonthFile], pa.Table]
ZONES = ("PULocationID", "DOLocationID")


def constant(value: Any, *names: str) -> Spoil:
    """Also where the value was null."""

    def spoil(file: MonthFile) -> pa.Table:
        types = {name: file.rows.schema.field(name).type for name in names}
        return file.but(**{name: pa.array([value] * file.rows.num_rows, types[name]) for name in names})

    return spoil


def one_value(value: Any, *names: str) -> Spoil:
    """Where there was one: null stays null."""

    def spoil(file: MonthFile) -> pa.Table:
        return file.mapped(lambda each: pc.if_else(pc.is_valid(each), pa.scalar(value, each.type), each), *names)

    return spoil


def null(*names: str, share: float = 1) -> Spoil:
    def spoil(file: MonthFile) -> pa.Table:
        lost = pa.array(chosen(file.rows.num_rows, share))
        return file.mapped(lambda each: pc.if_else(lost, pa.scalar(None, each.type), each), *names)

    return spoil


def no_pickups(file: MonthFile) -> pa.Table:
    return null(file.name_of("pickup"))(file)


def pickups_all_the_same(file: MonthFile) -> pa.Table:
    noon = np.datetime64(file.month.first_day, "D") + np.timedelta64(12, "h")
    return file.at(np.full(file.rows.num_rows, noon), noon + (file.dropoff - file.pickup))


def negated(*names: str) -> Spoil:
    """These columns, every amount where none is named."""
    return lambda file: file.mapped(pc.negate, *(names or file.money))


def without_sign(file: MonthFile) -> pa.Table:
    return file.mapped(pc.abs, *file.money)


def a_row_off(*names: str) -> Spoil:
    """These columns against the rest: each row has the value of the row before, the first that of the last."""
    return lambda file: file.mapped(_a_row_off, *names)


def times_a_row_off(*clocks: str) -> Spoil:
    return lambda file: a_row_off(*(file.name_of(each) for each in clocks))(file)


def _a_row_off(values: pa.ChunkedArray) -> pa.ChunkedArray:
    return pa.chunked_array([*values.slice(len(values) - 1).chunks, *values.slice(0, len(values) - 1).chunks])


def swapped(one: str, other: str) -> Spoil:
    def spoil(file: MonthFile) -> pa.Table:
        return file.but(**{one: file.rows[other], other: file.rows[one]})

    return spoil


def times_swapped(file: MonthFile) -> pa.Table:
    return file.at(file.dropoff, file.pickup)


def drop_offs_at_the_pickup(file: MonthFile) -> pa.Table:
    return file.at(dropoff=file.pickup)


def whole_dollars(file: MonthFile) -> pa.Table:
    return file.mapped(pc.round, *file.money)


def whole_miles(file: MonthFile) -> pa.Table:
    return file.mapped(pc.round, "trip_distance")


def plus(number: int, *names: str) -> Spoil:
    return lambda file: file.mapped(lambda each: pc.add(each, pa.scalar(number, each.type)), *names)


def times(number: int, *names: str) -> Spoil:
    return lambda file: file.mapped(lambda each: pc.multiply(each, pa.scalar(number, each.type)), *names)


def zones_by_other_numbers(file: MonthFile) -> pa.Table:
    """Every zone has another's number, the same for pickups and drop-offs."""
    numbers = np.concatenate([[0], 1 + np.random.default_rng(20240101).permutation(265)])

    def renumbered(each: pa.ChunkedArray) -> pa.Array:
        return pc.take(pa.array(numbers).cast(each.type), each.cast(pa.int64()))

    return file.mapped(renumbered, *ZONES)
