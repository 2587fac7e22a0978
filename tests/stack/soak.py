"""Long runs on the whole stack, `make soak [ROUNDS=10]`: for what a short test would meet only by luck."""

from __future__ import annotations

import hashlib
import os
import random
import time
from pathlib import Path

from dev.runs.backfill import Backfill, months_between
from dev.services.postgres import EmbeddedPostgres
from include.datasets import GREEN
from tests.support.dbt.histories import run_histories
from tests.support.dbt.project import ROWS
from tests.support.postgres.cutting_proxy import CuttingProxy
from tests.support.postgres.warehouse_content import PUBLISHED, RAW, content, drop_schemas, query
from tests.support.stack.pipeline import Pipeline
from tests.support.stack.pipeline_histories import tell_a_history

ROUNDS = int(os.environ.get("ROUNDS") or 10)
YEAR = months_between(GREEN, "2023-01", "2023-12")
MONTH = "2024-03"


def fingerprint(dsn: str) -> str:
    return hashlib.sha256(repr(content(dsn, RAW + PUBLISHED)).encode()).hexdigest()[:16]


def test_a_year_four_months_side_by_side_into_an_empty_database(pipeline: Pipeline):
    for month in YEAR:
        pipeline.publish_file(str(month))
    results = set()
    for number in range(1, ROUNDS + 1):
        drop_schemas(pipeline.dsn, "^airflow_default")
        began = time.monotonic()
        backfill = Backfill(pipeline.stack.api, GREEN, YEAR)
        backfill.create(parallel=4, reprocess="completed")
        outcome = backfill.follow()
        results.add(fingerprint(pipeline.dsn))
        print(f"round {number}: {len(YEAR)} months in {time.monotonic() - began:.0f} s, content {sorted(results)}")
        assert outcome.failed == []
        tries = {
            (name, task["state"], task["try_number"])
            for month in YEAR
            for name, task in pipeline.tasks(pipeline.run_of(str(month))).items()
        }
        # 0: Airflow does not start a task that only stands for a source
        assert [each for each in tries if each[1] != "success" or each[2] not in (0, number)] == []
        rows = query(pipeline.dsn, "select count(*), sum(rows_in_file) from airflow_default.fct_months")
        assert rows == [(len(YEAR), len(YEAR) * ROWS)]
    assert len(results) == 1


def test_one_month_started_four_times_at_once(pipeline: Pipeline, tmp_path: Path):
    pipeline.publish_file(MONTH)
    pipeline.backfill(MONTH)
    scheduled = pipeline.run_of(MONTH)
    for number in range(1, ROUNDS + 1):
        pipeline.publish_file(MONTH, version=number + 1)
        expected = pipeline.content_of_a_clean_load(MONTH, tmp_path)
        began = time.monotonic()
        pipeline.clear_run(scheduled)
        runs = [scheduled, *(pipeline.trigger(month=MONTH) for _ in range(3))]
        states = [pipeline.wait(run) for run in runs]
        print(f"round {number}: 4 runs of {MONTH} in {time.monotonic() - began:.0f} s: {', '.join(states)}")
        assert states == ["success"] * 4, [pipeline.states(run) for run in runs]
        assert content(pipeline.dsn, month=MONTH) == expected
        raw = query(
            pipeline.dsn, "select count(*) from airflow_default.raw_trips where source_month = %s", f"{MONTH}-01"
        )
        assert raw == [(ROWS,)]


def test_histories_on_the_whole_stack(pipeline: Pipeline, tmp_path: Path):
    for number in range(2, ROUNDS + 2):
        tell_a_history(pipeline, tmp_path, random.Random(number))  # noqa: S311
        print(f"history {number} of the whole stack")


def test_histories_not_drawn_before(postgres: EmbeddedPostgres, proxy: CuttingProxy, tmp_path: Path):
    run_histories(postgres, proxy, tmp_path, GREEN, examples=5 * ROUNDS, steps=10, derandomize=False)
