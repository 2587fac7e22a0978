"""Published profiles of months, written by SQL: a load and a publication of each would take seconds."""

from __future__ import annotations

import psycopg

from include.month import Month
from tests.support.postgres.warehouse_content import query

SCHEMA = "airflow_default"
# What a month is like where a test does not say it. A hundredth more or less from month to month, as real months are.
USUAL = {"median_fare_a_mile": 6.61, "paid_by_card": 0.68, "tipped": 0.58}
ROWS = 60_000  # of a month of 30 days
TABLES = f"""
    create schema if not exists {SCHEMA};
    create table {SCHEMA}.fct_months (source_month date primary key, rows_accepted bigint);
    create table {SCHEMA}.fct_month_profile (
        source_month date primary key, rows_profiled bigint,
        median_fare_a_mile numeric, paid_by_card numeric, tipped numeric
    )
"""


def create_tables(dsn: str) -> None:
    """The two tables, with the columns that matter here."""
    with psycopg.connect(dsn) as connection:
        connection.execute(TABLES)


def publish_profiles(dsn: str, *months: Month, rows: int = ROWS, **figures: float | None) -> None:
    """Replaces the months' rows of both tables."""
    with psycopg.connect(dsn) as connection:
        for table in ("fct_months", "fct_month_profile"):
            delete = f"delete from {SCHEMA}.{table} where source_month = any(%s)"
            connection.execute(delete, [[month.first_day for month in months]])
        for month in months:
            days = (month.plus(1).first_day - month.first_day).days
            accepted = f"insert into {SCHEMA}.fct_months values (%s, %s)"
            connection.execute(accepted, [month.first_day, round(rows * days / 30)])
            ripple = 1 + (month.first_day.month % 3 - 1) / 100
            values = {name: value * ripple for name, value in USUAL.items()} | figures
            names, row = ", ".join(values), [month.first_day, rows, *values.values()]
            profile = f"insert into {SCHEMA}.fct_month_profile (source_month, rows_profiled, {names}) values "
            connection.execute(f"{profile} ({', '.join(['%s'] * len(row))})", row)


# As a publication leaves them, in the tables that are there, with the rows of another month.
ADD_MONTH = """
    create temp table months on commit drop as select * from {schema}.fct_months where source_month = '{like}';
    update months set source_month = '{month}', rows_in_file = rows_rejected + {trips}, rows_accepted = {trips};
    create temp table profiles on commit drop as
    select * from {schema}.fct_month_profile where source_month = '{like}';
    update profiles set source_month = '{month}', rows_profiled = {ROWS}, median_fare_a_mile = {fares};
    create table {schema}.months_{nodash} partition of {schema}.fct_months for values in ('{month}');
    create table {schema}.profiles_{nodash} partition of {schema}.fct_month_profile for values in ('{month}');
    insert into {schema}.fct_months select * from months;
    insert into {schema}.fct_month_profile select * from profiles
"""


def add_month(dsn: str, month: Month, like: Month, trips: int, fares: float = USUAL["median_fare_a_mile"]) -> None:
    """Publishes a month with the figures of another, but for its trips and its fares a mile."""
    names = {"schema": SCHEMA, "ROWS": ROWS, "month": month.ds, "like": like.ds, "nodash": month.ds_nodash}
    query(dsn, ADD_MONTH.format(**names, trips=trips, fares=fares))


def remove_months(dsn: str, *months: Month) -> None:
    """Removes months that `add_month` has published."""
    for month in months:
        for table in ("months", "profiles"):  # in one transaction, it and a reader of both would wait for each other
            query(dsn, f"drop table {SCHEMA}.{table}_{month.ds_nodash}")
