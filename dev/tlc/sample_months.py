"""Made-up months of green and yellow trips in TLC's format, as regular as the real files, with their oddities.

Hours, weekdays, zones, speeds, fares and tips follow six real green files of 2020-04 to 2025-11 and five samples of
real yellow ones of 2018-01 to 2025-02. Each oddity was counted in the green ones; shares and extremes here are of their
order. The same dataset, month, row count and version give the same rows everywhere. Months of BOUNDS_FROM_ROWS and more
also hold rows on both sides of every rule's bound, so that a changed bound changes what is published.
"""

import argparse
import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from include.datasets import DATASETS, GREEN, YELLOW, Dataset
from include.month import Month
from include.settings import DBT_PROJECT
from include.transform.code_version import declared_variables

FEWEST_ROWS = 50
BOUNDS_FROM_ROWS = 10_000  # in fewer, the rows that rules reject would be more than an audit lets pass
ROW_GROUP_ROWS = 500_000
CELLS = 2**16  # a value is drawn by a number of 16 bits
CLOCK_ERRORS = np.array(["2008-12-31T23:02:22", "2009-01-01T00:11:05"], "datetime64[us]")
# The number of zones in each borough.
BOROUGHS = {"Manhattan": 69, "Queens": 69, "Brooklyn": 61, "Bronx": 43, "Staten Island": 20, "EWR": 1}
# Pickups of each hour, beginning at midnight, and of each weekday, beginning on Monday. The quietest hour has 0.25 to
# 0.9 % of real pickups; here it has more, so that a month of 1,000 rows has every hour.
HOURS = [2.1, 1.7, 1.3, 1.2, 1.1, 1.2, 1.8, 3.9, 4.8, 5.3, 5.3, 5.4]
HOURS += [5.4, 5.7, 6.3, 7.1, 7.5, 7.8, 7.5, 6, 4.6, 3.5, 2.8, 2.2]
WEEKDAYS = [0.93, 1.05, 1.07, 1.1, 1.15, 1.05, 0.8]
# The commonest zones, the commonest first; the others follow by their numbers. 264 and 265 lie outside of the city.
COMMON_ZONES = {
    GREEN.name: [74, 75, 95, 43, 166, 82, 41, 97, 65, 7, 129, 130, 244, 42, 260, 134, 66, 83, 33, 116, 265, 264],
    YELLOW.name: [236, 237, 161, 186, 230, 162, 48, 142, 170, 138, 163, 234, 239, 79, 141, 68, 132, 107, 164, 264],
}
NULL_BLOCK = (
    "passenger_count",
    "RatecodeID",
    "payment_type",
    "store_and_fwd_flag",
    "trip_type",
    "congestion_surcharge",
)
MONEY = (
    "fare_amount",
    "extra",
    "mta_tax",
    "tip_amount",
    "tolls_amount",
    "improvement_surcharge",
    "total_amount",
    "congestion_surcharge",
    "cbd_congestion_fee",
    "airport_fee",
)


def file_of(folder: Path, dataset: Dataset, month: Month | str) -> Path:
    """The month's file in a flat folder of files in their publisher's names."""
    return Path(folder) / Path(dataset.monthly.path.format(month=month)).name


def write_month(folder: Path, month: str, rows: int = 3000, version: int = 1, dataset: Dataset = GREEN) -> Path:
    """Writes the month's file (month: YYYY-MM) under TLC's name for it, and returns its path.

    Another version is as if TLC had restated the month: as many rows, other trips.
    Raises ValueError below FEWEST_ROWS rows, include.month.MonthError for the month.
    """
    if rows < FEWEST_ROWS:
        raise ValueError(f"{rows} rows have no room for the oddities; {FEWEST_ROWS} have")
    parsed = Month.parse(month)
    columns = _trips(np.random.default_rng([int(parsed.ds_nodash), rows, version]), parsed, rows, dataset)
    file = file_of(folder, dataset, month)
    file.parent.mkdir(parents=True, exist_ok=True)
    schema = schema_of(month, dataset)
    table = pa.table([_arrow(columns[field.name], field.type) for field in schema], schema=schema)
    draft = file.with_suffix(".draft")  # a reader of the folder sees the whole file or none
    pq.write_table(table, draft, compression=_compression(month), row_group_size=ROW_GROUP_ROWS)
    return draft.replace(file)


def write_zones(folder: Path) -> Path:
    """Writes `taxi_zone_lookup.csv`: 265 zones, of which 264 is unknown and 265 outside of the city."""
    boroughs = [borough for borough, count in BOROUGHS.items() for _ in range(count)] + ["Manhattan"]
    zones = [
        (number, borough, f"{borough} Zone {number}", "EWR" if borough == "EWR" else "Boro Zone")
        for number, borough in enumerate(boroughs[:263], start=1)
    ]
    zones += [(264, "Unknown", "N/A", "N/A"), (265, "N/A", "Outside of NYC", "N/A")]
    file = Path(folder) / "taxi_zone_lookup.csv"
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_suffix(".draft")
    with draft.open("w", newline="") as out:
        writer = csv.writer(out, quoting=csv.QUOTE_NONNUMERIC)
        writer.writerow(["LocationID", "Borough", "Zone", "service_zone"])
        writer.writerows(zones)
    return draft.replace(file)


def schema_of(month: str, dataset: Dataset = GREEN) -> pa.Schema:
    """Column names, order and types of TLC's file of the month.

    Green: seen in real files up to 2025-11. From 2026 on: timestamps as text, as in files that others have re-encoded,
    and the new column `request_source`, as reported.
    """
    return _yellow_schema(month) if dataset == YELLOW else _green_schema(month)


def _yellow_schema(month: str) -> pa.Schema:
    """By public inventories of every month from 2011-01 to 2024-08, and catalogues until 2026-07."""
    ids = pa.int64() if month < "2023-02" else pa.int32()
    counts = pa.float64() if "2018-07" <= month < "2023-02" else pa.int64()
    codes = pa.int64()
    airport_fee = pa.float64() if month in ("2011-01", "2018-01") or month >= "2020-11" else pa.null()
    fields = {
        "VendorID": ids,
        "tpep_pickup_datetime": pa.timestamp("us"),
        "tpep_dropoff_datetime": pa.timestamp("us"),
        "passenger_count": counts,
        "trip_distance": pa.float64(),
        "RatecodeID": counts,
        "store_and_fwd_flag": pa.string() if month < "2023-02" else pa.large_string(),
        "PULocationID": ids,
        "DOLocationID": ids,
        "payment_type": codes,
        "fare_amount": pa.float64(),
        "extra": pa.float64(),
        "mta_tax": pa.float64(),
        "tip_amount": pa.float64(),
        "tolls_amount": pa.float64(),
        "improvement_surcharge": pa.float64(),
        "total_amount": pa.float64(),
        "congestion_surcharge": pa.float64() if month >= "2019-01" or month in ("2018-01", "2018-11") else pa.null(),
        "airport_fee" if month < "2023-02" else "Airport_fee": airport_fee,
    }
    if month >= "2025-01":
        fields["cbd_congestion_fee"] = pa.float64()
    if month >= "2026-06":
        fields["request_source"] = pa.large_string()
    return pa.schema(list(fields.items()))


def _green_schema(month: str) -> pa.Schema:
    old, new = month < "2023-02", month >= "2025-01"
    ids = pa.int64() if old else pa.int32()
    codes = pa.float64() if old or new else pa.int64()
    time = pa.string() if month >= "2026-01" else pa.timestamp("us")
    fields = {
        "VendorID": ids,
        "lpep_pickup_datetime": time,
        "lpep_dropoff_datetime": time,
        "store_and_fwd_flag": pa.string() if old else pa.large_string(),
        "RatecodeID": codes,
        "PULocationID": ids,
        "DOLocationID": ids,
        "passenger_count": codes,
        "trip_distance": pa.float64(),
        "fare_amount": pa.float64(),
        "extra": pa.float64(),
        "mta_tax": pa.float64(),
        "tip_amount": pa.float64(),
        "tolls_amount": pa.float64(),
        "ehail_fee": pa.null() if old else pa.float64(),
        "improvement_surcharge": pa.float64(),
        "total_amount": pa.float64(),
        "payment_type": codes,
        "trip_type": codes,
        "congestion_surcharge": pa.float64(),
    }
    if new:
        fields["cbd_congestion_fee"] = pa.float64()
    if month >= "2026-01":
        fields["request_source"] = pa.large_string()
    return pa.schema(list(fields.items()))


def _compression(month: str) -> str:
    return "gzip" if month < "2023-02" else "zstd" if month < "2025-01" else "snappy"


def _trips(
    random: np.random.Generator, month: Month, rows: int, dataset: Dataset
) -> dict[str, np.ndarray | np.ma.MaskedArray]:
    """The columns of both datasets, by TLC's names; money in dollars."""

    def some(values: Sequence[Any], shares: Sequence[float]) -> np.ndarray:
        return _drawn(values, shares, _cells(random, rows))

    start, end = (np.datetime64(moment.replace(tzinfo=None), "us") for moment in (month.start, month.end))
    # Each oddity gets rows of its own, before a block at the end.
    ordinary = rows - max(10, rows * 6 // 100)

    pickup = start + _seconds(random, month, rows).astype("timedelta64[s]")
    if dataset == YELLOW:  # in its files the trips of a day are near each other, in no order
        pickup = np.concatenate([_nearly_sorted(random, part) for part in np.split(pickup, [ordinary])])
    pickup_zone, dropoff_zone = _zones(random, rows, dataset)
    minutes = random.lognormal(2.5, 0.6, rows) * np.where(pickup_zone == dropoff_zone, 0.35, 1)
    minutes = np.clip(minutes, 1, 180)
    dropoff = pickup + (minutes * 60).astype("timedelta64[s]")
    miles = np.round(minutes * random.uniform(0.09, 0.27, rows), 2)
    payment_type = some([1, 2, 3, 4, 5], [0.69, 0.3, 0.006, 0.003, 0.001])

    # The meter counts parts of a mile, and minutes where the cab is slow.
    start_cents, count_cents = (300, 70) if str(month) >= "2023-01" else (250, 50)
    cents = {
        "fare_amount": start_cents + count_cents * (miles * 4 + minutes * 0.5).astype(int),
        "extra": some([0, 50, 100, 250], [0.5, 0.2, 0.2, 0.1]),
        "mta_tax": np.full(rows, 50),
        "tolls_amount": some([0, 655, 694], [0.97, 0.02, 0.01]),
        "improvement_surcharge": np.full(rows, 100 if str(month) >= "2023-01" else 30),
        "congestion_surcharge": some([0, 275], [0.7, 0.3]) * (str(month) >= "2019-01"),
        "cbd_congestion_fee": some([0, 75], [0.8, 0.2]) * (str(month) >= "2025-01"),
    }
    if dataset == YELLOW:
        cents["airport_fee"] = some([0, 125], [0.92, 0.08]) * (str(month) >= "2020-11")
    # Only tips by card are known: a share of the rest, at times up to the next whole dollar.
    rest = sum(cents.values())
    tip = (rest * some([0, 0.1, 0.15, 0.2, 0.25, 0.3], [0.12, 0.1, 0.15, 0.38, 0.15, 0.1])).astype(int)
    tip += -(rest + tip) % 100 * (tip > 0) * some([0, 1], [0.94, 0.06])
    cents["tip_amount"] = tip * (payment_type == 1)
    # In 2 to 20 % of real rows the total is not the sum of its parts.
    cents["total_amount"] = rest + cents["tip_amount"] + some([0, 275, -100], [0.93, 0.05, 0.02])
    miles *= some([1, 0], [0.97, 0.03])  # a meter that counted, and sent no distance

    columns = {
        "VendorID": some([1, 2, 6], [0.13, 0.868, 0.002]),
        "store_and_fwd_flag": some(["N", "Y"], [0.99, 0.01]),
        "RatecodeID": some([1, 2, 3, 4, 5, 6, 99], [0.95, 0.01, 0.005, 0.005, 0.027, 0.001, 0.002]),
        "PULocationID": pickup_zone,
        "DOLocationID": dropoff_zone,
        "passenger_count": some(list(range(10)), [0.01, 0.83, 0.08, 0.02, 0.01, 0.02, 0.02, 0.004, 0.003, 0.003]),
        "payment_type": payment_type,
        "trip_type": some([1, 2], [0.97, 0.03]),
        "request_source": some(["hail", "app"], [0.9, 0.1]),
        "ehail_fee": np.ma.masked_array(np.zeros(rows), mask=True),
    }

    order = iter(random.permutation(ordinary - 1))

    def draw(share: float) -> np.ndarray:  # at least one row, so that a small file has every oddity
        return np.fromiter(order, int, max(1, round(rows * share)))

    before, after = draw(0.00004), draw(0.00004)
    _move(pickup, dropoff, before, start - np.timedelta64(67, "m"))
    _move(pickup, dropoff, after, end + np.timedelta64(13, "m"))
    clock_errors = draw(0.00002)
    _move(pickup, dropoff, clock_errors, random.choice(CLOCK_ERRORS, clock_errors.size))
    backwards = draw(0.0003)
    dropoff[backwards] = pickup[backwards] - np.timedelta64(8, "m")
    whole_day = draw(0.002)
    dropoff[whole_day] = pickup[whole_day] + np.timedelta64(23 * 60 + 41, "m")
    miles_off = draw(0.0007)
    miles[miles_off] = np.round(10 ** random.uniform(np.log10(201), np.log10(259_777), miles_off.size), 2)

    # Reversals: the trip once more, with every amount negated.
    original = draw(0.0025)
    reversal = draw(0.0025)
    for values in (pickup, dropoff, miles, *(values for name, values in columns.items() if name != "ehail_fee")):
        values[reversal] = values[original]
    for values in cents.values():
        values[reversal] = -values[original]
    columns["payment_type"][reversal] = 4

    if rows >= BOUNDS_FROM_ROWS:
        totals = cents["total_amount"] = cents["total_amount"].astype(float)
        zones = columns["PULocationID"] = np.ma.masked_array(columns["PULocationID"])
        _put_at_bounds(order, _bounds(), month, pickup, dropoff, miles, totals, zones)

    # The block at the end, from another feed: whole minutes, and these columns null.
    block = np.arange(rows) >= ordinary
    pickup[block] = pickup[block].astype("datetime64[m]")
    dropoff[block] = dropoff[block].astype("datetime64[m]")
    for clock in ("lpep", "tpep"):
        columns |= {f"{clock}_pickup_datetime": pickup, f"{clock}_dropoff_datetime": dropoff}
    columns |= {"trip_distance": miles} | {name: cents[name] / 100 for name in MONEY if name in cents}
    columns |= {name: np.ma.masked_array(columns[name], mask=block) for name in NULL_BLOCK}
    if dataset == YELLOW:
        # there the payment type of the block is 0, and the airport's fee null
        columns["payment_type"] = np.where(block, 0, np.ma.getdata(columns["payment_type"]))
        columns["Airport_fee"] = np.ma.masked_array(columns["airport_fee"], mask=block)
    return columns


def _cells(random: np.random.Generator, rows: int) -> np.ndarray:
    return random.integers(0, CELLS, rows, dtype=np.uint16)


def _drawn(values: Sequence[Any] | np.ndarray, weights: Sequence[float] | np.ndarray, cells: np.ndarray) -> np.ndarray:
    """The value of each cell, where a value has as many cells as its weight: four times as fast as random.choice."""
    reached = np.cumsum(weights) / np.sum(weights)
    drawn: np.ndarray = np.asarray(values)[np.searchsorted(reached, (np.arange(CELLS) + 0.5) / CELLS)][cells]
    return drawn


def _seconds(random: np.random.Generator, month: Month, rows: int) -> np.ndarray:
    """Pickups, in seconds since the month's start; one day has fewer, as in snow or on a holiday.

    Each hour and each day has its share to the row. By chance alone, 4 % of months of 1,000 rows would be quietest at
    one o'clock.
    """
    days = np.resize(np.roll(WEEKDAYS, -month.start.weekday()), (month.end - month.start).days)
    days *= random.uniform(0.93, 1.07, days.size)
    days[random.integers(days.size)] *= 0.6
    begins = np.add.outer(np.arange(24), np.arange(days.size) * 24).ravel() * 3600
    cells = random.permutation(rows) * CELLS // rows
    return _drawn(begins, np.outer(HOURS, days).ravel(), cells) + random.integers(0, 3600, rows)


def _nearly_sorted(random: np.random.Generator, pickup: np.ndarray) -> np.ndarray:
    order = np.arange(pickup.size) + random.integers(0, max(1, pickup.size // 31), pickup.size)
    return np.sort(pickup)[np.argsort(order)]


def _zones(random: np.random.Generator, rows: int, dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """The zones of pickups and of drop-offs: 12 % of green trips stay in one, 7 % of yellow ones."""
    zones = list(dict.fromkeys([*COMMON_ZONES[dataset.name], *range(1, 266)]))
    rank = np.arange(1, 266)
    # The shares of real zones fall like this, from rank to rank.
    yellow = np.exp(-rank / 23)
    weights = (yellow, yellow) if dataset == YELLOW else ((rank + 3.0) ** -2, (rank + 30.0) ** -2)
    pickup, dropoff = (_drawn(zones, each, _cells(random, rows)) for each in weights)
    return pickup, np.where(random.random(rows) < (0.055 if dataset == YELLOW else 0.1), pickup, dropoff)


def _bounds() -> tuple[float, int]:
    """The rules' numbers, from dbt_project.yml: miles and cents."""
    declared = declared_variables(DBT_PROJECT)
    return declared["longest_trip_miles"], 100 * declared["highest_amount_dollars"]


def _put_at_bounds(
    order: Iterator[int],
    bounds: tuple[float, int],
    month: Month,
    pickup: np.ndarray,
    dropoff: np.ndarray,
    miles: np.ndarray,
    totals: np.ndarray,
    zones: np.ma.MaskedArray,
) -> None:
    """Gives rows of their own the last value that each rule lets pass, and the first that it does not.

    Totals are cents.
    """
    longest, highest = bounds
    second = np.timedelta64(1, "s")
    edges = [month.plus(offset).start.replace(tzinfo=None) for offset in (-1, 0, 1, 2)]
    for edge in (np.datetime64(each, "us") for each in edges):
        for moment in (edge - second, edge):
            _move(pickup, dropoff, np.array([next(order)]), moment)
    for seconds in (0, -1):
        row = next(order)
        dropoff[row] = pickup[row] + seconds * second
    for distance in (longest, longest + 0.01, 0, -0.01, np.inf, np.nan):
        miles[next(order)] = distance
    for total in (highest - 1, highest, 1 - highest, -highest, 0, -1, np.nan):
        totals[next(order)] = total
    zones[next(order)] = np.ma.masked


def _move(pickup: np.ndarray, dropoff: np.ndarray, rows: np.ndarray, moment: np.datetime64 | np.ndarray) -> None:
    """Lets these trips begin at the moment and last as long as before."""
    lasted = dropoff[rows] - pickup[rows]
    pickup[rows] = moment
    dropoff[rows] = pickup[rows] + lasted


def _arrow(values: np.ndarray | np.ma.MaskedArray, type: pa.DataType) -> pa.Array:
    if pa.types.is_null(type):
        return pa.nulls(len(values))
    mask = np.ma.getmaskarray(values) if isinstance(values, np.ma.MaskedArray) else None
    plain = np.ma.getdata(values)
    if plain.dtype.kind == "M" and pa.types.is_string(type):
        return pa.array(np.char.replace(plain.astype("datetime64[s]").astype(str), "T", " "), type)
    return pa.array(plain, mask=mask).cast(type)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("month", nargs="+", help="YYYY-MM")
    parser.add_argument("--rows", type=int, default=3000)
    parser.add_argument("--dataset", choices=("green", "yellow"), default="green")
    arguments = parser.parse_args()
    write_zones(arguments.folder)
    for month in arguments.month:
        print(write_month(arguments.folder, month, arguments.rows, dataset=DATASETS[arguments.dataset]))


if __name__ == "__main__":
    main()
