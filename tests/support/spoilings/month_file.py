"""A month's file of trips in memory, with what it takes to spoil it. Columns have TLC's names, of either dataset."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dev.tlc.sample_months import MONEY
from include.month import Month
from tests.support.helpers import with_columns

TEXTS = (pa.string(), pa.large_string())


@dataclass(frozen=True)
class MonthFile:
    """`rows` as read from the month's file, and the rows of two files that could come in its place."""

    month: Month
    rows: pa.Table
    of_another_month: pa.Table
    of_another_dataset: pa.Table

    @property
    def pickup(self) -> np.ndarray:
        return self.times("pickup")

    @property
    def dropoff(self) -> np.ndarray:
        return self.times("dropoff")

    @property
    def day(self) -> np.ndarray:
        """The day of the month of each pickup, from 1."""
        return (self.pickup.astype("datetime64[D]") - self.pickup.astype("datetime64[M]")).astype(int) + 1

    @property
    def hour(self) -> np.ndarray:
        return (self.pickup - self.pickup.astype("datetime64[D]")) // np.timedelta64(1, "h")

    @property
    def money(self) -> list[str]:
        """The columns of amounts that hold any."""
        held = {*MONEY, "Airport_fee"}
        return [each.name for each in self.rows.schema if each.name in held and not pa.types.is_null(each.type)]

    def name_of(self, clock: str) -> str:
        """The column of `pickup` or `dropoff` times."""
        [name] = [name for name in self.rows.column_names if name.endswith(f"{clock}_datetime")]
        return name

    def times(self, clock: str) -> np.ndarray:
        """Some files have them as text."""
        return self.rows[self.name_of(clock)].cast(pa.timestamp("us")).to_numpy()

    def values(self, name: str) -> np.ndarray:
        """Numbers, NaN for null."""
        return self.rows[name].cast(pa.float64()).to_numpy()

    def only(self, mask: np.ndarray) -> pa.Table:
        return self.rows.filter(pa.array(mask))

    def but(self, **columns: pa.Array | pa.ChunkedArray | None) -> pa.Table:
        """The rows with other columns, or (None) without."""
        return with_columns(self.rows, **columns)

    def at(self, pickup: np.ndarray | None = None, dropoff: np.ndarray | None = None) -> pa.Table:
        """The rows at other times, in the type that the file has them in."""
        changed = {"pickup": pickup, "dropoff": dropoff}
        return self.but(
            **{
                name: _like(times, self.rows.schema.field(name).type)
                for clock, times in changed.items()
                if times is not None and (name := self.name_of(clock))
            }
        )

    def and_of(self, others: pa.Table) -> pa.Table:
        """The rows, and below them those of another file, which may have other types, and other columns."""
        columns = [
            others[field.name].cast(field.type)
            if field.name in others.column_names and not pa.types.is_null(field.type)
            else pa.nulls(others.num_rows, field.type)
            for field in self.rows.schema
        ]
        return pa.concat_tables([self.rows, pa.table(columns, schema=self.rows.schema)])

    def mapped(self, change: Callable[[pa.ChunkedArray], pa.ChunkedArray], *names: str) -> pa.Table:
        """The rows, with these columns changed by the function."""
        return self.but(**{name: change(self.rows[name]) for name in names})


def _like(times: np.ndarray, type: pa.DataType) -> pa.Array:
    array = pa.array(times.astype("datetime64[us]"))
    if type not in TEXTS:
        return array.cast(type)
    return pc.strftime(array.cast(pa.timestamp("s")), "%Y-%m-%d %H:%M:%S").cast(type)


def chosen(rows: int, share: float) -> np.ndarray:
    """A mask of this share of so many rows, at random and always the same."""
    return np.random.default_rng(20240101).random(rows) < share
