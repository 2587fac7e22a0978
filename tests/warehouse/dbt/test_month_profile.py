"""The figures of a month's profile are those that pandas finds in the month's accepted trips."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dev.tlc.mirror import TlcMirror
from dev.tlc.sample_months import BOUNDS_FROM_ROWS
from include.datasets import GREEN, YELLOW, Dataset
from tests.support.dbt.project import Project
from tests.support.postgres.warehouse_content import query

TRIPS = "airflow_default_20240101.int_trips_judged"
RIDE = ["pickup_at", "dropoff_at", "pickup_zone_id", "dropoff_zone_id"]
DETAILS = ["passenger_count", "rate_code_id", "store_and_fwd_flag"]
PARTS = [
    *("fare_amount", "extra_amount", "mta_tax", "tip_amount", "tolls_amount", "improvement_surcharge"),
    *("congestion_surcharge", "cbd_congestion_fee"),
]


def accepted(project: Project) -> pd.DataFrame:
    names = [*RIDE, *DETAILS, *PARTS, "vendor_id", "payment_type_id", "trip_distance", "total_amount", "is_spillover"]
    rows = query(project.dsn, f"select {', '.join(names)} from {TRIPS} where rejection_reason is null")
    trips = pd.DataFrame(rows, columns=names)
    numbers = [*PARTS, "trip_distance", "total_amount"]
    return trips.assign(**{name: trips[name].astype(float) for name in numbers})


def profile(project: Project) -> dict[str, object]:
    [[row]] = query(project.dsn, "select to_jsonb(it) from airflow_default_20240101.int_month_profile as it")
    return dict(row)


def in_pandas(trips: pd.DataFrame) -> dict[str, float]:
    pickup, total, miles = trips.pickup_at, trips.total_amount, trips.trip_distance
    days = pickup[~trips.is_spillover].dt.day.value_counts().reindex(range(1, 32), fill_value=0)
    hours = pickup.dt.hour.value_counts().reindex(range(24), fill_value=0)
    minutes = (trips.dropoff_at - pickup).dt.total_seconds() / 60
    driven = miles.between(0.5, 50)
    negative, known = total < 0, trips.payment_type_id.notna() & (trips.payment_type_id != 0)
    tipped = trips.tip_amount > 0
    charged = pd.MultiIndex.from_frame(trips[total > 0][[*RIDE, "vendor_id"]])
    reversed_ = pd.MultiIndex.from_frame(trips[negative][[*RIDE, "vendor_id"]])
    same_zone = trips.pickup_zone_id == trips.dropoff_zone_id
    most = driven & (trips.vendor_id == trips.vendor_id.mode()[0]) & (trips.fare_amount != 0) & (minutes > 0)
    logarithms = np.log(np.array([trips.fare_amount.abs()[most], minutes[most], miles[most]]))
    correlations = np.corrcoef(logarithms)
    others = [trips[name] * total < 0 for name in ("fare_amount", "tip_amount", "tolls_amount")]
    share = {
        "repeated_rows": trips.duplicated(),
        "repeated_rides": trips.assign(negative=negative).duplicated([*RIDE, "trip_distance", "negative"]),
        "reversals_share": negative,
        "opposite_signs": others[0] | others[1] | others[2],
        "totals_off": (total - trips[PARTS].sum(axis=1)).abs() > 0.011,
        "whole_dollar_totals": total % 1 == 0,
        "whole_mile_distances": (miles > 0) & (miles % 1 == 0),
        "tipped": tipped,
        "tolled": trips.tolls_amount > 0,
        "without_duration": minutes == 0,
        "zero_miles": miles == 0,
        "without_details": trips[DETAILS].isna().all(axis=1),
        "details_apart": trips[DETAILS].isna().any(axis=1) & ~trips[DETAILS].isna().all(axis=1),
        "tips_without_card": (trips.payment_type_id != 1)[tipped & known],
        "paid_by_card": (trips.payment_type_id == 1)[known],
        "one_passenger": (trips.passenger_count == 1)[trips.passenger_count.notna()],
        "standard_rate": (trips.rate_code_id == 1)[trips.rate_code_id.notna()],
    }
    return {name: rows.mean() for name, rows in share.items()} | {
        "rows_profiled": len(trips),
        "days_without_pickup": (days == 0).sum(),
        "poorest_day": days.min() / days.median(),
        "richest_day": days.max() / days.median(),
        "hours_without_pickup": (hours == 0).sum(),
        "quietest_hour": hours.idxmin(),
        "quietest_hour_share": hours.min() / len(trips),
        "median_pickup_hour": ((pickup - pickup.dt.normalize()).dt.total_seconds() / 3600).median(),
        "unpaired_reversals": (~reversed_.isin(charged)).mean(),
        "median_fare_a_mile": (trips.fare_amount / miles)[driven & (total > 0)].median(),
        "median_total_amount": total.median(),
        "median_minutes": minutes.median(),
        "median_miles": miles.median(),
        "median_speed": (miles / minutes.where(minutes > 0) * 60)[driven].median(),
        "fare_distance_correlation": correlations[0, 2],
        "duration_distance_correlation": correlations[1, 2],
        "pickup_zones": trips.pickup_zone_id.nunique(),
        "commonest_pickup_zone_share": trips.pickup_zone_id.value_counts(normalize=True).max(),
        "commonest_dropoff_zone_share": trips.dropoff_zone_id.value_counts(normalize=True).max(),
        "same_zone_distance": miles[same_zone].mean() / miles.mean(),
        "commonest_vendor_share": trips.vendor_id.value_counts(normalize=True).max(),
        "days_without_details": 0,
        "unknown_codes": 0,
    }


def test_each_figure_is_that_of_the_accepted_trips(project: Project):
    project.load("2024-01", rows=3000)
    done = project.dbt("run", "--select", "+int_month_profile", month="2024-01")
    assert done.returncode == 0, done.output
    found, expected = profile(project), in_pandas(accepted(project))
    of_no_share = {"source_month", "file_id", "last_pickup_date", "commonest_pickup_zone"}
    assert expected.keys() == found.keys() - of_no_share
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=0.0001), name
    assert found["last_pickup_date"] == "2024-01-31"
    assert found["repeated_rides"] == found["repeated_rows"] == 0 < found["reversals_share"]


def test_of_a_large_file_every_37th_second_is_looked_at(built: Project):
    looked_at = (
        f"select count(*) from {TRIPS} where rejection_reason is null and extract(epoch from pickup_at) % 37 = 0"
    )
    [[expected]] = query(built.dsn, looked_at)
    for rows, profiled in ((500_000, len(accepted(built))), (500_001, expected)):
        query(built.dsn, f"update airflow_default.load_log set rows = {rows} where table_name = 'raw_trips'")
        assert built.dbt("run", "--select", "int_month_profile", month="2024-01").returncode == 0
        assert profile(built)["rows_profiled"] == profiled


def test_rows_and_days_that_are_there_twice_are_counted(built: Project):
    names = "source_month, source_row + 1000, " + ", ".join(
        name
        for (name,) in query(
            built.dsn,
            "select attname from pg_attribute where attrelid = %s::regclass and attnum > 2 and not attisdropped "
            "order by attnum",
            TRIPS,
        )
    )
    query(built.dsn, f"insert into {TRIPS} select {names} from {TRIPS}")
    assert built.dbt("run", "--select", "int_month_profile", month="2024-01").returncode == 0
    assert profile(built)["repeated_rows"] == profile(built)["repeated_rides"] == 0.5


@pytest.mark.parametrize(
    ("dataset", "month", "version", "rows"),
    [(GREEN, "2026-01", 2, 1010), (YELLOW, "2018-02", 1, 1010), (YELLOW, "2025-11", 2, BOUNDS_FROM_ROWS)],
    ids=["few green rows", "few yellow rows", "yellow rows at the bounds"],
)
def test_a_made_up_month_passes_every_audit(
    dsn: str, tlc: TlcMirror, target: Path, dataset: Dataset, month: str, version: int, rows: int
):
    """Few: some of 1,010 rows are rejected, and the bounds apply from 1,000 profiled rows.

    Green rows at the bounds are built in tests/warehouse/dev/tlc/test_sample_months.py.
    """
    project = Project(dsn, tlc, target, dataset)
    project.load(month, version, rows)
    project.publish(month)
    assert query(dsn, f"select rows_profiled >= 1000 from {project.schema}.fct_month_profile") == [(True,)]
