"""The generator of sample months: TLC's format and oddities, so that samples stand for real files."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from dev.tlc.sample_months import FEWEST_ROWS, NULL_BLOCK, schema_of, write_month, write_zones
from include.datasets import YELLOW, ZONES, Dataset
from include.month import Month, MonthError
from include.source.reader import read_file
from tests.support.helpers import JANUARY, downloaded
from tests.support.trips import DECLARED

GENERATIONS = ["2020-04", "2023-01", "2023-02", "2024-12", "2025-01", "2026-01"]


@pytest.fixture(scope="module", params=[("2024-01", FEWEST_ROWS), ("2023-12", 3000)], ids=["fewest rows", "3000 rows"])
def month(request, tmp_path_factory) -> tuple[Month, pa.Table]:
    text, rows = request.param
    return Month.parse(text), pq.read_table(write_month(tmp_path_factory.mktemp("samples"), text, rows))


def count(condition: pa.ChunkedArray) -> int:
    return pc.sum(condition).as_py() or 0


# ---------- repeatable


def test_the_same_month_rows_and_version_give_the_same_bytes(tmp_path):
    one, other = (write_month(tmp_path / name, "2024-01", 200).read_bytes() for name in ("one", "other"))
    assert one == other


@pytest.mark.parametrize(("month", "version"), [("2024-01", 2), ("2024-02", 1)])
def test_another_version_or_month_has_other_trips_in_the_same_columns(tmp_path, month, version):
    first = pq.read_table(write_month(tmp_path / "first", "2024-01", 200))
    other = pq.read_table(write_month(tmp_path / "other", month, 200, version))
    assert (first.schema, first.num_rows) == (other.schema, other.num_rows)
    assert first["total_amount"] != other["total_amount"]


def test_a_file_replaces_its_predecessor_and_leaves_nothing_beside_it(tmp_path):
    for version in (1, 2):
        write_month(tmp_path, "2024-01", 100, version)
        write_zones(tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "green_tripdata_2024-01.parquet",
        "taxi_zone_lookup.csv",
    ]


# ---------- TLC's format


@pytest.mark.parametrize("dataset", DECLARED.values(), ids=DECLARED)
@pytest.mark.parametrize("month", GENERATIONS)
def test_every_generation_holds_what_the_loader_requires(tmp_path, month: str, dataset: Dataset):
    file = write_month(tmp_path, month, 100, dataset=dataset)
    table = read_file(downloaded(file), dataset.monthly, Month.parse(month))
    assert sum(batch.num_rows for batch in table.batches) == 100
    names = {name.lower() for name in pq.read_schema(file).names}
    assert dataset.monthly.required_columns(Month.parse(month)) <= names


@pytest.mark.parametrize(
    ("month", "column", "type"),
    [
        ("2023-01", "VendorID", pa.int64()),
        ("2023-02", "VendorID", pa.int32()),
        ("2023-01", "RatecodeID", pa.float64()),
        ("2023-02", "RatecodeID", pa.int64()),
        ("2025-01", "RatecodeID", pa.float64()),
        ("2023-01", "ehail_fee", pa.null()),
        ("2023-02", "ehail_fee", pa.float64()),
        ("2023-01", "store_and_fwd_flag", pa.string()),
        ("2023-02", "store_and_fwd_flag", pa.large_string()),
        ("2025-12", "lpep_pickup_datetime", pa.timestamp("us")),
        ("2026-01", "lpep_pickup_datetime", pa.string()),
    ],
)
def test_types_drift_as_tlcs_do(tmp_path, month, column, type):
    assert pq.read_schema(write_month(tmp_path, month, 100)).field(column).type == type


@pytest.mark.parametrize(
    ("month", "new"),
    [("2024-12", set()), ("2025-01", {"cbd_congestion_fee"}), ("2026-01", {"cbd_congestion_fee", "request_source"})],
)
def test_columns_come_as_tlcs_do(tmp_path, month, new):
    names = pq.read_schema(write_month(tmp_path, month, 100)).names
    assert (len(names), set(names[20:])) == (20 + len(new), new)


@pytest.mark.parametrize("month", ["2020-04", "2023-01", "2023-02", "2023-12", "2024-01", "2025-11"])
def test_columns_and_types_are_those_of_the_real_file(real_files, month):
    assert schema_of(month).equals(pq.read_schema(real_files / f"green_tripdata_{month}.parquet"))


@pytest.mark.parametrize("month", ["2018-01", "2018-11", "2018-12", "2020-04"])
def test_columns_and_types_are_those_of_the_real_yellow_file(real_files, month):
    assert schema_of(month, YELLOW).equals(pq.read_schema(real_files / f"yellow_tripdata_{month}.parquet"))


def test_zones_are_as_many_as_the_real_ones_and_as_odd(tmp_path, real_files):
    write_zones(tmp_path)
    sample, real = (
        pa.Table.from_batches(read_file(downloaded(folder / "taxi_zone_lookup.csv"), ZONES, JANUARY).batches)
        for folder in (tmp_path, real_files)
    )
    assert sample["locationid"] == real["locationid"]
    assert Counter(sample["borough"].to_pylist()) == Counter(real["borough"].to_pylist())
    assert sample.slice(263).to_pylist() == real.slice(263).to_pylist()


# ---------- TLC's oddities, in the smallest file too


def test_few_pickups_lie_outside_the_month(month):
    which, table = month
    pickups = table["lpep_pickup_datetime"].to_pylist()
    start, end = which.start.replace(tzinfo=None), which.end.replace(tzinfo=None)
    assert sum(start - timedelta(days=1) < pickup < start for pickup in pickups) >= 1
    assert sum(end <= pickup < end + timedelta(days=1) for pickup in pickups) >= 1
    assert sum(pickup.year in (2008, 2009) for pickup in pickups) >= 1
    assert sum(start <= pickup < end for pickup in pickups) >= 0.9 * len(pickups)


def test_some_trips_end_before_they_begin(month):
    _, table = month
    assert 1 <= count(pc.less(table["lpep_dropoff_datetime"], table["lpep_pickup_datetime"])) <= 0.05 * table.num_rows


def test_some_trips_are_farther_than_any_city(month):
    _, table = month
    assert 1 <= count(pc.greater(table["trip_distance"], 200)) <= 0.05 * table.num_rows


def test_some_trips_come_back_with_every_amount_negated(month):
    _, table = month
    key = ["VendorID", "lpep_pickup_datetime", "lpep_dropoff_datetime", "PULocationID", "DOLocationID"]
    pairs = table.group_by(key).aggregate([("total_amount", "sum"), ("total_amount", "min"), ("total_amount", "count")])
    reversals = pairs.filter((pc.field("total_amount_count") == 2) & (pc.field("total_amount_min") < 0))
    assert reversals.num_rows >= 1
    assert set(reversals["total_amount_sum"].to_pylist()) == {0.0}


def test_a_block_at_the_end_lacks_the_codes(month):
    _, table = month
    for column in NULL_BLOCK:
        present = table[column].is_valid().to_pylist()
        assert present == sorted(present, reverse=True)  # missing from some row on, to the end
        assert 0.03 <= table[column].null_count / table.num_rows <= 0.47  # as in real files


def test_no_row_is_a_full_duplicate_and_none_lacks_a_zone(month):
    _, table = month
    assert table.group_by(table.column_names).aggregate([]).num_rows == table.num_rows
    for column in ("PULocationID", "DOLocationID"):
        zones = table[column].to_pylist()
        assert 1 <= min(zones) <= max(zones) <= 265


def test_files_are_not_sorted_by_pickup(month):
    pickups = month[1]["lpep_pickup_datetime"].to_pylist()
    assert pickups != sorted(pickups)


# ---------- bounds


def test_too_few_rows_are_refused(tmp_path):
    with pytest.raises(ValueError, match=f"{FEWEST_ROWS}"):
        write_month(tmp_path, "2024-01", FEWEST_ROWS - 1)


def test_a_malformed_month_is_refused(tmp_path):
    with pytest.raises(MonthError):
        write_month(tmp_path, "2024-1")
    assert not list(tmp_path.iterdir())
