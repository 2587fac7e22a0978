"""What the local stack does with a manifest that it has made anew: to Celery's workers, and to the DAG processor."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dev.services import celery as celery_workers
from dev.services.airflow_api import AirflowApi
from dev.services.celery import CeleryWorkers
from dev.stack.manifest_maker import draw_dags
from include.settings import DBT_MANIFEST, ROOT

DAGS = [{"file_token": "of-pipelines"}, {"file_token": "of-pipelines"}, {"file_token": "of-reports"}]


@pytest.fixture
def asked() -> Iterator[tuple[AirflowApi, list[str]]]:
    """A server in the place of Airflow's API, and what it was asked for."""
    paths: list[str] = []

    class Airflow(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps({"dags": DAGS, "total_entries": len(DAGS)}).encode())

        def do_PUT(self) -> None:
            paths.append(self.path)
            self.send_response(201)
            self.end_headers()

        def log_message(self, *words: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Airflow) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield AirflowApi(f"http://127.0.0.1:{server.server_port}", "admin", "password"), paths
        server.shutdown()


def stack_of(api: AirflowApi) -> Any:
    return SimpleNamespace(api=api)


def test_the_dag_processor_is_told_to_read_each_dag_file_once(asked: tuple[AirflowApi, list[str]]):
    api, paths = asked
    draw_dags(stack_of(api))
    assert sorted(paths) == ["/api/v2/parseDagFile/of-pipelines", "/api/v2/parseDagFile/of-reports"]


def test_an_airflow_that_does_not_answer_ends_nothing(capsys: pytest.CaptureFixture[str]):
    draw_dags(stack_of(AirflowApi("http://127.0.0.1:9", "admin", "password")))
    assert "Airflow's API does not answer" in capsys.readouterr().out


@pytest.fixture
def worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The copy of the project that a worker was started with; the project itself is in `project`."""
    for folder in (tmp_path / "project", tmp_path / "workers" / "worker-1" / "project"):
        for name in (
            "dbt/models/old.sql",
            "dbt/models/kept.sql",
            "dbt/manifest/manifest.json",
            "profiles/profiles.yml",
        ):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text("as it was")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "worker-1.json").write_text("{}")
    monkeypatch.setattr(celery_workers, "ROOT", tmp_path / "project")
    monkeypatch.setattr(celery_workers, "DBT_MANIFEST", tmp_path / "project" / DBT_MANIFEST.relative_to(ROOT))
    return tmp_path / "workers" / "worker-1" / "project"


def test_a_worker_s_copy_becomes_the_dbt_project_of_now_and_its_manifest_last(
    tmp_path: Path, worker: Path, monkeypatch: pytest.MonkeyPatch
):
    project, replaced = tmp_path / "project", []
    (project / "dbt/models/old.sql").unlink()
    for name in ("dbt/models/kept.sql", "dbt/models/new/a.sql", "dbt/manifest/manifest.json", "profiles/profiles.yml"):
        (project / name).parent.mkdir(exist_ok=True)
        (project / name).write_text("edited")
    (project / "dbt/target").mkdir()
    (project / "dbt/target/run.json").write_text("no part of it")
    really = Path.replace
    monkeypatch.setattr(Path, "replace", lambda file, to: replaced.append(to.name) or really(file, to))
    CeleryWorkers(tmp_path).renew_dbt()
    found = {str(file.relative_to(worker)): file.read_text() for file in worker.rglob("*") if file.is_file()}
    assert found == dict.fromkeys(
        ("dbt/models/kept.sql", "dbt/models/new/a.sql", "dbt/manifest/manifest.json", "profiles/profiles.yml"), "edited"
    )
    assert replaced[:3][-1] == "manifest.json", replaced
    states = [(folder / "dbt/models/kept.sql").stat().st_mtime_ns for folder in (worker, project)]
    assert states[0] == states[1], "so that the manifest's times are those of the copy"
