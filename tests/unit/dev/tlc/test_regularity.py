"""Made-up months are as regular as TLC's: hours, days, zones, fares and tips lie where those of real months do."""

from __future__ import annotations

import numpy as np
import pandas
import pyarrow.parquet as pq
import pytest

from dev.tlc.sample_months import write_month
from include.datasets import GREEN, YELLOW, Dataset
from include.month import Month

MONTHS = {
    "1,000 rows": (GREEN, "2020-04", 1000, 1),
    "1,000 rows of another version": (GREEN, "2024-02", 1000, 2),
    "10,000 rows, times as text": (GREEN, "2026-01", 10_000, 1),
    "1,000 rows of yellow": (YELLOW, "2018-01", 1000, 1),
    "10,000 rows of yellow, another version": (YELLOW, "2026-11", 10_000, 2),
}
# Of six real green and five real yellow months, with room for what 1,000 rows miss by chance.
REAL = {
    "days without a pickup": (0, 0),
    "days without details": (0, 0),
    "poorest day": (0.3, 0.75),
    "richest day": (1.05, 1.75),
    "quietest hour": (2, 6),
    "quietest hour's share": (0.004, 0.013),
    "busiest hour": (15, 19),
    "busiest hour's share": (0.06, 0.1),
    "median hour of pickups": (13.6, 16.1),
    "repeated rows": (0, 0),
    "repeated rides": (0, 0.0015),
    "reversals": (0.0005, 0.02),
    "unpaired reversals": (0, 0.2),
    "opposite signs": (0, 0.04),
    "fare a mile": (4, 7.1),
    "median total": (10, 21),
    "totals off": (0.02, 0.36),
    "whole-dollar totals": (0.02, 0.12),
    "whole-mile distances": (0.001, 0.05),
    "tipped": (0.45, 0.67),
    "tips without card": (0, 0.001),
    "tolled": (0.015, 0.09),
    "paid by card": (0.5, 0.85),
    "median minutes": (7, 14),
    "median speed": (9, 15.6),
    "median miles": (1.5, 2.5),
    "zero miles": (0.005, 0.055),
    "fare to distance": (0.75, 0.999),
    "duration to distance": (0.72, 0.95),
    "pickup zones": (70, 265),
    "commonest pickup zone's share": {"green": (0.1, 0.27), "yellow": (0.035, 0.06)},
    "commonest drop-off zone's share": (0.035, 0.08),
    "trips within a zone": {"green": (0.09, 0.155), "yellow": (0.045, 0.105)},
    "their distance": (0.19, 0.47),
    "commonest vendor": (0.5, 0.91),
    "one passenger": (0.7, 0.93),
    "standard rate": (0.92, 0.995),
}


@pytest.mark.parametrize("made", MONTHS.values(), ids=MONTHS)
def test_a_made_up_month_is_as_regular_as_real_ones(tmp_path, made):
    dataset, month, rows, version = made
    found = figures(pq.read_table(write_month(tmp_path, month, rows, version, dataset)).to_pandas(), month)
    assert _outside(found, dataset) == {}


def test_a_real_month_is_within_these_bounds(real_files):
    found = figures(pq.read_table(real_files / "green_tripdata_2024-01.parquet").to_pandas(), "2024-01")
    assert _outside(found, GREEN) == {}


@pytest.mark.parametrize("dataset", [GREEN, YELLOW], ids=lambda each: each.name)
def test_the_commonest_zone_is_the_real_one(tmp_path, dataset: Dataset):
    table = pq.read_table(write_month(tmp_path, "2024-01", 10_000, dataset=dataset))
    assert table["PULocationID"].to_pandas().mode()[0] in {"green": (74,), "yellow": (236, 237)}[dataset.name]


def figures(file: pandas.DataFrame, name: str) -> dict[str, float]:
    """The figures of the file's possible trips."""
    file.columns = [column.lower().replace("lpep_", "").replace("tpep_", "") for column in file.columns]
    file["pickup"], file["dropoff"] = (pandas.to_datetime(file[f"{end}_datetime"]) for end in ("pickup", "dropoff"))
    month = Month.parse(name)
    window = (month.plus(-1).start.replace(tzinfo=None), month.plus(2).start.replace(tzinfo=None))
    possible = (
        file["pickup"].between(*window, inclusive="left")
        & (file["dropoff"] >= file["pickup"])
        & file["trip_distance"].between(0, 200)
        & (file["total_amount"].abs() < 100_000)
        & file["pulocationid"].notna()
    )
    trips = file[possible]
    miles, totals, tips, payment = (
        trips[each] for each in ("trip_distance", "total_amount", "tip_amount", "payment_type")
    )
    minutes = (trips["dropoff"] - trips["pickup"]).dt.total_seconds() / 60
    zones, to_zones = trips["pulocationid"], trips["dolocationid"]
    known = payment.notna() & (payment != 0)

    days = _every_day(trips["pickup"], month)
    detailed = _every_day(trips["pickup"][trips["passenger_count"].notna()], month)
    hours = trips["pickup"].dt.hour.value_counts().reindex(range(24), fill_value=0)
    ride = ["pickup", "dropoff", "pulocationid", "dolocationid"]
    reversals = trips[totals < 0]
    paired = reversals.merge(trips[totals > 0][["vendorid", *ride]].drop_duplicates(), on=["vendorid", *ride])
    amounts = ["fare_amount", "extra", "mta_tax", "tip_amount", "tolls_amount", "improvement_surcharge"]
    surcharges = {"congestion_surcharge", "airport_fee", "cbd_congestion_fee"} & set(trips.columns)
    parts = trips[[*amounts, *surcharges]].astype(float).sum(axis=1)
    signs = np.sign(trips[["fare_amount", "tip_amount", "tolls_amount"]]).mul(np.sign(totals), axis=0)
    metered = (totals > 0) & (trips["fare_amount"] > 0) & miles.between(0.5, 50)
    logs = np.log(
        pandas.DataFrame({"miles": miles, "fare": trips["fare_amount"], "minutes": minutes})[metered & (minutes > 0)]
    )
    within = zones == to_zones
    return {
        "days without a pickup": (days == 0).sum(),
        "days without details": (detailed == 0).sum(),
        "poorest day": days.min() / days.median(),
        "richest day": days.max() / days.median(),
        "quietest hour": hours.idxmin(),
        "quietest hour's share": hours.min() / len(trips),
        "busiest hour": hours.idxmax(),
        "busiest hour's share": hours.max() / len(trips),
        "median hour of pickups": (trips["pickup"] - trips["pickup"].dt.normalize()).dt.total_seconds().median() / 3600,
        "repeated rows": file.duplicated().mean(),
        "repeated rides": trips.assign(reversed=totals < 0).duplicated([*ride, "trip_distance", "reversed"]).mean(),
        "reversals": len(reversals) / len(trips),
        "unpaired reversals": 1 - len(paired) / len(reversals),
        "opposite signs": (signs < 0).any(axis=1).mean(),
        "fare a mile": (trips["fare_amount"] / miles)[metered].median(),
        "median total": totals.median(),
        "totals off": ((totals - parts).abs() > 0.011).mean(),
        "whole-dollar totals": ((totals * 100).round() % 100 == 0).mean(),
        "whole-mile distances": ((miles * 100).round() % 100 == 0)[miles > 0].mean(),
        "tipped": (tips > 0).mean(),
        "tips without card": (payment != 1)[known & (tips > 0)].mean(),
        "tolled": (trips["tolls_amount"] > 0).mean(),
        "paid by card": (payment == 1)[known].mean(),
        "median minutes": minutes.median(),
        "median speed": (miles * 60 / minutes)[metered & (minutes > 0)].median(),
        "median miles": miles.median(),
        "zero miles": (miles == 0).mean(),
        "fare to distance": logs["fare"].corr(logs["miles"]),
        "duration to distance": logs["minutes"].corr(logs["miles"]),
        "pickup zones": zones.nunique(),
        "commonest pickup zone's share": zones.value_counts(normalize=True).max(),
        "commonest drop-off zone's share": to_zones.value_counts(normalize=True).max(),
        "trips within a zone": within.mean(),
        "their distance": miles[within].mean() / miles.mean(),
        "commonest vendor": trips["vendorid"].value_counts(normalize=True).max(),
        "one passenger": (trips["passenger_count"] == 1)[trips["passenger_count"].notna()].mean(),
        "standard rate": (trips["ratecodeid"] == 1)[trips["ratecodeid"].notna()].mean(),
    }


def _every_day(pickups: pandas.Series, month: Month) -> pandas.Series:
    start, end = (moment.replace(tzinfo=None) for moment in (month.start, month.end))
    days = pandas.date_range(start, end, freq="D", inclusive="left")
    return pickups.dt.normalize().value_counts().reindex(days, fill_value=0)


def _outside(found: dict[str, float], dataset: Dataset) -> dict[str, float]:
    bounds = {name: each[dataset.name] if isinstance(each, dict) else each for name, each in REAL.items()}
    assert found.keys() == bounds.keys()
    return {name: value for name, value in found.items() if not bounds[name][0] <= value <= bounds[name][1]}
