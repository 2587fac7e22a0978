"""Every data test bites: rows planted to break it make it fail, and it alone."""

from __future__ import annotations

import json
import re

import pytest

from include.settings import DBT_MANIFEST
from tests.support.dbt.project import Project
from tests.support.postgres.warehouse_content import query

TRIPS = "airflow_default_20240101.int_trips_judged"
ZONE_DAYS = "airflow_default_20240101.int_zone_days"
ZONES = "airflow_default_20240101.int_zones"
ACCEPTED = f"(select min(source_row) from {TRIPS} where rejection_reason is null)"

PLANTED = {
    # ---------- raw
    "month_and_zones_are_loaded": "delete from airflow_default.load_log where table_name = 'raw_zones'",
    "raw_trips_hold_the_rows_that_were_logged": "delete from airflow_default.raw_trips where source_row = 7",
    # ---------- judged trips
    "every_raw_row_is_judged": f"delete from {TRIPS} where source_row = 7",
    "int_trips_judged_only_requested_month": f"update {TRIPS} set source_month = '2023-12-01' where source_row = 7",
    "not_null_int_trips_judged_source_row": f"update {TRIPS} set source_row = null where source_row = 7",
    "int_trips_judged_source_row_unique": f"insert into {TRIPS} select * from {TRIPS} where source_row = 7",
    "int_trips_judged_pickup_zones_resolve": f"update {TRIPS} set pickup_zone_id = 999 where source_row = {ACCEPTED}",
    "int_trips_judged_dropoff_zones_resolve": f"update {TRIPS} set dropoff_zone_id = 999 where source_row = {ACCEPTED}",
    "int_trips_judged_rejection_reasons_known": f"update {TRIPS} set rejection_reason = 'whim' where source_row = 7",
    "reject_share_is_plausible": (
        f"update {TRIPS} set rejection_reason = 'distance_impossible' where source_row % 50 = 0"
    ),
    "pickups_are_of_the_month": (
        f"update {TRIPS} set pickup_at = pickup_at + interval '1 month' where source_row % 10 = 0"
    ),
    "trips_fit_the_contract_of_fct_trips": f"update {TRIPS} set extra_amount = 1e10 where source_row = {ACCEPTED}",
    "trips_fit_the_contract_of_fct_rejected_trips": (
        f"update {TRIPS} set total_amount = 1e309 where rejection_reason is not null"
    ),
    # ---------- zone days, months, zones
    "int_zone_days_only_requested_month": f"update {ZONE_DAYS} set source_month = '2023-12-01'",
    "int_zone_days_unique_per_date_and_zone": f"insert into {ZONE_DAYS} select * from {ZONE_DAYS} limit 1",
    "zone_days_sum_to_the_trips": f"update {ZONE_DAYS} set total_amount = total_amount + 0.01 where reversals > 0",
    "zone_days_fit_the_contract_of_fct_zone_days": f"update {ZONE_DAYS} set trips = 0",
    "months_fit_the_contract_of_fct_months": (
        "update airflow_default_20240101.int_months set total_amount_accepted = 1e12, total_amount_in_file = 1e12"
    ),
    "zones_fit_the_contract_of_dim_zones": f"update {ZONES} set zone_id = null where zone_id = 1",
    "month_counts_add_up": "update airflow_default_20240101.int_months set rows_accepted = rows_accepted - 1",
    "not_null_int_zones_zone_id": f"update {ZONES} set zone_id = null where zone_id = 1",
    "int_zones_zone_id_unique": f"update {ZONES} set zone_id = 2 where zone_id = 1",
    # ---------- published
    "fct_trips_published_as_audited": f"delete from airflow_default.fct_trips where source_row = {ACCEPTED}",
    "fct_rejected_trips_published_as_audited": "delete from airflow_default.fct_rejected_trips",
    "fct_zone_days_published_as_audited": "update airflow_default.fct_zone_days set trips = trips + 1",
    "fct_months_published_as_audited": "update airflow_default.fct_months set reversals = reversals + 1",
    "dim_zones_published_as_audited": "update airflow_default.dim_zones set borough = 'Jersey' where zone_id = 1",
}


def test_every_data_test_has_rows_that_break_it():
    nodes = json.loads(DBT_MANIFEST.read_text())["nodes"].values()
    assert {node["name"] for node in nodes if node["resource_type"] == "test"} == set(PLANTED)


@pytest.mark.parametrize("audit", PLANTED)
def test_an_audit_fails_on_rows_planted_to_break_it(built: Project, audit: str):
    query(built.dsn, PLANTED[audit])
    done = built.dbt("test", "--select", audit, month="2024-01")
    assert done.returncode == 1, done.output
    assert re.search(rf"FAIL \d+ {audit}", done.output), done.output


def test_no_audit_fails_on_rows_that_are_right(built: Project):
    done = built.dbt("test", "--exclude-resource-type", "unit_test", month="2024-01")
    assert done.returncode == 0, done.output
    assert set(re.findall(r" PASS (\w+) ", done.output)) == set(PLANTED)
