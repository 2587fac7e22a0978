"""A table that an earlier version of the project made shows its columns in the contract's order."""

from __future__ import annotations

import psycopg
import pytest

from tests.support.dbt.project import Project
from tests.support.postgres.warehouse_content import columns, columns_of_contracts, content, query

pytestmark = pytest.mark.long

SCHEMA = "airflow_default"
CONTRACTS = columns_of_contracts()
# As in a table whose column of this name was added later, at its end.
LATER = {
    "fct_trips": "airport_fee",
    "fct_months": "rejected_amount_impossible",
    "fct_zone_days": "reversals",
    "dim_zones": "borough",
}
# Of each table: whose it is, who may do what, its options, indexes, constraints and partitions. A view stays the same
# one.
KEPT = """
    select relname, case relkind when 'v' then pg_class.oid end, relowner, reloptions,
        (select array_agg(acl::text order by acl::text) from unnest(relacl) as acl),
        (select array_agg(attname || attacl::text order by attname) from pg_attribute
            where attrelid = pg_class.oid and attacl is not null),
        (select array_agg(pg_get_indexdef(indexrelid) order by indexrelid::regclass::text) from pg_index
            where indrelid = pg_class.oid),
        (select array_agg(conname || pg_get_constraintdef(oid) order by conname) from pg_constraint
            where conrelid = pg_class.oid),
        (select array_agg(inhrelid order by inhrelid) from pg_inherits where inhparent = pg_class.oid)
    from pg_class where relnamespace = 'airflow_default'::regnamespace and relkind in ('r', 'p', 'v') order by relname
"""
SUM = "select count(*), sum(total_amount) from airflow_default.{}"


@pytest.fixture
def earlier(built: Project) -> Project:
    """Published by a version that did not have the columns yet; then dbt has appended them."""
    query(built.dsn, f"drop view {SCHEMA}.all_trips, {SCHEMA}.all_months, {SCHEMA}.all_zone_days")
    for table, column in LATER.items():
        type_of = (
            "select format_type(atttypid, atttypmod) from pg_attribute where attrelid = %s::regclass and attname = %s"
        )
        [(type_,)] = query(built.dsn, type_of, f"{SCHEMA}.{table}", column)
        query(built.dsn, f"alter table {SCHEMA}.{table} rename {column} to before")
        query(built.dsn, f"alter table {SCHEMA}.{table} add {column} {type_}")
        query(built.dsn, f"update {SCHEMA}.{table} set {column} = before")
        query(built.dsn, f"alter table {SCHEMA}.{table} drop before")
        assert columns(built.dsn)[table] != CONTRACTS[table]
    query(built.dsn, f"comment on table {SCHEMA}.dim_vendors is 'Descriptions of an earlier version'")
    return built


def test_every_table_gets_the_order_of_its_contract_and_keeps_all_else(earlier: Project):
    for statement in (
        f"grant select on {SCHEMA}.fct_trips to developer with grant option",
        f"grant select (zone_id, zone_name) on {SCHEMA}.dim_zones to developer",
        (
            f"create view {SCHEMA}.by_hand with (security_barrier=true) as select source_month, pickup_at, "
            f"total_amount, zone_name, trip_distance * 2 as twice from {SCHEMA}.fct_trips "
            f"join {SCHEMA}.dim_zones on zone_id = pickup_zone_id"
        ),
        f"create view {SCHEMA}.of_a_view as select * from {SCHEMA}.by_hand where twice > 1",
        f"grant select on {SCHEMA}.by_hand, {SCHEMA}.of_a_view to developer",
        f"comment on column {SCHEMA}.by_hand.twice is 'there and back'",
        f"alter default privileges in schema {SCHEMA} grant select on tables to public",
    ):
        query(earlier.dsn, statement)
    earlier.load("2023-12")
    before = {view: query(earlier.dsn, SUM.format(view)) for view in ("fct_trips", "by_hand", "of_a_view")}
    kept, rows = query(earlier.dsn, KEPT), content(earlier.dsn)
    earlier.publish("2024-01")
    assert columns(earlier.dsn) == CONTRACTS
    assert content(earlier.dsn) == rows
    there = {name for name, *_ in kept}
    assert [each for each in query(earlier.dsn, KEPT) if each[0] in there] == kept
    assert {view: query(earlier.dsn, SUM.format(view)) for view in before} == before
    comment = (
        "select col_description(attrelid, attnum) from pg_attribute where attrelid = %s::regclass and attname = 'twice'"
    )
    assert query(earlier.dsn, comment, f"{SCHEMA}.by_hand") == [("there and back",)]
    # and another month goes in
    earlier.publish("2023-12")
    months = query(earlier.dsn, f"select distinct source_month::text from {SCHEMA}.fct_trips order by 1")
    assert months == [("2023-12-01",), ("2024-01-01",)]


# By table: what would not survive, and how it comes about.
OBSTACLES = {
    "fct_trips": ("a logical publication", f"create publication of_a_test for table {SCHEMA}.fct_trips"),
    "fct_months": (
        "a trigger",
        (
            f"create trigger at_once before update on {SCHEMA}.fct_months for each statement "
            "execute function suppress_redundant_updates_trigger()"
        ),
    ),
    "dim_zones": (
        "extended statistics",
        f"create statistics {SCHEMA}.pairs on zone_name, borough from {SCHEMA}.dim_zones",
    ),
    "fct_zone_days": (
        "a materialized view or a rule",
        f"create materialized view {SCHEMA}.kept as select * from {SCHEMA}.fct_zone_days",
    ),
}


def test_a_table_with_what_would_not_survive_is_left_alone_and_the_log_says_what(earlier: Project):
    for _, statement in OBSTACLES.values():
        query(earlier.dsn, statement)
    before = columns(earlier.dsn)
    done = earlier.build("2024-01")
    for table, (obstacle, _) in OBSTACLES.items():
        assert f"{SCHEMA}.{table} has {obstacle}: its columns stay in the order of an earlier version." in done.output
        assert columns(earlier.dsn)[table] == before[table] != CONTRACTS[table]


def test_a_reader_who_holds_the_table_is_not_disturbed_and_the_next_publication_does_it(earlier: Project):
    with psycopg.connect(earlier.dsn) as reader:
        reader.execute(f"select count(*) from {SCHEMA}.dim_zones")
        earlier.publish("2024-01")
        assert columns(earlier.dsn)["fct_trips"] == CONTRACTS["fct_trips"]
        assert columns(earlier.dsn)["dim_zones"] != CONTRACTS["dim_zones"]
    earlier.publish("2024-01")
    assert columns(earlier.dsn)["dim_zones"] == CONTRACTS["dim_zones"]
