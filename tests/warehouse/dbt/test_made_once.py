"""What a published schema is given once follows the project: views, their rights, indexes, the log of publications."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from include.datasets import YELLOW
from include.settings import DBT_MANIFEST
from tests.support.dbt.project import Project
from tests.support.postgres.warehouse_content import query

VIEW = "airflow_default.all_zone_days"
COLUMNS = """
    select string_agg(attname, ' ' order by attnum) from pg_attribute
    where attrelid = 'airflow_default.all_zone_days'::regclass and attnum > 0 and not attisdropped
"""
RIGHTS = "select has_table_privilege('analyst', 'airflow_default.all_zone_days', 'select')"
MARTS = {
    node["name"]: node for node in json.loads(DBT_MANIFEST.read_text())["nodes"].values() if "marts" in node["fqn"]
}
OF_CONTRACT = " ".join(["dataset", *MARTS["fct_zone_days"]["columns"]])


def renewed(project: Project) -> str:
    """Publishes January's row of months again; the columns of the view then."""
    done = project.build("2024-01", "--select", "fct_months")
    assert done.returncode == 0, done.output
    [(columns,)] = query(project.dsn, COLUMNS)
    return columns


def as_of_an_earlier_revision(project: Project, columns: str = "") -> None:
    """The view without the column `reversals` of the present contract, as it was described then."""
    names = (columns or OF_CONTRACT.replace("dataset ", "").replace("reversals ", "")).replace(" ", ", ")
    query(
        project.dsn,
        f"drop view {VIEW}; "
        f"create view {VIEW} as select 'green' as dataset, {names} from airflow_default.fct_zone_days",
    )
    query(project.dsn, "comment on table airflow_default.dim_vendors is 'Descriptions of another'")
    query(project.dsn, f"revoke all on {VIEW} from analyst")


def test_a_column_amidst_the_contract_comes_to_the_view_in_its_place_and_rights_stay(built: Project):
    as_of_an_earlier_revision(built)
    query(built.dsn, f"grant select on {VIEW} to analyst with grant option")
    assert renewed(built) == OF_CONTRACT
    assert query(built.dsn, RIGHTS) == [(True,)]
    assert query(built.dsn, f"select count(reversals) > 0 from {VIEW}") == [(True,)]


@pytest.mark.long
def test_a_view_that_somebodys_view_reads_gets_the_column_at_its_end(built: Project):
    as_of_an_earlier_revision(built)
    query(built.dsn, f"create view airflow_default.theirs as select * from {VIEW}")
    assert renewed(built) == OF_CONTRACT.replace("reversals ", "") + " reversals"
    assert query(built.dsn, "select count(*) > 0 from airflow_default.theirs") == [(True,)]
    assert query(built.dsn, f"select count(reversals) > 0 from {VIEW}") == [(True,)]


@pytest.mark.long
def test_a_view_in_which_a_dataset_has_no_value_yet_reads_the_column_once_the_table_has_it(built: Project):
    """The view was made by the other dataset, or by one mart alone, before this table had the column."""
    before = query(built.dsn, f"select sum(reversals) from {VIEW}")
    query(built.dsn, f"drop view {VIEW}; alter table airflow_default.fct_zone_days drop column reversals")
    yellow = replace(built, dataset=YELLOW, schema="airflow_default_yellow")
    yellow.load("2024-01")
    yellow.publish("2024-01")
    of_green = f"select count(*) > 0, count(reversals) from {VIEW} where dataset = 'green'"
    assert query(built.dsn, of_green) == [(True, 0)]
    for _ in range(2):
        built.publish("2024-01")
    assert query(built.dsn, f"select sum(reversals) from {VIEW} where dataset = 'green'") == before


@pytest.mark.long
def test_a_view_that_is_as_it_would_be_made_is_left_alone(built: Project):
    made = "select xmin::text, oid from pg_class where oid = 'airflow_default.all_zone_days'::regclass"
    before = query(built.dsn, made)
    query(built.dsn, "comment on table airflow_default.dim_vendors is 'Descriptions of another'")
    renewed(built)
    assert query(built.dsn, made) == before


@pytest.mark.long
def test_an_index_that_a_model_names_since_is_made_in_every_month_and_once(built: Project):
    indexes = """
        select count(*) from pg_index join pg_class on pg_class.oid = indrelid
        where relname like 'fct_trips%' and not indisprimary and indisvalid
    """
    assert query(built.dsn, indexes) == [(2,)]  # of the table, and of January
    query(built.dsn, "drop index airflow_default.fct_trips_pickup_zone_id_pickup_at")
    assert query(built.dsn, indexes) == [(0,)]
    query(built.dsn, "comment on table airflow_default.dim_vendors is 'Descriptions of another'")
    for _ in range(2):
        renewed(built)
        assert query(built.dsn, indexes) == [(2,)]


@pytest.mark.long
def test_the_log_of_publications_gets_the_columns_that_it_lacks(built: Project):
    lacking = "drop column total_amount_accepted, drop column rows_rejected_change"
    query(built.dsn, f"alter table airflow_default.publication_log {lacking}")
    query(
        built.dsn, "update airflow_default.publication_log set published_at = '2024-03-01'"
    )  # so January is logged again
    renewed(built)
    logged = (
        "select count(*), count(total_amount_accepted), sum(rows_rejected_change) from airflow_default.publication_log"
    )
    assert query(built.dsn, logged) == [(2, 1, 0)], "the publication before has none"
