"""Green and yellow trips of one month at once: neither sees the other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

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
