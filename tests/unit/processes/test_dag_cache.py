"""The DAGs that tasks are handed by the process that they are forked from."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import DAG

from include.datasets import DATASETS
from include.processes import dag_cache as module
from include.processes.dag_cache import cache_dags, cached_dags, renew_dags
from include.processes.warm_up import read_dag_files
from include.settings import DBT_MANIFEST, ROOT

PIPELINES = ROOT / "dags" / "pipelines.py"


@pytest.fixture(autouse=True)
def nothing_cached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_cached", {})


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the DAG file, whose DAGs are cached, and of the manifest."""
    manifest = tmp_path / "manifest.json"
    shutil.copy2(DBT_MANIFEST, manifest)
    monkeypatch.setattr(module, "DBT_MANIFEST", manifest)
    copy = tmp_path / "pipelines.py"
    shutil.copy2(PIPELINES, copy)
    cache_dags(copy)
    return copy


def test_they_are_those_that_the_file_draws(file: Path):
    drawn = DagBag(PIPELINES, load_op_links=False).dags
    handed = DagBag(file, load_op_links=False).dags
    cached = cached_dags(str(file))
    assert handed.keys() == drawn.keys() == cached.keys() == {each.dag_id for each in DATASETS.values()}
    for dag_id, dag in handed.items():
        assert dag is cached[dag_id]
        assert dag is not drawn[dag_id]
        assert content(dag) == content(drawn[dag_id])


def content(dag: DAG) -> dict[str, object]:
    return {
        task.task_id: (
            task.task_type,
            task.downstream_task_ids,
            [asset.uri for asset in (*task.inlets, *task.outlets)],
            [getattr(task, name) for name in task.template_fields],
        )
        for task in dag.tasks
    }


CHANGES: dict[str, Callable[[Path], object]] = {
    "the file edited": lambda file: file.write_text(f"{file.read_text()}\n"),
    "the file put back as it was, later": os.utime,
    "the file taken away": Path.unlink,
    "another manifest": lambda file: os.utime(file.parent / "manifest.json"),
    "no manifest": lambda file: (file.parent / "manifest.json").unlink(),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_they_are_not_handed_on_once_the_file_or_the_manifest_was_changed(file: Path, change: Callable[[Path], object]):
    assert cached_dags(str(file))
    change(file)
    assert cached_dags(str(file)) == {}


def test_they_are_drawn_anew_once_after_a_change(file: Path):
    before = cached_dags(str(file))
    renew_dags(file)
    assert cached_dags(str(file)) == before
    os.utime(file.parent / "manifest.json")
    renew_dags(file)
    after = cached_dags(str(file))
    assert after.keys() == before.keys()
    assert all(after[dag_id] is not before[dag_id] for dag_id in after)
    renew_dags(file)
    assert all(cached_dags(str(file))[dag_id] is after[dag_id] for dag_id in after)


def test_a_file_that_cannot_be_read_is_not_tried_again_until_it_is_changed(file: Path):
    log = file.with_name("read")
    file.write_text(f"open({str(log)!r}, 'a').write('once ')\nraise ValueError('x')")
    with pytest.raises(ValueError, match="x"):
        renew_dags(file)
    renew_dags(file)
    assert log.read_text() == "once "
    assert cached_dags(str(file)) == {}


def test_another_file_gets_none(file: Path):
    assert cached_dags(str(PIPELINES)) == {}


def test_the_dag_processor_caches_none():
    read_dag_files()
    assert cached_dags(str(PIPELINES)) == {}
