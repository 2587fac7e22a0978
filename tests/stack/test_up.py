"""`make up` on a stack that runs, after the manifest its DAG is drawn from was damaged or made anew."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from dev.airflow_api import instant
from dev.errors import StackError
from include.datasets import GREEN
from include.settings import DBT_MANIFEST
from tests.support.pipeline import Pipeline


def make_manifest() -> None:
    # in a process of its own: dbt in this one would start threads that no later fork survives
    subprocess.run([sys.executable, "-m", "include.manifest"], check=True)


def dag(pipeline: Pipeline) -> dict:
    return pipeline.stack.api.call("GET", f"/dags/{GREEN.dag_id}")


def test_the_error_of_a_manifest_that_was_damaged_is_not_that_of_the_one_made_since(pipeline: Pipeline):
    stack = pipeline.stack
    try:
        DBT_MANIFEST.write_bytes(DBT_MANIFEST.read_bytes()[:1000])
        with pytest.raises(StackError, match=r"is damaged, and the DAG is drawn from it. .*-m include\.manifest"):
            stack.up(stack.choices)
        assert [error for error in stack.api.pages("/importErrors", "import_errors") if error["stack_trace"]]
    finally:
        make_manifest()
    made = time.time()
    stack.up(stack.choices)
    assert list(stack.api.pages("/importErrors", "import_errors")) == []
    found = dag(pipeline)
    assert (found["is_stale"], found["has_import_errors"]) == (False, False)
    assert instant(found["last_parsed_time"]) > made


def test_a_manifest_made_anew_is_drawn_before_up_returns(pipeline: Pipeline):
    make_manifest()
    made, began = DBT_MANIFEST.stat().st_mtime, time.monotonic()
    pipeline.stack.up(pipeline.stack.choices)
    found = dag(pipeline)
    assert instant(found["last_parsed_time"]) - found["last_parse_duration"] >= made
    assert time.monotonic() - began < 25, "asked for, not waited for: Airflow reads the file again after 30 s"
