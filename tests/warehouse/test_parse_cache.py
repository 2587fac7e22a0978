"""dbt's parse: made once for each run schema."""

from __future__ import annotations

import os
import time
from datetime import timedelta
from pathlib import Path

import pytest
from airflow.dag_processing.dagbag import DagBag

from include import parse_cache
from include.locked import locked
from include.parse_cache import KEPT_AT_MOST, KEPT_FOR, prune, use_parse_cache
from include.settings import DBT_MANIFEST, ROOT
from tests.support.helpers import ends_well, fork

SCHEMA = "airflow_test_20240101"


@pytest.fixture
def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(parse_cache, "cache_dir", tmp_path)
    monkeypatch.setenv("AIRFLOW_CONN_AZURE_PG", "postgresql://nobody:nothing@127.0.0.1:1/nowhere")
    return tmp_path


@pytest.fixture
def parsed(caches: Path) -> Path:
    """What dbt parsed for the run schema, once it has."""
    return caches / SCHEMA / "target" / "partial_parse.msgpack"


@pytest.fixture(scope="module")
def task():
    """A dbt task of the DAG as it is when Airflow has rendered it."""
    task = DagBag(ROOT / "dags" / "pipelines.py", load_op_links=False).dags["taxi_pipeline"].task_dict
    operator = task["build.int_zones.run"]
    operator.env, operator.vars = {"PG_SCHEMA": "airflow_test", "PG_RUN_SCHEMA": SCHEMA}, {"ds": "2024-01-01"}
    return operator


def test_the_first_task_of_a_run_schema_parses_and_the_next_one_does_not(task, parsed: Path):
    ends_well(fork(use_parse_cache, {}, task))
    first = parsed.stat()
    ends_well(fork(use_parse_cache, {}, task))
    assert parsed.stat().st_mtime_ns == first.st_mtime_ns


def test_a_task_beside_the_one_that_parses_waits_and_uses_what_that_one_made(task, parsed: Path):
    parsed.parent.mkdir(parents=True)
    with locked(parsed.parents[1] / "lock"):
        second = fork(use_parse_cache, {}, task)
        second.join(1)
        assert second.is_alive()
        parsed.write_text("made by the first")
    ends_well(second)
    assert parsed.read_text() == "made by the first"


def test_a_project_deployed_since_is_parsed_anew(task, parsed: Path):
    parsed.parent.mkdir(parents=True)
    parsed.write_text("of the project before")
    os.utime(parsed, (0, DBT_MANIFEST.stat().st_mtime - 1))
    ends_well(fork(use_parse_cache, {}, task))
    assert parsed.read_bytes() != b"of the project before"


def test_caches_not_written_for_long_and_the_oldest_of_many_are_dropped(tmp_path: Path):
    now = time.time()
    ages = [timedelta(minutes=number).total_seconds() for number in range(KEPT_AT_MOST + 1)]
    ages[1] = (KEPT_FOR + timedelta(minutes=1)).total_seconds()
    for number, age in enumerate(ages):
        parsed = tmp_path / str(number) / "target" / "partial_parse.msgpack"
        parsed.parent.mkdir(parents=True)
        parsed.touch()
        os.utime(parsed, (0, now - age))
    prune(tmp_path)
    assert not (tmp_path / "1" / "target").exists()
    assert len(list(tmp_path.glob("*/target"))) == KEPT_AT_MOST
    (tmp_path / "new" / "target").mkdir(parents=True)
    (tmp_path / "new" / "target" / "partial_parse.msgpack").touch()
    prune(tmp_path)
    assert (tmp_path / "new" / "target").exists()
    assert not (tmp_path / str(KEPT_AT_MOST) / "target").exists()
