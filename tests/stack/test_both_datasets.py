"""Green and yellow trips of one month at once: neither sees the other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from include.datasets import DATASETS
from tests.support.pipeline import Pipeline
from tests.support.warehouse_content import query

MONTHS = ("2023-05", "2023-06")


def test_the_same_months_of_both_run_at_once_and_end_as_each_alone(pipeline: Pipeline, tmp_path: Path):
    both = [replace(pipeline, dataset=dataset) for dataset in DATASETS.values()]
    runs = []
    for month in MONTHS:
        for each in both:
            each.publish_file(month)
            runs.append((each, each.trigger(month=month)))
    for each, run_id in runs:
        assert each.wait(run_id) == "success", each.states(run_id)
    for month in MONTHS:
        for each in both:
            assert each.content(month) == each.content_of_a_clean_load(month, tmp_path / each.dataset.name)
    counts = "select dataset, count(distinct source_month) from airflow_default.all_trips"
    found = query(
        pipeline.dsn, f"{counts} where source_month = any(%s::date[]) group by 1", [f"{month}-01" for month in MONTHS]
    )
    assert dict(found) == dict.fromkeys(DATASETS, len(MONTHS))
