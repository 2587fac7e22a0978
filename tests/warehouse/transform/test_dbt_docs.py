"""dbt's docs and the lineage of columns: made without a database, and yet whole."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from include.datasets import DATASETS, GREEN
from include.lineage.graph import Tables, downstream, read, tables_of, unresolved, upstream
from include.report.queries import QUERIES
from include.settings import DBT_MANIFEST
from tests.support.dbt.project_copy import ProjectCopy, project_copy

LANES = """
{% macro longest(column) %} max({{ column }}) over (partition by pickup_zone_id order by pickup_at) {% endmacro %}
"""
# A window function, a lateral join, `select *` over a union, and a macro.
MODEL = """
with
both_ends as (
    select pickup_zone_id as zone_id, pickup_at, pickup_zone_id, trip_distance from {{ ref('int_trips_judged') }}
    union all
    select dropoff_zone_id, pickup_at, pickup_zone_id, fare_amount from {{ ref('int_trips_judged') }}
),
stacked as (select * from both_ends)
select
    stacked.*,
    {{ longest('trip_distance') }} as longest,
    named.zone_name
from stacked
cross join lateral (select zone_name from {{ ref('int_zones') }} as z where z.zone_id = stacked.zone_id) as named
"""


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProjectCopy]:
    """A copy of the project with a model more, and its docs; no database is told to it."""
    with project_copy(tmp_path_factory.mktemp("docs") / "project") as made:
        dbt = made.folder / "dbt"
        (dbt / "models" / "intermediate" / "tlc" / "int_lanes.sql").write_text(MODEL)
        (dbt / "macros" / "values" / "longest.sql").write_text(LANES)
        made.run("include", "docs")
        yield made


@pytest.fixture(scope="module")
def lineage(copy: ProjectCopy) -> dict[str, Tables]:
    return read(copy.folder / "dbt" / "site" / "lineage.json")


def inputs(tables: Tables, table: str, column: str) -> set[tuple[str, str, str]]:
    return {(each["table"], each["column"], each["subtype"]) for each in tables[table]["columns"][column]["inputs"]}


def in_docs(copy: ProjectCopy, kind: str) -> dict[str, Any]:
    """dbt's catalog or manifest, as the page has it."""
    page = (copy.folder / "dbt" / "site" / "index.html").read_text()
    [start] = re.finditer(rf'\{{"metadata": \{{"dbt_schema_version": "[^"]*/{kind}/', page)
    found, _ = json.JSONDecoder().raw_decode(page[start.start() :])
    return dict(found)


@pytest.mark.parametrize("id", ["model.taxi.fct_zone_days", "source.taxi.tlc.raw_trips"])
def test_a_table_leads_to_its_lineage_in_each_dataset(copy: ProjectCopy, id: str):
    manifest, table = in_docs(copy, "manifest"), id.rsplit(".", 1)[1]
    links = f"Lineage of its columns: [green](../lineage/#green/{table}), [yellow](../lineage/#yellow/{table})"
    assert (manifest["nodes"] | manifest["sources"])[id]["description"].endswith(f"\n\n{links}")


def test_published_columns_have_their_contracts_types(copy: ProjectCopy):
    catalog = in_docs(copy, "catalog")
    months = catalog["nodes"]["model.taxi.fct_months"]
    assert months["columns"]["total_amount_accepted"]["type"] == "numeric(14, 2)"
    assert months["columns"]["published_at"]["type"] == "timestamp with time zone"
    assert months["metadata"]["schema"] == "airflow_default"
    assert {id for id in catalog["nodes"] if not id.startswith(("model.taxi.fct_", "model.taxi.dim_"))} == set()


@pytest.mark.parametrize("dataset", DATASETS)
def test_every_published_column_leads_to_a_file_a_constant_or_the_run(lineage: dict[str, Tables], dataset: str):
    tables = lineage[dataset]
    assert {name for name, table in tables.items() if table["unread"]} == set()
    manifest = json.loads(DBT_MANIFEST.read_bytes())
    published = {
        (node["name"], column)
        for node in manifest["nodes"].values()
        if node["resource_type"] == "model" and node["fqn"][1:3] == ["marts", DATASETS[dataset].models]
        for column in node["columns"]
    }
    assert published == {
        (name, each) for name, table in tables.items() if table["layer"] == "marts" for each in table["columns"]
    }
    assert list(unresolved(tables)) == []


@pytest.mark.parametrize("dataset", DATASETS)
def test_the_views_of_all_datasets_and_the_queries_of_the_report_stand_on_published_columns(
    lineage: dict[str, Tables], dataset: str
):
    tables = lineage[dataset]
    readers = {name for name, table in tables.items() if table["layer"] == "readers"}
    manifest = json.loads(DBT_MANIFEST.read_bytes())
    views = {node["config"]["meta"].get("view_of_all_datasets") for node in manifest["nodes"].values()} - {None}
    assert readers == views | {f"report_{name}" for name in QUERIES}
    assert views > {"all_zone_days"}
    down = {(place.table, place.column) for place in downstream(tables, [("fct_zone_days", "total_amount")])}
    assert down > {("all_zone_days", "total_amount"), ("report_zones", "total_amount")}
    made = tables["all_zone_days"]["columns"]
    assert list(made) == ["dataset", *tables["fct_zone_days"]["columns"]]
    assert (made["dataset"]["origins"], made["dataset"]["steps"][0]["sql"]) == (["constant"], f"'{dataset}'")
    assert made["total_amount"]["type"] == "numeric(14, 2)"


def test_what_decides_about_rows_reaches_the_published_tables_that_have_them(lineage: dict[str, Tables]):
    found = downstream(lineage["green"], [("int_trips_judged", "rejection_reason")])
    down = {(each.table, each.column) for each in found}
    rows = {table for table, column in down if not column}
    assert rows > {"int_zone_days", "fct_zone_days", "all_zone_days", "report_days", "fct_trips", "fct_month_profile"}
    assert ("fct_zone_days", "total_amount") not in down, "its rows alone"


def test_where_a_total_comes_from_and_what_stands_on_it(lineage: dict[str, Tables]):
    green = lineage["green"]
    up = [(place.table, place.column) for place in upstream(green, "fct_zone_days", "total_amount")]
    assert up == [
        ("fct_zone_days", "total_amount"),
        ("int_zone_days", "total_amount"),
        ("int_trips_judged", "total_amount"),
        ("stg_tlc__trips", "total_amount"),
        ("raw_trips", "total_amount"),
        ("green_tripdata_{month}.parquet", "total_amount"),
    ]
    made = green["int_zone_days"]["columns"]["total_amount"]
    assert [step["sql"] for step in made["steps"]] == ["SUM(trips.total_amount)"]
    assert ("FILTER", "int_trips_judged.rejection_reason IS NULL") in {
        (rule["subtype"], rule["sql"]) for rule in green["int_zone_days"]["rows"]
    }
    down = {(place.table, place.column) for place in downstream(green, [("raw_trips", "total_amount")])}
    assert down > {("fct_zone_days", "total_amount"), ("fct_trips", "is_reversal"), ("fct_months", "reversals")}
    assert ("fct_zone_days", "tip_amount") not in down


def test_what_only_one_dataset_has_is_a_constant_in_the_other(lineage: dict[str, Tables]):
    origins = {name: tables["stg_tlc__trips"]["columns"]["ehail_fee"]["origins"] for name, tables in lineage.items()}
    assert origins == {"green": [], "yellow": ["constant"]}
    assert inputs(lineage["yellow"], "stg_tlc__trips", "pickup_at") == {
        ("raw_trips", "tpep_pickup_datetime", "IDENTITY")
    }


def test_what_a_run_decides_is_said_to_be_of_the_run(lineage: dict[str, Tables]):
    of_run = {column for column, made in lineage["green"]["fct_months"]["columns"].items() if "run" in made["origins"]}
    assert of_run == {"published_at", "code_version", "git_revision"}
    made = lineage["green"]["int_months"]["columns"]["source_month"]
    assert (made["origins"], made["steps"][0]["sql"]) == (["run"], "CAST('{{ ds }}' AS DATE)")


def test_a_window_a_lateral_join_a_star_over_a_union_and_a_macro_resolve(lineage: dict[str, Tables]):
    green = lineage["green"]
    judged = "int_trips_judged"
    assert inputs(green, "int_lanes", "zone_id") == {
        (judged, "pickup_zone_id", "IDENTITY"),
        (judged, "dropoff_zone_id", "IDENTITY"),
    }
    assert inputs(green, "int_lanes", "longest") == {
        (judged, "trip_distance", "AGGREGATION"),
        (judged, "fare_amount", "AGGREGATION"),
        (judged, "pickup_zone_id", "WINDOW"),
        (judged, "pickup_at", "WINDOW"),
    }
    assert inputs(green, "int_lanes", "zone_name") == {("int_zones", "zone_name", "IDENTITY")}
    assert "FILTER" in {rule["subtype"] for rule in green["int_lanes"]["rows"]}


def test_a_published_column_that_is_lost_is_named(lineage: dict[str, Tables]):
    tables = json.loads(json.dumps(lineage["green"]))
    tables["int_zone_days"] |= {"unread": "odd SQL", "columns": {"trips": {"inputs": [], "origins": []}}}
    told = list(unresolved(tables))
    assert "fct_zone_days.trips: lost at int_zone_days.trips, odd SQL" in told
    assert {each.partition(".")[0] for each in told} == {"fct_zone_days"}
    del tables["int_zone_days"]
    assert "fct_zone_days.trips: lost at int_zone_days.trips, it is no table of the dataset" in unresolved(tables)


def test_a_query_of_the_report_that_reads_no_published_column_is_named():
    manifest: dict[str, Any] = {"sources": {}, "nodes": {}}
    raw = {each.table: {"identifier": each.table, "unique_id": each.table} for each in GREEN.files}
    shared = {"resource_type": "source", "description": "", "columns": {}}
    manifest["sources"] = {name: node | shared for name, node in raw.items()}
    tables = tables_of(GREEN, manifest, {}, {"days": "select days.gone from raw_trips as days"})
    assert list(unresolved(tables)) == ["report_days: Unknown column: gone"]


def test_docs_that_dbt_refuses_leave_the_old_ones(copy: ProjectCopy):
    site = copy.folder / "dbt" / "site"
    before = {file.name: file.read_bytes() for file in site.iterdir()}
    model = copy.folder / "dbt" / "models" / "intermediate" / "tlc" / "int_lanes.sql"
    model.write_text("select {{ not_there('x') }}")
    try:
        assert copy.try_to_run("include", "docs").returncode == 1
    finally:
        model.write_text(MODEL)
    assert {file.name: file.read_bytes() for file in site.iterdir()} == before
