"""What the published schema has beside the marts: descriptions, codes in words, views of all datasets, publications."""

from __future__ import annotations

import json
import re

from include.settings import DBT_MANIFEST, DBT_PROJECT
from tests.support.dbt.project import Project
from tests.support.postgres.warehouse_content import query

MARTS = {
    node["name"]: node
    for node in json.loads(DBT_MANIFEST.read_text())["nodes"].values()
    if node["resource_type"] == "model" and "marts" in node["fqn"]
}
CODES = {
    "dim_vendors": {1, 2, 6, 7},
    "dim_rate_codes": {1, 2, 3, 4, 5, 6, 99},
    "dim_payment_types": {0, 1, 2, 3, 4, 5, 6},
    "dim_trip_types": {1, 2},
}
DESCRIPTIONS = """
    select relname, coalesce(attname, ''), description from pg_description
    join pg_class on pg_class.oid = objoid and classoid = 'pg_class'::regclass
    left join pg_attribute on attrelid = objoid and attnum = objsubid and objsubid > 0
    where relnamespace = 'airflow_default'::regnamespace
"""
LOG = """
    select source_month::text, rows_in_file::int, rows_accepted_change::int, rows_in_file_change::int
    from airflow_default.publication_log order by publication_id
"""


def described(project: Project) -> dict[tuple[str, str], str]:
    return {(table, column): text for table, column, text in query(project.dsn, DESCRIPTIONS)}


def in_one_line(text: str) -> str:
    return " ".join(text.split())


def test_every_published_table_and_column_is_described_in_the_database(built: Project):
    found = described(built)
    for name, node in MARTS.items():
        assert in_one_line(found[name, ""]) == in_one_line(node["description"])
        for column, each in node["columns"].items():
            assert in_one_line(found[name, column]) == in_one_line(each["description"]), (name, column)


def test_descriptions_that_changed_come_with_the_next_publication_and_are_left_alone_otherwise(built: Project):
    noted = described(built)["dim_vendors", ""]
    assert re.search(r"Descriptions of [0-9a-f]{32}$", noted)
    query(built.dsn, "comment on column airflow_default.fct_trips.pickup_at is 'by hand'")
    query(built.dsn, "drop view airflow_default.all_months")
    built.publish("2024-01")
    assert described(built)["fct_trips", "pickup_at"] == "by hand", "nothing has changed, so nothing was done"
    # as of another version of the project
    query(built.dsn, "comment on table airflow_default.dim_vendors is 'Descriptions of another'")
    built.publish("2024-01")
    assert in_one_line(described(built)["fct_trips", "pickup_at"]) == in_one_line(
        MARTS["fct_trips"]["columns"]["pickup_at"]["description"]
    )
    assert described(built)["dim_vendors", ""] == noted
    assert query(built.dsn, "select dataset, count(*) from airflow_default.all_months group by 1") == [("green", 1)]


def test_a_schema_that_an_earlier_version_published_gets_all_of_it_with_its_next_month(built: Project):
    query(built.dsn, f"drop table {', '.join(f'airflow_default.{name}' for name in CODES)}")
    query(built.dsn, "drop table airflow_default.publication_log")
    query(built.dsn, "drop view airflow_default.all_months, airflow_default.all_zone_days")
    query(built.dsn, "update airflow_default.fct_months set published_at = '2024-03-01'")
    built.load("2023-12")
    built.publish("2023-12")
    for name, codes in CODES.items():
        assert {code for code, _ in query(built.dsn, f"select * from airflow_default.{name}")} == codes
    both = [("2023-12-01", 400, None, None), ("2024-01-01", 400, None, None)]
    assert sorted(query(built.dsn, LOG)) == both
    assert query(built.dsn, LOG)[0][0] == "2024-01-01", "it was published before"
    months = "select source_month::text, sum(trips)::int from airflow_default.all_zone_days group by 1 order by 1"
    accepted = "select source_month::text, rows_accepted::int from airflow_default.all_months order by 1"
    assert query(built.dsn, months) == query(built.dsn, accepted)


def test_every_code_that_the_columns_descriptions_name_has_its_words(built: Project):
    text = (DBT_PROJECT / "models" / "columns.md").read_text()
    for name, codes in CODES.items():
        [(column,)] = query(
            built.dsn,
            f"select attname from pg_attribute where attrelid = 'airflow_default.{name}'::regclass and attnum = 1",
        )
        [described_as] = re.findall(rf"{{% docs {column} %}}(.*?){{% enddocs %}}", text)
        assert {int(code) for code in re.findall(r"\b\d+\b", described_as)} == codes
        assert {code for code, _ in query(built.dsn, f"select * from airflow_default.{name}")} == codes
    unknown = (
        "select count(*) from airflow_default.fct_trips left join airflow_default.{} using ({}) "
        "where {} is null and {} is not null"
    )
    for name, code, words in (
        ("dim_vendors", "vendor_id", "vendor"),
        ("dim_rate_codes", "rate_code_id", "rate"),
        ("dim_payment_types", "payment_type_id", "payment_type"),
        ("dim_trip_types", "trip_type_id", "trip_type"),
    ):
        assert query(built.dsn, unknown.format(name, code, words, code)) == [(0,)], name


def test_each_publication_is_logged_with_what_it_changed_and_the_same_figures_are_not(built: Project):
    first = [("2024-01-01", 400, None, None)]
    assert query(built.dsn, LOG) == first
    built.publish("2024-01")
    assert query(built.dsn, LOG) == first
    before = query(built.dsn, "select rows_accepted::int from airflow_default.fct_months")
    built.load("2024-01", version=2, rows=500)
    built.publish("2024-01")
    after = query(built.dsn, "select rows_accepted::int from airflow_default.fct_months")
    assert query(built.dsn, LOG) == [*first, ("2024-01-01", 500, after[0][0] - before[0][0], 100)]
    latest = "select published_at from airflow_default.publication_log order by publication_id desc limit 1"
    assert query(built.dsn, latest) == query(built.dsn, "select published_at from airflow_default.fct_months")
