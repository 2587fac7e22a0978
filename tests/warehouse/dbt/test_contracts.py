"""No value of a file stops a publication: what a contract refuses is rejected before it, or turns an audit red."""

from __future__ import annotations

import json
import math
import re
from typing import Any

import psycopg
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from psycopg import sql

from include.datasets import GREEN
from include.settings import DBT_MANIFEST
from tests.support.dbt.project import Project
from tests.support.postgres.warehouse_content import content, query

DBL_MAX = 1.7976931348623157e308
NODES = json.loads(DBT_MANIFEST.read_text())["nodes"]
MARTS = {node["name"]: node for node in NODES.values() if "marts" in node["fqn"] and node["resource_type"] == "model"}
AUDITS_OF_CONTRACTS = {
    node["test_metadata"]["kwargs"]["mart"]: node["name"]
    for node in NODES.values()
    if node.get("test_metadata", {}).get("name") == "fits_contract"
}

# ---------- every column of every mart, by its contract


def refused_values(mart: dict[str, Any]) -> dict[str, list[Any]]:
    """Values that the contract of the mart refuses, for each of the columns that it takes from its slice."""
    refused = {}
    for name, column in mart["columns"].items():
        if name in mart["config"]["meta"].get("beside_slice", []):
            continue
        values = [None] if any(each["type"] == "not_null" for each in column["constraints"]) else []
        if numeric := re.fullmatch(r"numeric\((\d+), (\d+)\)", column["data_type"]):
            digits, scale = map(int, numeric.groups())
            values += [10 ** (digits - scale), -(10 ** (digits - scale)), 10 ** -(scale + 1)]
        elif column["data_type"] == "double precision":
            values += [10**309, -(10**309)]
        refused[name] = values
    return refused


def test_every_mart_has_an_audit_of_its_contract_on_the_slice_it_is_made_from():
    assert set(AUDITS_OF_CONTRACTS) == set(MARTS)
    slices = {node["name"]: (node.get("attached_node") or "").rpartition(".")[2] for node in NODES.values()}
    for mart, audit in AUDITS_OF_CONTRACTS.items():
        assert slices[audit] == MARTS[mart]["config"]["meta"]["slice"], audit


@pytest.mark.parametrize("mart", [name for name, node in MARTS.items() if node["fqn"][2] == GREEN.models])
def test_an_audit_finds_every_value_that_a_contract_refuses(built: Project, mart: str):
    meta = MARTS[mart]["config"]["meta"]
    slice, rows = f"airflow_default_20240101.{meta['slice']}", meta.get("rows", "true")
    planted = {column: values for column, values in refused_values(MARTS[mart]).items() if values}
    assert planted
    copy = (
        f"insert into {slice} select (jsonb_populate_record(null::{slice}, to_jsonb(ok) || %s::jsonb)).* "
        f"from (select * from {slice} where {rows} order by ctid limit 1) as ok"
    )
    planted.pop("rejection_reason", None)  # a row without a reason is no rejected row
    for column, values in planted.items():
        for value in values:
            query(built.dsn, copy, json.dumps({column: value}))
    query(built.dsn, copy, "{}")
    done = built.dbt("test", "--select", AUDITS_OF_CONTRACTS[mart], "--store-failures", month="2024-01")
    assert done.returncode == 1, done.output
    found = query(
        built.dsn, f"select column_name, count(*) from airflow_default_20240101.{AUDITS_OF_CONTRACTS[mart]} group by 1"
    )
    assert {column: len(values) for column, values in planted.items()}.items() <= dict(found).items()
    assert [column for column, _ in found if column.startswith("primary key")]


def test_an_audit_finds_a_column_of_another_type_than_the_contract_s(built: Project):
    """dbt itself compares them too, in the mart's task, after other tables were published."""
    query(built.dsn, "alter table airflow_default_20240101.int_zones alter column zone_id type bigint")
    done = built.dbt("test", "--select", "zones_fit_the_contract_of_dim_zones", month="2024-01")
    assert done.returncode == 1
    assert "column_name=zone_id, value=bigint in int_zones, integer in dim_zones" in done.output


@pytest.mark.parametrize(
    ("column", "type", "contract"),
    [("trips", "integer", "bigint"), ("total_amount", "numeric(16,2)", "numeric(14, 2)")],
)
def test_a_table_of_another_type_than_the_contract_s_stays_as_it_was(
    built: Project, column: str, type: str, contract: str
):
    view, table = "airflow_default.all_zone_days", "airflow_default.fct_zone_days"
    query(built.dsn, f"drop view {view}; alter table {table} alter column {column} type {type}")
    before = content(built.dsn)
    done = built.dbt("run", "--select", "fct_zone_days", month="2024-01")
    assert done.returncode == 1
    assert f"fct_zone_days stays as it was: {column} is {type}, and the contract says {contract}. Alter" in done.output
    assert content(built.dsn) == before


def test_a_column_that_was_taken_out_of_the_contract_stays_in_the_table_and_hinders_no_publication(built: Project):
    query(built.dsn, "alter table airflow_default.fct_zone_days add column retired bigint")
    done = built.dbt("build", "--select", "fct_zone_days", month="2024-01")
    assert done.returncode == 0, done.output


# ---------- every column of a file, to the end

TYPES = {
    pa.float64(): [math.nan, math.inf, -math.inf, DBL_MAX, -DBL_MAX, 5e-324, 1e10, -1e10, 1e15, 100_000.0, None],
    pa.int32(): [2**31 - 1, -(2**31), None],
    pa.timestamp("us"): ["-infinity", "infinity", "294276-12-31 23:59:59.999999", "4713-01-01 00:00:00 BC", None],
    pa.string(): ["", "x" * 100_000, "\u0001 \U0001f695", None],
}
ZONES = ("pulocationid", "dolocationid")  # an audit of zones stops a month with an unknown zone
ROWS = 20_000


def set_value(connection: psycopg.Connection, column: str, value: Any, row: int) -> None:
    update = "update airflow_default.raw_trips set {} = %s where source_month = '2024-01-01' and source_row = %s"
    connection.execute(sql.SQL(update).format(sql.Identifier(column)), [value, row])


def test_whatever_one_column_of_a_row_holds_the_month_is_published_and_every_row_accounted_for(project: Project):
    project.load("2024-01", rows=ROWS)
    planted = [
        (field.name, value)
        for field in GREEN.monthly.columns
        for value in TYPES[field.type]
        if not (field.name in ZONES and value is not None)
    ]
    # without the one value that an audit would stop: a number finer than a cent (the next test)
    planted = [(column, value) for column, value in planted if value != 5e-324]
    with psycopg.connect(project.dsn) as connection:
        for row, (column, value) in enumerate(planted, start=100):
            set_value(connection, column, value, row)
    done = project.build("2024-01")
    assert done.returncode == 0, done.output
    [(accepted, rejected)] = query(
        project.dsn,
        "select (select count(*) from airflow_default.fct_trips), "
        "(select count(*) from airflow_default.fct_rejected_trips)",
    )
    assert accepted + rejected == ROWS
    # a row with a number that is not finite, or is no possible amount or distance, is rejected with its reason
    reasons = dict(query(project.dsn, "select source_row, rejection_reason from airflow_default.fct_rejected_trips"))
    for row, (column, value) in enumerate(planted, start=100):
        if isinstance(value, float):
            assert reasons[row] in {"value_missing", "distance_impossible", "amount_impossible"}, (column, value)
    assert reasons[100 + planted.index(("total_amount", 1e10))] == "amount_impossible"


def test_amounts_finer_than_cents_turn_an_audit_red_in_every_column(built: Project):
    before = content(built.dsn)
    numbers = [field.name for field in GREEN.monthly.columns if field.type == pa.float64()]
    with psycopg.connect(built.dsn) as connection:
        for row, column in enumerate(numbers, start=30):
            set_value(connection, column, 1.005, row)
    done = built.build("2024-01")
    assert done.returncode == 1
    assert f"FAIL {len(numbers)} trips_fit_the_contract_of_fct_trips" in done.output
    assert "ERROR" not in done.output.replace("ERROR=", "")
    assert content(built.dsn) == before


STRATEGIES = {
    pa.float64(): (st.none() | st.floats() | st.floats(-1000, 1000)).map(lambda x: x and round(x, 2)),
    pa.int32(): st.none() | st.integers(-(2**31), 2**31 - 1) | st.integers(1, 265),
    pa.timestamp("us"): st.none() | st.datetimes(),
    pa.string(): st.none() | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
}
ONE_OF_EACH_COLUMN = st.fixed_dictionaries({field.name: STRATEGIES[field.type] for field in GREEN.monthly.columns})


@settings(
    max_examples=5,
    derandomize=True,
    deadline=None,
    phases=(Phase.generate,),
    suppress_health_check=list(HealthCheck),
)
@given(planted=ONE_OF_EACH_COLUMN)
def test_whatever_a_file_holds_only_an_audit_stops_it(built: Project, planted: dict[str, Any]):
    built.load("2024-01")
    before = content(built.dsn)
    with psycopg.connect(built.dsn) as connection:
        for row, (column, value) in enumerate(planted.items(), start=1):
            set_value(connection, column, value, row)
    done = built.build("2024-01")
    assert not re.search(r"ERROR creating .* airflow_default\.", done.output), done.output
    failed = re.findall(r"FAIL \d+ (\w+) \.", done.output)
    assert (done.returncode == 0) == (not failed)
    assert "published_as_audited" not in "".join(failed)
    if failed:
        assert content(built.dsn) == before
