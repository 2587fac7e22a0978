"""Green and yellow trips of one month at once: neither sees the other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from tests.support.postgres.warehouse_content import query
from tests.support.stack.pipeline import Pipeline
from tests.support.trips import TRIPS

MONTH = "2023-05"


def test_the_same_month_of_both_runs_at_once_and_ends_as_each_alone(pipeline: Pipeline, tmp_path: Path):
    both = [replace(pipeline, dataset=dataset) for dataset in TRIPS.values()]
    for each in both:
        each.publish_file(MONTH)
    for each, run_id in [(each, each.trigger(month=MONTH)) for each in both]:
        assert each.wait(run_id) == "success", each.states(run_id)
    for each in both:
        assert each.content(MONTH) == each.content_of_a_clean_load(MONTH, tmp_path / each.dataset.name)
    counts = "select dataset, count(distinct source_month) from airflow_default.all_trips where source_month = %s"
    assert dict(query(pipeline.dsn, f"{counts} group by 1", [f"{MONTH}-01"])) == dict.fromkeys(TRIPS, 1)

    # an analyst's login reads what is published of both, and no more than that
    analyst = pipeline.stack.address_for("analyst").uri()
    for view in ("all_trips", "all_zone_days", "all_months"):
        found = query(
            analyst, f"select distinct dataset from airflow_default.{view} where source_month = %s", f"{MONTH}-01"
        )
        assert {dataset for (dataset,) in found} == set(TRIPS), view
    for refused in (
        "delete from airflow_default.fct_trips",
        "select * from airflow_default_partitions.fct_trips_202305",
        "create table airflow_default.mine (n int)",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            query(analyst, refused)
