"""TLC's own files, loaded. The numbers were counted in the files, by other means than this project's."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from decimal import Decimal

import psycopg
import pytest

from dev.tlc.mirror import TlcMirror
from include.datasets import GREEN, YELLOW
from include.ingest.load import load_month
from include.month import Month
from tests.support.dbt.project import Project
from tests.support.helpers import SCHEMA, raw_content
from tests.support.postgres.warehouse_content import query

# month: rows, pickups outside the month, of these more than a month off, dropoff before pickup, over 200 miles,
# sum of total_amount in dollars
REAL_MONTHS = {
    "2020-04": (35644, 6, 5, 12, 10, Decimal("701850.27")),
    "2023-01": (68211, 4, 1, 0, 36, Decimal("1486275.22")),
    "2023-02": (64809, 26, 1, 0, 40, Decimal("1418317.50")),
    "2023-12": (64215, 4, 0, 0, 48, Decimal("1557922.15")),
    "2024-01": (56551, 2, 0, 0, 46, Decimal("1266922.59")),
    "2025-11": (46912, 21, 0, 3, 21, Decimal("1181864.70")),
}
# month: rows, pickups outside the month, dropoff before pickup, over 200 miles, negative totals, sum of total_amount
REAL_YELLOW_MONTHS = {
    "2018-01": (10000, 0, 0, 0, 2, Decimal("156794.41")),
    "2018-11": (10000, 3, 2, 0, 14, Decimal("170114.12")),
    "2018-12": (10000, 2, 0, 0, 6, Decimal("165726.89")),
    "2020-04": (10000, 0, 0, 0, 58, Decimal("162173.96")),
    "2025-02": (5000, 0, 0, 1, 92, Decimal("125524.09")),
}
ZONES = 265

COUNTED = f"""
    select
        count(*),
        count(*) filter (where date_trunc('month', lpep_pickup_datetime) <> source_month),
        count(*) filter (where lpep_pickup_datetime < source_month - interval '1 month'
                            or lpep_pickup_datetime >= source_month + interval '2 months'),
        count(*) filter (where lpep_dropoff_datetime < lpep_pickup_datetime),
        count(*) filter (where trip_distance > 200),
        sum(total_amount::numeric)
    from {SCHEMA}.raw_trips
    where source_month = %s
"""


@pytest.fixture
def real_source(real_files):
    with TlcMirror(real_files) as mirror:
        yield mirror


@pytest.mark.parametrize(("month", "counted"), REAL_MONTHS.items(), ids=REAL_MONTHS)
def test_a_real_month_is_loaded_to_the_last_row_and_cent(real_source, dsn, month, counted):
    month = Month.parse(month)
    for _ in range(2):  # again leaves one copy
        [trips, zones] = load_month(GREEN, month, real_source.address, dsn, SCHEMA, "scheduled__1")
    assert (trips["rows"], zones["rows"]) == (counted[0], ZONES)
    assert (trips["unknown_columns"], zones["unknown_columns"]) == ([], [])
    with psycopg.connect(dsn) as connection:
        assert connection.execute(COUNTED, [month.first_day]).fetchone() == counted


def test_consecutive_real_months_of_unlike_types_share_one_table(real_source, dsn):
    months = [Month.parse(text) for text in ("2023-01", "2023-02")]
    for month in [*months, *months[::-1]]:
        load_month(GREEN, month, real_source.address, dsn, SCHEMA, "scheduled__1")
    with psycopg.connect(dsn) as connection:
        assert [connection.execute(COUNTED, [month.first_day]).fetchone() for month in months] == [
            REAL_MONTHS[str(month)] for month in months
        ]


def test_another_month_s_real_file_is_not_published_under_this_month_s_name(real_files, project: Project):
    shutil.copy(real_files / "green_tripdata_2023-12.parquet", project.tlc.folder / "green_tripdata_2023-11.parquet")
    shutil.copy(real_files / "taxi_zone_lookup.csv", project.tlc.folder)
    project.load_file("2023-11")
    done = project.build("2023-11")
    assert done.returncode == 1
    assert "pickup_month=2023-12-01, rows=64211, rows_in_file=64215" in done.output
    assert query(project.dsn, "select count(*) from airflow_default.fct_trips") == [(0,)]


@pytest.mark.parametrize("month", REAL_MONTHS)
def test_a_real_month_passes_every_audit(real_source, project: Project, month: str):
    load_month(GREEN, Month.parse(month), real_source.address, project.dsn, project.schema, "scheduled__1")
    done = project.build(month)
    assert done.returncode == 0, done.output
    accepted = "select rows_accepted + rows_rejected from airflow_default.fct_months"
    assert query(project.dsn, accepted) == [(REAL_MONTHS[month][0],)]


def test_the_real_zones_keep_their_literal_na(real_source, dsn):
    load_month(GREEN, Month.parse("2024-01"), real_source.address, dsn, SCHEMA, "scheduled__1")
    zones = raw_content(dsn)["raw_zones"]
    assert [zone[0] for zone in zones] == list(range(1, ZONES + 1))
    assert [zone[1:4] for zone in zones[263:]] == [("Unknown", "N/A", "N/A"), ("N/A", "Outside of NYC", "N/A")]


def test_real_yellow_months_are_published_to_the_last_row_and_cent_beside_a_green_one(real_source, project: Project):
    yellow = replace(project, dataset=YELLOW, schema="")
    for month in REAL_YELLOW_MONTHS:
        [trips, _] = load_month(
            YELLOW, Month.parse(month), real_source.address, yellow.dsn, yellow.schema, "scheduled__1"
        )
        assert trips["unknown_columns"] == []
        done = yellow.build(month)
        assert done.returncode == 0, done.output
    figures = """
        select
            to_char(source_month, 'YYYY-MM'), rows_in_file, pickups_outside_month, rejected_dropoff_before_pickup,
            rejected_distance_impossible, reversals, total_amount_in_file, rows_accepted + rows_rejected
        from airflow_default_yellow.fct_months
    """
    assert {month: tuple(found) for month, *found in query(project.dsn, figures)} == {
        month: (*counted, counted[0]) for month, counted in REAL_YELLOW_MONTHS.items()
    }
    load_month(GREEN, Month.parse("2024-01"), real_source.address, project.dsn, project.schema, "scheduled__1")
    assert project.build("2024-01").returncode == 0
    both = query(project.dsn, "select dataset, count(*) from airflow_default.all_trips group by 1 order by 1")
    assert both == [("green", 56551 - 46), ("yellow", 45000 - 3)]
    plan = "explain select count(*) from airflow_default.all_trips where source_month = '2018-11-01'"
    assert set(re.findall(r"\bfct_trips_\d+", str(query(project.dsn, plan)))) == {"fct_trips_201811"}
