"""Whatever a column that nobody declared holds is loaded and kept; in a declared one it is refused by row."""

from __future__ import annotations

import json
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dev.tlc.sample_months import write_month, write_zones
from include.datasets import GREEN
from include.failures.retry import heals
from include.ingest.load import load_month
from include.source.json_columns import as_json
from include.source.reader import FileContentError
from tests.support.helpers import JANUARY, SCHEMA, raw_content, rewrite
from tests.support.postgres.warehouse_content import query

ROWS = 100


def of_bytes(values: list[bytes | None], type: pa.DataType) -> pa.Array:
    """Text as a file may hold it, in whatever encoding."""
    return pa.array(values, pa.binary() if type == pa.string() else pa.large_binary()).view(type)


def of_integers(values: list[int | None], type: pa.DataType) -> pa.Array:
    """Days, or instants, that Python's own types cannot hold."""
    return pa.array(values, pa.int32() if type.bit_width == 32 else pa.int64()).view(type)


# name of a column: its values, and the form they are kept in
KEPT = {
    "text": (pa.array(['say "N/A"\n', "\U0001f695", ""]), ['say "N/A"\n', "\U0001f695", ""]),
    "nul": (pa.array(["a\0b"]), [{"base64": "YQBi"}]),
    "no_utf8": (of_bytes([b"\xff", b"caf\xe9"], pa.string()), [{"base64": "/w=="}, {"base64": "Y2Fm6Q=="}]),
    "large_no_utf8": (of_bytes([b"\xed\xa0\x80"], pa.large_string()), [{"base64": "7aCA"}]),  # a lone surrogate
    "view": (pa.array(["a", "b\0"], pa.string_view()), ["a", {"base64": "YgA="}]),
    "dictionary": (pa.array(["a", None, "a"]).dictionary_encode(), ["a", None, "a"]),
    "bytes": (pa.array([b"\0\xff", b""], pa.binary()), [{"base64": "AP8="}, {"base64": ""}]),
    "bytes_view": (pa.array([b"\0"], pa.binary_view()), [{"base64": "AA=="}]),
    "fixed_bytes": (pa.array([b"ab"], pa.binary(2)), [{"base64": "YWI="}]),
    "uint64": (pa.array([2**64 - 1], pa.uint64()), [2**64 - 1]),
    "half": (pa.array([1.5, float("nan")], pa.float16()), [1.5, "nan"]),
    "double": (pa.array([0.1 + 0.2, 5e-324, float("-inf")]), [0.1 + 0.2, 5e-324, "-inf"]),
    "decimal": (pa.array([Decimal("1e-30")], pa.decimal256(70, 30)), ["1E-30"]),
    "late": (of_integers([2**62, -(2**63) + 1], pa.timestamp("us")), None),
    "ns": (of_integers([1], pa.timestamp("ns")), ["1970-01-01 00:00:00.000000001"]),
    "zoned": (pa.array([0], pa.timestamp("us", "America/New_York")), ["1970-01-01 00:00:00Z"]),
    "no_such_zone": (pa.array([0], pa.timestamp("s", "Mars/Olympus")), ["1970-01-01 00:00:00Z"]),
    "day": (pa.array([date(2024, 1, 31)]), ["2024-01-31"]),
    "late_day": (of_integers([2**31 - 1, -(2**31)], pa.date32()), None),
    "clock": (pa.array([time(23, 59, 59, 5)]), ["23:59:59.000005"]),
    "span": (pa.array([timedelta(days=1)], pa.duration("ms")), ["86400000 ms"]),
    "list": (pa.array([["a\0", None], [], None]), [[{"base64": "YQA="}, None], [], None]),
    "fixed_list": (pa.array([[1, 2]], pa.list_(pa.int8(), 2)), [[1, 2]]),
    "struct": (pa.array([{"a": float("inf"), "b": [b"x"]}, None]), [{"a": "inf", "b": [{"base64": "eA=="}]}, None]),
    "map": (
        pa.array([[("k", 1), ("k", 2)]], pa.map_(pa.string(), pa.int32())),
        [[{"key": "k", "value": 1}, {"key": "k", "value": 2}]],
    ),
    "nothing": (pa.nulls(2), [None, None]),
    'odd "name"\n\'é': (pa.array([True]), [True]),
    "nul\0name": (pa.array([1]), [1]),
}


@pytest.fixture
def month(tlc):
    write_zones(tlc.folder)
    return write_month(tlc.folder, str(JANUARY), ROWS)


def padded(values: pa.Array) -> pa.Array:
    """As many as the file has rows, the last ones null."""
    return pa.concat_arrays([values, pa.nulls(ROWS - len(values), values.type)])


def test_whatever_an_undeclared_column_holds_is_loaded_and_kept(tlc, month, dsn: str):
    writable = {name: padded(values) for name, (values, _) in KEPT.items()}
    rewrite(month, **writable)
    load_month(GREEN, JANUARY, tlc.address, dsn, SCHEMA, "by hand")
    rows = query(dsn, f"select extra_columns from {SCHEMA}.raw_trips order by source_row")
    for name in writable:
        values, kept = KEPT[name]
        found = [row[name.replace("\0", "\\u0000")] for (row,) in rows]
        assert found[len(values) :] == [None] * (ROWS - len(values)), name
        assert found[: len(values)] == kept or kept is None, name
    # a time that no calendar has is kept by its number
    assert str(2**62) in rows[0][0]["late"]
    [(unknown,)] = query(dsn, f"select unknown_columns from {SCHEMA}.load_log where table_name = 'raw_trips'")
    assert len(unknown) == len(writable)


@pytest.mark.parametrize("name", KEPT)
def test_each_arrow_type_has_its_form_in_json(name: str):
    values, kept = KEPT[name]
    found = [json.loads(each, parse_constant=pytest.fail) for each in as_json({name: values}, len(values)).to_pylist()]
    if kept is not None:
        assert [list(each.values()) for each in found] == [[each] for each in kept]


def arrays(values: st.SearchStrategy, type: pa.DataType) -> st.SearchStrategy:
    return st.lists(st.none() | values, min_size=3, max_size=3).map(lambda given: pa.array(given, type))


LEAVES = st.one_of(
    st.lists(st.none() | st.binary(max_size=8), min_size=3, max_size=3).map(lambda each: of_bytes(each, pa.string())),
    arrays(st.text(max_size=5), pa.large_string()),
    arrays(st.binary(max_size=8), pa.binary()),
    arrays(st.floats(), pa.float64()),
    arrays(st.floats(width=32), pa.float32()),
    arrays(st.integers(-(2**63), 2**63 - 1), pa.int64()),
    arrays(st.integers(0, 2**64 - 1), pa.uint64()),
    arrays(st.booleans(), pa.bool_()),
    arrays(st.decimals(-1000, 1000, places=3), pa.decimal128(20, 3)),
    *(
        st.lists(st.none() | st.integers(-(2**63), 2**63 - 1), min_size=3, max_size=3).map(
            lambda each, type=type: of_integers(each, type)
        )
        for type in (
            *(pa.timestamp(unit) for unit in ("s", "ms", "us", "ns")),
            pa.timestamp("us", "UTC"),
            pa.duration("ns"),
        )
    ),
    st.lists(st.none() | st.integers(-(2**31), 2**31 - 1), min_size=3, max_size=3).map(
        lambda each: of_integers(each, pa.date32())
    ),
    arrays(st.times(), pa.time64("us")),
)


def nested(inner: st.SearchStrategy) -> st.SearchStrategy:
    names = st.lists(st.text(max_size=3), min_size=1, max_size=3)
    return st.one_of(
        inner.map(lambda each: pa.ListArray.from_arrays([0, 1, 1, 3], each)),
        inner.map(lambda each: pa.FixedSizeListArray.from_arrays(each, 1)),
        st.tuples(names, inner).map(lambda pair: pa.StructArray.from_arrays([pair[1]] * len(pair[0]), pair[0])),
        inner.map(lambda each: pa.DictionaryArray.from_arrays(pa.array([2, None, 0], pa.int8()), each)),
    )


@pytest.fixture(scope="module")
def jsonb(postgres):
    with psycopg.connect(postgres.dsn(), autocommit=True) as connection:
        yield lambda text: connection.execute("select %s::jsonb", [text]).fetchone()[0]


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(name=st.text(max_size=5), values=st.recursive(LEAVES, nested, max_leaves=3))
def test_postgres_holds_whatever_arrow_holds(jsonb, name: str, values: pa.Array):
    try:
        name.encode()
    except UnicodeEncodeError:  # Arrow itself holds no such name
        return
    texts = as_json({name: values}, len(values)).to_pylist()
    assert len(texts) == 3
    for text, valid in zip(texts, values.is_valid().to_pylist(), strict=True):
        [kept] = jsonb(text).values()
        assert valid or kept is None


# ---------- the same in a column that is declared


@pytest.mark.parametrize(
    ("column", "values", "says"),
    [
        ("store_and_fwd_flag", pa.array(["N", "a\0"]), 'row 2: {"base64": "YQA="}'),
        ("store_and_fwd_flag", of_bytes([b"N", b"\xff"], pa.string()), 'row 2: {"base64": "/w=="}'),
        ("lpep_pickup_datetime", of_integers([0, -(2**63) + 1], pa.timestamp("us")), "row 2: "),
        ("lpep_pickup_datetime", of_integers([0, 2**63 - 1], pa.timestamp("ms")), "row 2: "),
        ("lpep_dropoff_datetime", pa.array(["2024-01-01 00:00:00", "soon"]), 'row 2: "soon"'),
        ("VendorID", pa.array([2, 2**40]), f"row 2: {2**40}"),
        ("fare_amount", pa.array(["2.5", "$5"]), 'row 2: "$5"'),
    ],
)
def test_a_value_that_a_declared_column_cannot_hold_is_refused_by_column_and_row(
    tlc, month, dsn: str, column: str, values: pa.Array, says: str
):
    rewrite(month, **{column: padded(values)})
    with pytest.raises(FileContentError) as caught:
        load_month(GREEN, JANUARY, tlc.address, dsn, SCHEMA, "by hand")
    assert f"{month.name}: column {column.lower()} is " in str(caught.value)
    assert says in str(caught.value)
    assert not heals(caught.value)
    assert raw_content(dsn)["raw_trips"] == []


def test_the_row_is_that_of_the_file_not_of_the_batch(tlc, month, dsn: str):
    rows = 20_000
    write_month(tlc.folder, str(JANUARY), rows)
    ids: list[Any] = [2] * rows
    ids[-1] = 2**40
    rewrite(month, VendorID=pa.array(ids))
    with pytest.raises(FileContentError, match=f"row {rows}: {2**40}"):
        load_month(GREEN, JANUARY, tlc.address, dsn, SCHEMA, "by hand")


def test_the_last_time_of_arrow_is_a_time_in_postgres(tlc, month, dsn: str):
    rewrite(month, lpep_pickup_datetime=padded(of_integers([2**63 - 1], pa.timestamp("us"))))
    load_month(GREEN, JANUARY, tlc.address, dsn, SCHEMA, "by hand")
    last = f"select lpep_pickup_datetime::text from {SCHEMA}.raw_trips where source_row = 1"
    assert query(dsn, last) == [("294247-01-10 04:00:54.775807",)]


@pytest.mark.parametrize("type", [pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string())], ids=str)
def test_text_of_any_arrow_type_is_text(tlc, month, dsn: str, type: pa.DataType):
    moments = pa.array([str(datetime(2024, 1, 5))] * ROWS).cast(type)
    rewrite(month, store_and_fwd_flag=pa.array(["N"] * ROWS).cast(type), lpep_pickup_datetime=moments)
    load_month(GREEN, JANUARY, tlc.address, dsn, SCHEMA, "by hand")
    found = f"select distinct store_and_fwd_flag, lpep_pickup_datetime::text from {SCHEMA}.raw_trips"
    assert query(dsn, found) == [("N", "2024-01-05 00:00:00")]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b'3,"Bronx\xff","x","y"', 'row 3: {"base64": '),
        (b'3,"Bronx"', "Row #4"),
        (b'3,"Bronx\0","x","y"', "column borough is string and cannot be cast to string: a NUL"),
        (b'three,"Bronx","x","y"', "row 3"),
    ],
)
def test_a_zone_that_cannot_be_held_is_refused_by_row(tlc, month, dsn: str, line: bytes, says: str):
    zones = tlc.folder / "taxi_zone_lookup.csv"
    lines = zones.read_bytes().splitlines()
    zones.write_bytes(b"\n".join([*lines[:3], line, *lines[4:]]) + b"\n")
    with pytest.raises(FileContentError) as caught:
        load_month(GREEN, JANUARY, tlc.address, dsn, SCHEMA, "by hand")
    assert zones.name in str(caught.value)
    assert says in str(caught.value)


def test_a_column_whose_name_is_no_text_is_refused(tlc, month, dsn: str):
    rewrite(month, zzzz=pa.array([1] * ROWS))
    month.write_bytes(month.read_bytes().replace(b"zzzz", b"\xff\xfe\xff\xfe"))
    with pytest.raises(FileContentError, match=r"2024-01.parquet has a column whose name is not UTF-8: b'\\xff"):
        load_month(GREEN, JANUARY, tlc.address, dsn, SCHEMA, "by hand")
