"""TLC's files: what drifts and is cast, what is refused and in which words."""

from __future__ import annotations

import json
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dev.tlc.sample_months import write_month, write_zones
from include.datasets import GREEN, YELLOW, ZONES, Dataset
from include.failures.retry import heals
from include.month import Month
from include.source.reader import BATCH_ROWS, FileContentError, read_file
from tests.support.helpers import JANUARY, downloaded, rewrite
from tests.support.trips import DECLARED

ROWS = 100
REQUIRED = sorted(GREEN.monthly.required_columns(JANUARY))


@pytest.fixture
def trips(tmp_path):
    """A month's file in TLC's present types."""
    return write_month(tmp_path, "2024-01", ROWS)


@pytest.fixture
def zones(tmp_path):
    return write_zones(tmp_path)


def repeated(value, type: pa.DataType) -> pa.Array:
    return pa.array([value] * ROWS, type)


def read(file) -> pa.Table:
    table = read_file(downloaded(file), GREEN.monthly, JANUARY)
    return pa.Table.from_batches(table.batches, table.schema)


def refusal(reader, *arguments) -> str:
    """What a file is refused with, when it is opened or when its batches are read."""
    with pytest.raises(FileContentError) as caught:
        list(reader(*arguments).batches)
    assert not heals(caught.value)
    return str(caught.value)


def refusal_of_trips(file) -> str:
    return refusal(read_file, downloaded(file), GREEN.monthly, JANUARY)


# ---------- types that drift


@pytest.mark.parametrize(
    ("column", "found", "value", "expected"),
    [
        pytest.param("VendorID", pa.int64(), 2, 2, id="ids int64, until 2023-01"),
        pytest.param("VendorID", pa.int32(), 2, 2, id="ids int32, since"),
        pytest.param("RatecodeID", pa.float64(), 99.0, 99, id="codes double"),
        pytest.param("RatecodeID", pa.int64(), 99, 99, id="codes int64"),
        pytest.param("passenger_count", pa.float64(), None, None, id="codes double, missing"),
        pytest.param("trip_type", pa.null(), None, None, id="a code of null type"),
        pytest.param("ehail_fee", pa.null(), None, None, id="ehail_fee of null type"),
        pytest.param("ehail_fee", pa.float64(), 1.25, 1.25, id="ehail_fee double"),
        pytest.param("fare_amount", pa.int64(), -3, -3.0, id="money in whole dollars"),
        pytest.param("fare_amount", pa.decimal128(9, 2), Decimal("-2.50"), -2.5, id="money as decimal"),
        pytest.param("fare_amount", pa.string(), "-2.5", -2.5, id="money as text"),
        pytest.param("store_and_fwd_flag", pa.string(), "Y", "Y", id="string"),
        pytest.param("store_and_fwd_flag", pa.large_string(), "Y", "Y", id="large_string"),
        pytest.param("store_and_fwd_flag", pa.dictionary(pa.int8(), pa.string()), "Y", "Y", id="dictionary"),
        pytest.param("store_and_fwd_flag", pa.null(), None, None, id="text of null type"),
    ],
)
def test_a_type_that_drifts_is_cast_to_the_declared_one(trips, column, found, value, expected):
    rewrite(trips, **{column: repeated(value, found)})
    table = read(trips)
    assert table.schema == GREEN.monthly.raw_columns
    assert table[column.lower()].to_pylist() == [expected] * ROWS


@pytest.mark.parametrize(
    ("found", "moment"),
    [
        (pa.timestamp("us"), "2008-12-31 23:02:22"),
        (pa.timestamp("ns"), "2008-12-31 23:02:22"),
        (pa.timestamp("ms"), "2041-01-01 00:00:00.5"),
        (pa.string(), "2024-01-31 23:59:59"),
        (pa.large_string(), "2024-01-31T23:59:59.123456"),
    ],
    ids=str,
)
def test_times_of_any_form_are_the_same_instant_of_new_yorks_clock(trips, found, moment):
    declared = pa.scalar(moment).cast(pa.timestamp("us"))
    rewrite(trips, lpep_pickup_datetime=pa.array([moment] * ROWS).cast(pa.timestamp("us")).cast(found))
    assert set(read(trips)["lpep_pickup_datetime"]) == {declared}


@pytest.mark.parametrize("dataset", DECLARED.values(), ids=DECLARED)
@pytest.mark.parametrize(
    "month", ["2018-01", "2018-12", "2020-04", "2023-01", "2023-02", "2024-01", "2025-01", "2026-06"]
)
def test_every_generation_of_tlcs_files_ends_in_one_schema(tmp_path, month: str, dataset: Dataset):
    file = write_month(tmp_path, month, ROWS, dataset=dataset)
    table = read_file(downloaded(file), dataset.monthly, Month.parse(month))
    assert pa.Table.from_batches(table.batches).schema == dataset.monthly.raw_columns


@pytest.mark.parametrize("dataset", DECLARED.values(), ids=DECLARED)
def test_a_column_is_required_in_the_files_since_it_came(tmp_path, dataset: Dataset):
    file = write_month(tmp_path, "2025-02", ROWS, dataset=dataset)
    rewrite(file, cbd_congestion_fee=None)
    february = Month.parse("2025-02")
    assert "lacks required column(s) ['cbd_congestion_fee']" in refusal(
        read_file, downloaded(file), dataset.monthly, february
    )
    december = read_file(downloaded(file), dataset.monthly, Month.parse("2024-12"))
    assert pa.Table.from_batches(december.batches)["cbd_congestion_fee"].null_count == ROWS


def test_the_fee_of_airports_is_one_column_however_it_is_written(tmp_path):
    for month, name in (("2023-01", "airport_fee"), ("2023-02", "Airport_fee")):
        file = write_month(tmp_path, month, ROWS, dataset=YELLOW)
        assert name in pq.read_schema(file).names
        table = read_file(downloaded(file), YELLOW.monthly, Month.parse(month))
        assert table.unknown_columns == ()
        assert pa.Table.from_batches(table.batches)["airport_fee"].null_count < ROWS


@pytest.mark.parametrize("column", sorted(GREEN.monthly.may_lack))
def test_a_column_not_in_every_file_is_null_where_it_is_not(trips, column):
    if column in pq.read_schema(trips).names:
        rewrite(trips, **{column: None})
    assert read(trips)[column].null_count == ROWS


def test_the_order_of_columns_does_not_matter(trips):
    before, table = read(trips), pq.read_table(trips)
    pq.write_table(table.select(table.column_names[::-1]), trips)
    assert read(trips) == before


# ---------- columns this project does not know


def test_an_unknown_column_is_kept_as_json_and_named(trips):
    rewrite(trips, Request_Source=repeated("app", pa.large_string()), surge=repeated(1.5, pa.float64()))
    table = read_file(downloaded(trips), GREEN.monthly, JANUARY)
    assert table.unknown_columns == ("request_source", "surge")
    [batch] = table.batches
    assert {*batch["extra_columns"].to_pylist()} == {'{"request_source": "app", "surge": 1.5}'}


@pytest.mark.parametrize(
    ("value", "type", "kept"),
    [
        (None, pa.null(), None),
        (None, pa.float64(), None),
        (float("nan"), pa.float64(), "nan"),
        (float("inf"), pa.float64(), "inf"),
        (2**62, pa.int64(), 2**62),
        (True, pa.bool_(), True),
        ('say "N/A"\n', pa.string(), 'say "N/A"\n'),
        (Decimal("2.50"), pa.decimal128(9, 2), "2.50"),
        (0, pa.timestamp("us"), "1970-01-01 00:00:00"),
        ([1, None], pa.list_(pa.int64()), [1, None]),
        ([float("nan")], pa.list_(pa.float64()), ["nan"]),
        ({"a": float("inf")}, pa.struct({"a": pa.float64()}), {"a": "inf"}),
    ],
)
def test_an_unknown_columns_value_is_kept_as_strict_json(trips, value, type, kept):
    def refuse(constant: str):
        raise AssertionError(f"{constant} is not JSON")

    rewrite(trips, new=repeated(value, type))
    for text in read(trips)["extra_columns"].to_pylist():
        assert json.loads(text, parse_constant=refuse) == {"new": kept}


def test_without_an_unknown_column_nothing_is_kept(trips):
    table = read_file(downloaded(trips), GREEN.monthly, JANUARY)
    assert table.unknown_columns == ()
    assert all(batch["extra_columns"].null_count == batch.num_rows for batch in table.batches)


def test_a_column_named_like_one_of_this_projects_own_is_kept_beside_it(trips):
    rewrite(trips, source_month=repeated("text", pa.string()))
    table = read(trips)
    assert set(table["source_month"].to_pylist()) == {JANUARY.first_day}
    assert set(table["extra_columns"].to_pylist()) == {'{"source_month": "text"}'}


# ---------- rows


def test_rows_are_numbered_from_one_in_the_files_order(trips):
    table = read(trips)
    assert table["source_row"].to_pylist() == list(range(1, ROWS + 1))
    assert table["total_amount"].to_pylist() == pq.read_table(trips)["total_amount"].to_pylist()


def test_rows_belong_to_the_files_month_whatever_their_pickup(trips):
    rewrite(trips, lpep_pickup_datetime=repeated("2008-12-31 23:02:22", pa.string()))
    assert set(read(trips)["source_month"].to_pylist()) == {JANUARY.first_day}


def test_numbers_run_on_over_batches_and_row_groups(tmp_path):
    rows = 2 * BATCH_ROWS + 5
    file = write_month(tmp_path, "2024-01", rows)
    pq.write_table(pq.read_table(file), file, row_group_size=BATCH_ROWS // 2 - 3)
    batches = list(read_file(downloaded(file), GREEN.monthly, JANUARY).batches)
    assert len(batches) > 1
    assert max(batch.num_rows for batch in batches) <= BATCH_ROWS
    assert pa.chunked_array([batch["source_row"] for batch in batches]).to_pylist() == list(range(1, rows + 1))


@pytest.mark.long
@pytest.mark.parametrize("row_groups", ["one row group", "many row groups"])
def test_memory_does_not_grow_with_the_file(tmp_path, row_groups):
    def most_memory(rows: int) -> tuple[int, int]:
        """Size of a file of so many rows, and the most memory that its reading holds at once; bytes."""
        file = write_month(tmp_path, "2024-01", rows)
        pq.write_table(pq.read_table(file), file, row_group_size=65_536 if row_groups == "many row groups" else rows)
        before, most = pa.total_allocated_bytes(), 0
        for _ in read_file(downloaded(file), GREEN.monthly, JANUARY).batches:
            most = max(most, pa.total_allocated_bytes() - before)
        return file.stat().st_size, most

    (small_file, small), (large_file, large) = most_memory(262_144), most_memory(655_360)
    assert large - small < (large_file - small_file) / 3


# ---------- files that are refused


@pytest.mark.parametrize("size", ["nothing", "half", "all but the last byte"])
def test_a_truncated_file_is_refused(trips, size):
    content = trips.read_bytes()
    trips.write_bytes({"nothing": b"", "half": content[: len(content) // 2]}.get(size, content[:-1]))
    message = refusal_of_trips(trips)
    assert f"{trips.name} is not a complete parquet file ({trips.stat().st_size:,} bytes" in message


def test_a_web_page_is_refused_with_its_beginning(trips):
    trips.write_text("<!DOCTYPE html><title>Sign in</title>")
    message = refusal_of_trips(trips)
    assert f"{trips.name} is not a complete parquet file" in message
    assert "b'<!DOCTYPE html>" in message
    assert "Content-Type binary/octet-stream" in message


def test_a_file_damaged_in_the_middle_is_refused_by_name(trips):
    content = bytearray(trips.read_bytes())
    content[4:204] = bytes(200)
    trips.write_bytes(content)
    assert trips.name in refusal_of_trips(trips)


def test_a_file_without_rows_is_refused(trips):
    pq.write_table(pq.read_table(trips).slice(0, 0), trips)
    assert f"{trips.name} holds no rows" in refusal_of_trips(trips)


@pytest.mark.parametrize("column", REQUIRED)
def test_a_file_without_a_required_column_is_refused(trips, column):
    given = {name.lower(): name for name in pq.read_schema(trips).names}[column]
    rewrite(trips, **{given: None})
    message = refusal_of_trips(trips)
    assert trips.name in message
    assert f"lacks required column(s) ['{column}']" in message


def test_a_renamed_column_is_told_with_the_names_that_are_there(trips):
    table = pq.read_table(trips)
    pq.write_table(table.rename_columns({"PULocationID": "pickup_zone"}), trips)
    assert "'pickup_zone'" in refusal_of_trips(trips)


def test_a_column_that_comes_twice_when_lower_cased_is_refused(trips):
    rewrite(trips, vendorid=repeated(1, pa.int32()))
    message = refusal_of_trips(trips)
    assert f"{trips.name} names a column twice" in message
    assert "'VendorID', " in message
    assert "'vendorid'" in message


@pytest.mark.parametrize(
    ("column", "found", "value", "declared"),
    [
        pytest.param("VendorID", pa.list_(pa.int64()), [2], "int32", id="a list"),
        pytest.param("VendorID", pa.struct({"id": pa.int64()}), {"id": 2}, "int32", id="a struct"),
        pytest.param("fare_amount", pa.timestamp("us"), 0, "double", id="a time for money"),
        pytest.param("lpep_pickup_datetime", pa.float64(), 1.7e9, "timestamp[us]", id="a number for a time"),
        pytest.param("lpep_pickup_datetime", pa.int64(), 1704067200, "timestamp[us]", id="whole seconds for a time"),
        pytest.param("lpep_pickup_datetime", pa.timestamp("us", "UTC"), 0, "timestamp[us]", id="a time in UTC"),
        pytest.param("VendorID", pa.float64(), 1.5, "int32", id="a broken id"),
        pytest.param("VendorID", pa.float64(), float("nan"), "int32", id="an id that is no number"),
        pytest.param("VendorID", pa.int64(), 2**31, "int32", id="an id too large"),
        pytest.param("VendorID", pa.string(), "CMT", "int32", id="a name for an id"),
        pytest.param("fare_amount", pa.string(), "$5", "double", id="money in words"),
        pytest.param("lpep_pickup_datetime", pa.string(), "yesterday", "timestamp[us]", id="a time in words"),
        pytest.param("lpep_pickup_datetime", pa.string(), "2024-01-01T00:00:00Z", "timestamp[us]", id="text in UTC"),
        pytest.param("lpep_pickup_datetime", pa.timestamp("ns"), 1, "timestamp[us]", id="a time too exact"),
        pytest.param("store_and_fwd_flag", pa.binary(), b"\xff", "string", id="text in no encoding"),
    ],
)
def test_what_cannot_be_cast_is_refused_by_file_column_and_both_types(trips, column, found, value, declared):
    rewrite(trips, **{column: repeated(value, found)})
    found = pq.read_schema(trips).field(column).type  # as parquet gives it back
    expected = f"{trips.name}: column {column.lower()} is {found} and cannot be cast to {declared}: "
    assert expected in refusal_of_trips(trips)


def test_one_bad_value_among_good_ones_is_refused(trips):
    rewrite(trips, VendorID=pa.array([2.0] * (ROWS - 1) + [2.5]))
    assert "column vendorid is double and cannot be cast to int32" in refusal_of_trips(trips)


# ---------- zones


def test_zones_are_read_in_the_declared_types(zones):
    table = read_file(downloaded(zones), ZONES, JANUARY)
    [batch] = table.batches
    assert (batch.num_rows, batch.schema) == (265, ZONES.raw_columns)
    assert batch["locationid"].to_pylist() == list(range(1, 266))


def test_not_available_is_text_in_zones(zones):
    [batch] = read_file(downloaded(zones), ZONES, JANUARY).batches
    assert batch.select(["borough", "zone", "service_zone"]).to_pylist()[-2:] == [
        {"borough": "Unknown", "zone": "N/A", "service_zone": "N/A"},
        {"borough": "N/A", "zone": "Outside of NYC", "service_zone": "N/A"},
    ]


def test_an_unknown_column_of_zones_is_kept_as_json_and_named(zones):
    lines = zones.read_text().splitlines()
    zones.write_text("\n".join([lines[0] + ",Area", *(line + ",7" for line in lines[1:])]))
    table = read_file(downloaded(zones), ZONES, JANUARY)
    assert table.unknown_columns == ("area",)
    [batch] = table.batches
    assert set(batch["extra_columns"].to_pylist()) == {'{"area": "7"}'}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param(lambda text: "", "is not a table in CSV", id="empty"),
        pytest.param(lambda text: "<html>\n<p>Sign in, please</p>", "is not a table in CSV", id="web page"),
        pytest.param(lambda text: "<html>", "is not a table in CSV", id="web page of one line"),
        pytest.param(lambda text: text[:500].rsplit(",", 1)[0], "is not a table in CSV", id="truncated"),
        pytest.param(lambda text: text.splitlines()[0] + "\n", "holds no rows", id="no zones"),
        pytest.param(
            lambda text: text.replace("LocationID", "ID"),
            "lacks required column(s) ['locationid']",
            id="renamed column",
        ),
        pytest.param(lambda text: text.replace("service_zone", "zone"), "names a column twice", id="column twice"),
        pytest.param(
            lambda text: text.replace("\n7,", "\nseven,"),
            "column locationid is string and cannot be cast to int32",
            id="a number in words",
        ),
        pytest.param(
            lambda text: text.replace("\n7,", "\n,"),
            "column locationid has no value in row 7",
            id="a missing number",
        ),
    ],
)
def test_zones_that_cannot_be_read_are_refused(zones, change, message):
    zones.write_text(change(zones.read_text()))
    assert f"/{zones.name}{':' if message.startswith('column') else ''} {message}" in refusal(
        read_file, downloaded(zones), ZONES, JANUARY
    )
