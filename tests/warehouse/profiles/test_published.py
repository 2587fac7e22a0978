"""The figures of published months are read as they are in the tables, whichever revision made these."""

from __future__ import annotations

from dataclasses import replace

import psycopg
import pytest
from psycopg.rows import dict_row

from include.datasets import GREEN
from include.month import Month
from include.profiles.departures import affected_by
from include.profiles.published import FEWEST_ROWS, on, published_departures
from include.warehouse.session import Warehouse
from tests.support.postgres.profiles import SCHEMA, create_tables, publish_profiles
from tests.support.postgres.warehouse_content import query

FIRST, ODD = Month.parse("2023-06"), Month.parse("2024-02")


@pytest.fixture
def published(dsn: str) -> str:
    """Two years of months that differ little, and one of them, with fares that are a third up."""
    create_tables(dsn)
    publish_profiles(dsn, *(FIRST.plus(place) for place in range(24)))
    publish_profiles(dsn, ODD, median_fare_a_mile=8.79)
    return dsn


def found(dsn: str, months: list[Month] | None = None, dataset=GREEN) -> dict[str, list[str]]:
    with psycopg.connect(dsn, row_factory=dict_row) as connection:
        departures = published_departures(on(connection), dataset, SCHEMA, months)
    return {str(month): [each.figure for each in of_month] for month, of_month in departures.items()}


def test_a_month_with_odd_fares_is_found_among_all_and_among_those_that_it_affects(published: str):
    assert found(published) == {str(ODD): ["median_fare_a_mile"]}
    assert found(published, affected_by(ODD)) == {str(ODD): ["median_fare_a_mile"]}
    assert found(published, [ODD]) == {str(ODD): ["median_fare_a_mile"]}
    assert found(published, [FIRST]) == {}


def test_it_is_read_alike_in_a_session_with_the_warehouse(published: str):
    with Warehouse(published, SCHEMA) as warehouse:
        [[departure]] = published_departures(warehouse.execute, GREEN, SCHEMA).values()
    assert (departure.figure, round(departure.value, 2)) == ("median_fare_a_mile", 8.79)


def test_trips_are_counted_by_the_day_of_accepted_rows(published: str):
    publish_profiles(published, ODD, rows=29_000)
    with Warehouse(published, SCHEMA) as warehouse:
        [[departure]] = published_departures(warehouse.execute, GREEN, SCHEMA).values()
    assert (departure.figure, round(departure.value)) == ("trips_a_day", 967), "February 2024 has 29 days"


def test_a_month_of_few_rows_is_judged_by_its_number_of_trips_alone(published: str):
    publish_profiles(published, ODD, median_fare_a_mile=8.79, rows=FEWEST_ROWS - 1)
    assert found(published) == {str(ODD): ["trips_a_day"]}


def test_where_a_table_is_not_there_or_lacks_a_month_or_a_column_nothing_is_said_of_that(published: str):
    query(published, f"alter table {SCHEMA}.fct_month_profile drop column paid_by_card")
    assert found(published) == {str(ODD): ["median_fare_a_mile"]}
    assert found(published, dataset=replace(GREEN, profile=None)) == {}
    query(published, f"delete from {SCHEMA}.fct_months where source_month = '{ODD.ds}'")
    assert found(published) == {}, "its profile is published, and itself not yet"
    for table in ("fct_months", "fct_month_profile"):
        query(published, f"alter table {SCHEMA}.{table} rename to away")
        assert found(published) == {}
        query(published, f"alter table {SCHEMA}.away rename to {table}")


def test_an_empty_figure_is_not_compared(published: str):
    publish_profiles(published, ODD, median_fare_a_mile=None)
    assert found(published) == {}
