"""What goes into a table by COPY is what comes out of it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

import psycopg
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.sql import Identifier

from include.datasets import POSTGRES_TYPES
from include.source.reader import FIRST_TIME
from include.warehouse.session import Warehouse

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)
# by type: its values as Arrow holds them (days and microseconds since 1970), and how Postgres is asked for the same
TYPES: dict[pa.DataType, tuple[st.SearchStrategy, str]] = {
    pa.bool_(): (st.booleans(), "{}"),
    pa.int32(): (st.integers(-(2**31), 2**31 - 1), "{}"),
    pa.int64(): (st.integers(-(2**63), 2**63 - 1), "{}"),
    pa.float64(): (st.floats(), "{}"),
    pa.string(): (TEXT, "{}"),
    pa.timestamp("us"): (
        st.integers(FIRST_TIME, 2**63 - 1),
        # by day and by time: in one step Postgres rounds the last years' microseconds
        "({}::date - date '1970-01-01') * 86400000000 + extract(epoch from {}::time) * 1000000",
    ),
    # Postgres' first day, 4714-11-24 BC, and its last, in 5874897
    pa.date32(): (st.integers(-2_440_588, 2_145_042_541), "({} - date '1970-01-01')"),
    pa.json_(): (JSON.map(json.dumps), "{}::text"),
}
NAMES = [f'{number} "of" %s {{type}}' for number in range(len(TYPES))]
QUOTED = [Identifier(name).as_string() for name in NAMES]
ROWS = st.lists(st.tuples(*(st.none() | values for values, _ in TYPES.values())), max_size=20)


def array(type: pa.DataType, values: list[Any]) -> pa.Array:
    plain = {pa.timestamp("us"): pa.int64(), pa.date32(): pa.int32()}.get(type)
    return pa.array(values, plain).view(type) if plain else pa.array(values, type)


@pytest.fixture(scope="module")
def table(postgres) -> Iterator[psycopg.Connection]:
    columns = ", ".join(f"{name} {POSTGRES_TYPES[type]}" for name, type in zip(QUOTED, TYPES, strict=True))
    with psycopg.connect(postgres.dsn(), autocommit=True, cursor_factory=psycopg.RawCursor) as connection:
        connection.execute("create schema of_copy")
        connection.execute(f"create table of_copy.rows ({columns}, number bigint generated always as identity)")
        yield connection
        connection.execute("drop schema of_copy cascade")


def test_every_type_of_a_raw_table_is_tried():
    assert TYPES.keys() == POSTGRES_TYPES.keys()


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(rows=ROWS, batch=st.integers(1, 7))
def test_rows_come_out_as_they_went_in(table: psycopg.Connection, postgres, rows: list[tuple], batch: int):
    table.execute("truncate of_copy.rows")
    columns = [array(type, [row[at] for row in rows]) for at, type in enumerate(TYPES)]
    sent = pa.table(columns, names=NAMES)
    with Warehouse(postgres.dsn(), "of_copy") as warehouse:
        # batches that are slices of one, as a file's are
        assert warehouse.ingest("of_copy", "rows", sent.schema, sent.to_batches(batch)) == len(rows)
        warehouse.commit()
    asked = ", ".join(form.replace("{}", name) for name, (_, form) in zip(QUOTED, TYPES.values(), strict=True))
    found = table.execute(f"select {asked} from of_copy.rows order by number").fetchall()
    assert [comparable(row) for row in found] == [comparable(row) for row in rows]


def comparable(row: tuple) -> list[Any]:
    """NaN is not equal to itself, and jsonb keeps neither spaces nor the order of keys."""
    *others, as_json = ("nan" if isinstance(value, float) and math.isnan(value) else value for value in row)
    return [*others, as_json and json.loads(as_json)]


def test_what_the_source_of_the_rows_raises_comes_through_and_nothing_is_kept(table: psycopg.Connection, postgres):
    table.execute("truncate of_copy.rows")
    sent = pa.table([array(type, [None]) for type in TYPES], names=NAMES)

    def batches() -> Iterator[pa.RecordBatch]:
        yield from sent.to_batches()
        raise LookupError("the second batch")

    with Warehouse(postgres.dsn(), "of_copy") as warehouse:
        with pytest.raises(LookupError, match="the second batch"):
            warehouse.ingest("of_copy", "rows", sent.schema, batches())
        warehouse.rollback()
        assert warehouse.execute("select count(*) from of_copy.rows") == [(0,)]
