"""Every data test bites: rows planted to break it make it fail, and it alone."""

from __future__ import annotations

import json
import re
from decimal import Decimal

import pytest

from include.datasets import GREEN
from include.settings import DBT_MANIFEST
from tests.support.dbt.project import Project
from tests.support.postgres.warehouse_content import query

MONTH = "airflow_default_20240101"
TRIPS = f"{MONTH}.int_trips_judged"
ACCEPTED = f"(select min(source_row) from {TRIPS} where rejection_reason is null)"

NODES = json.loads(DBT_MANIFEST.read_text())["nodes"]
AUDITS = {
    node["name"]: node for node in NODES.values() if node["resource_type"] == "test" and node["fqn"][2] == GREEN.models
}

PROFILE = NODES["model.taxi.fct_month_profile"]

# What breaks any data test of the kind: `table` is the one it is about, `column` its column, or the first of a mart's
# key.
PLANTED_BY_KIND = {
    "not_null": "update {table} set {column} = null",
    "unique": "insert into {table} select * from {table} limit 1",
    "unique_together": "insert into {table} select * from {table} limit 1",
    "only_requested_month": "update {table} set {column} = '2023-12-01'",
    "rows_as_logged": "delete from {table} where source_row = 7",
    "fits_contract": "update {table} set {column} = null",
    "published_as_audited": "delete from {table}",
}
# What breaks each of the others.
PLANTED = {
    "month_and_zones_are_loaded": "delete from airflow_default.load_log where table_name = 'raw_zones'",
    "every_raw_row_is_judged": f"delete from {TRIPS} where source_row = 7",
    "int_trips_judged_pickup_zones_resolve": f"update {TRIPS} set pickup_zone_id = 999 where source_row = {ACCEPTED}",
    "int_trips_judged_dropoff_zones_resolve": f"update {TRIPS} set dropoff_zone_id = 999 where source_row = {ACCEPTED}",
    "int_trips_judged_rejection_reasons_known": f"update {TRIPS} set rejection_reason = 'whim' where source_row = 7",
    "reject_share_is_plausible": (
        f"update {TRIPS} set rejection_reason = 'distance_impossible' where source_row % 50 = 0"
    ),
    "pickups_are_of_the_month": (
        f"update {TRIPS} set pickup_at = pickup_at + interval '1 month' where source_row % 10 = 0"
    ),
    "zone_days_sum_to_the_trips": (
        f"update {MONTH}.int_zone_days set total_amount = total_amount + 0.01 where reversals > 0"
    ),
    "month_counts_add_up": f"update {MONTH}.int_months set rows_accepted = rows_accepted - 1",
}


# The figure that each of these bounds, and its bounds.
FIGURES = {
    name: (node["column_name"], node["test_metadata"]["kwargs"])
    for name, node in AUDITS.items()
    if node["test_metadata"]["name"] == "figure_within"
}


def kind_of(audit: str) -> str:
    kind: str = AUDITS[audit]["test_metadata"]["name"]
    return kind


def planted(audit: str) -> str:
    """The statement that breaks a built month for this audit."""
    if audit in PLANTED:
        return PLANTED[audit]
    node = AUDITS[audit]
    read = node["attached_node"] or node["depends_on"]["nodes"][0]
    is_shared = read.startswith("source.") or NODES[read]["fqn"][1] == "marts"
    column = node.get("column_name")
    if kind_of(audit) == "fits_contract":
        mart = NODES[f"model.taxi.{node['test_metadata']['kwargs']['mart']}"]
        [column, *_] = next(each["columns"] for each in mart["constraints"] if each["type"] == "primary_key")
    table = f"{'airflow_default' if is_shared else MONTH}.{read.rpartition('.')[2]}"
    return PLANTED_BY_KIND[kind_of(audit)].format(table=table, column=column)


def test_every_data_test_has_rows_that_break_it():
    of_no_kind = {audit for audit in AUDITS.keys() - FIGURES if kind_of(audit) not in PLANTED_BY_KIND}
    assert of_no_kind == set(PLANTED), "PLANTED has a statement for each data test of another kind"


@pytest.mark.parametrize("audit", [audit for audit in AUDITS if audit not in FIGURES])
def test_an_audit_fails_on_rows_planted_to_break_it(built: Project, audit: str):
    query(built.dsn, planted(audit))
    done = built.dbt("test", "--select", audit, month="2024-01")
    assert done.returncode == 1, done.output
    assert re.search(rf"FAIL \d+ {audit}", done.output), done.output


A_LITTLE, BOUNDS = Decimal("0.0001"), 43


@pytest.mark.parametrize(
    ("bound", "steps", "rows", "fails"),
    [
        ("at_most", 1, 1000, True),
        ("at_least", -1, 1000, True),
        ("at_most", 0, 1000, False),
        ("at_least", 0, 1000, False),
        ("at_most", 1, 999, False),
        ("nothing", 0, 1000, True),
        ("nothing", 0, 999, False),
    ],
)
def test_a_figure_fails_beyond_its_bounds_and_where_it_is_not_known(
    built: Project, bound: str, steps: int, rows: int, fails: bool
):
    """All figures at once; a step is the least that a figure can change by."""
    planted, expected = {"rows_profiled": str(rows)}, set()
    for audit, (figure, bounds) in FIGURES.items():
        step = Decimal(1) if PROFILE["columns"][figure]["data_type"] == "integer" else A_LITTLE
        within = bounds.get("at_most", bounds.get("at_least"))
        planted[figure] = "null" if bound == "nothing" else str(Decimal(str(bounds.get(bound, within))))
        if bound in bounds or bound == "nothing":
            planted[figure] += f" + {steps * step}"
            expected |= {audit} if fails else set()
    query(built.dsn, f"update {MONTH}.int_month_profile set {', '.join(f'{k} = {v}' for k, v in planted.items())}")
    done = built.dbt("test", "--select", "int_month_profile,test_name:figure_within", month="2024-01")
    assert set(re.findall(r" FAIL 1 (\w+) \.", done.output)) == expected, done.output
    # whoever takes one away says so here; docs/explanation/spoilings.md has what most of them find
    assert sum(len(bounds.keys() & {"at_most", "at_least"}) for _, bounds in FIGURES.values()) == BOUNDS


def test_no_audit_fails_on_rows_that_are_right(built: Project):
    done = built.dbt("test", "--exclude-resource-type", "unit_test", month="2024-01")
    assert done.returncode == 0, done.output
    assert set(re.findall(r" PASS (\w+) ", done.output)) == set(AUDITS)
