"""`python -m include check` names what a process lacks."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest

from dev.services.airflow import LOCAL_EXECUTOR
from include.processes import check
from include.settings import ROOT
from tests.support.dbt.project_copy import LEFT_OUT

NOBODY = "http://127.0.0.1:9/execution/"


@pytest.fixture(autouse=True)
def as_deployed(monkeypatch):
    """A process that has all it needs, under Airflow's local executor."""
    for name in ("AIRFLOW_STUDENT", "AIRFLOW__CELERY__EXTRA_CELERY_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AIRFLOW__CORE__DAGS_FOLDER", str(ROOT / "dags"))
    monkeypatch.setenv("AIRFLOW__CORE__PLUGINS_FOLDER", str(ROOT / "plugins"))
    monkeypatch.setattr(sys, "path", ["", str(ROOT), str(ROOT / "config"), *sys.path[1:]])


def test_a_process_that_has_all_it_needs_lacks_nothing():
    assert [*check.faults(), *check.hints()] == []


def test_the_executor_that_waits_itself_needs_a_scheduler_that_does_not(monkeypatch):
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", LOCAL_EXECUTOR["CORE__EXECUTOR"])
    [hint] = check.hints()
    assert hint.endswith("idle_sleep_time is 0.5; include/processes/executor.py, which says why, needs 0.05.")
    for name, value in LOCAL_EXECUTOR.items():
        monkeypatch.setenv(f"AIRFLOW__{name}", value)
    assert [*check.faults(), *check.hints()] == []


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("AIRFLOW_STUDENT", "No Student", "AIRFLOW_STUDENT='No Student'"),
        ("PIPELINE_RETRY_SECONDS", "soon", "PIPELINE_RETRY_SECONDS='soon'"),
        ("AIRFLOW__CORE__DAGS_FOLDER", "/nowhere", "[core] dags_folder is /nowhere, which holds no pipelines.py"),
        ("AIRFLOW__CORE__PLUGINS_FOLDER", "/nowhere", "[core] plugins_folder is /nowhere, which holds no timetable.py"),
    ],
)
def test_a_setting_that_cannot_work_is_named(monkeypatch, name: str, value: str, said: str):
    monkeypatch.setenv(name, value)
    [fault] = check.faults()
    assert said in fault


def test_a_path_that_names_not_the_project_is_named(monkeypatch):
    others = [each for each in sys.path if not Path(each or ".").resolve().is_relative_to(ROOT)]
    monkeypatch.setattr(sys, "path", ["", *others])
    [fault] = check.faults()
    assert fault.startswith(f"PYTHONPATH must name {ROOT}")
    assert any(f"PYTHONPATH must name {ROOT / 'config'}" in hint for hint in check.hints())


def test_where_workers_run_tasks_the_api_server_must_answer(monkeypatch):
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "KubernetesExecutor")
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTION_API_SERVER_URL", NOBODY)
    [fault] = check.faults()
    assert fault == f"[core] execution_api_server_url is {NOBODY}: no api-server answers there (ConnectionError)."
    monkeypatch.delenv("AIRFLOW__CORE__EXECUTION_API_SERVER_URL")
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "http://127.0.0.1:9")
    [fault] = check.faults()
    assert "(not set: this is the default)" in fault


@pytest.mark.parametrize(
    ("health", "said"),
    [
        ({"triggerer": {"status": "healthy"}}, []),
        ({"triggerer": {"status": None, "latest_triggerer_heartbeat": None}}, ["No triggerer gives a sign of life"]),
        ({"triggerer": {"status": "unhealthy"}}, ["No triggerer gives a sign of life"]),
        ({"status": "healthy"}, []),
        ([], []),
        (None, []),
    ],
)
def test_a_triggerer_that_is_missing_is_a_hint(monkeypatch, health: object, said: list[str]):
    asked = []

    def answer(url: str, timeout: float) -> SimpleNamespace:
        asked.append(url)
        return SimpleNamespace(json=lambda: health)

    monkeypatch.setenv("AIRFLOW__CORE__EXECUTION_API_SERVER_URL", "http://server.example:8080/execution/")
    monkeypatch.setattr(check.requests, "get", answer)
    found = list(check.hints())
    assert [hint.partition(":")[0] for hint in found] == said
    assert asked == ["http://server.example:8080/api/v2/monitor/health"]


def test_a_proxy_between_tasks_and_the_api_server_is_named(monkeypatch):
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "KubernetesExecutor")
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTION_API_SERVER_URL", NOBODY)
    monkeypatch.setenv("http_proxy", "http://user:S3cret@127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    [fault] = check.faults()
    assert "answers there by the proxy of the environment: name its host in NO_PROXY (ProxyError)" in fault
    assert "S3cret" not in fault
    monkeypatch.setenv("no_proxy", "localhost,127.0.0.1")
    [fault] = check.faults()
    assert "proxy" not in fault


@pytest.mark.long
def test_an_api_server_that_comes_up_while_a_worker_waits_is_enough(monkeypatch):
    class Healthy(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"status": "healthy"}')

        def log_message(self, *words: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Healthy) as server:
        monkeypatch.setenv(
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL", f"http://127.0.0.1:{server.server_port}/execution/"
        )
        # it listens, and answers the third question
        answers = iter(["not yet", "not yet"])
        really = check._unhealthy
        monkeypatch.setattr(check, "_unhealthy", lambda url: next(answers, None) or really(url))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        assert list(check.api(seconds=30)) == []
        server.shutdown()


def test_reports_on_a_worker_s_own_disk_are_a_hint(monkeypatch):
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "KubernetesExecutor")
    monkeypatch.setenv("AIRFLOW__LOGGING__BASE_LOG_FOLDER", "/shared/logs")
    monkeypatch.delenv("PIPELINE_REPORTS", raising=False)
    [hint] = check.hints()
    assert hint.startswith("PIPELINE_REPORTS is not set")
    assert "/shared/logs/reports" in hint
    monkeypatch.setenv("PIPELINE_REPORTS", "/shared/reports")
    assert list(check.hints()) == []


@pytest.mark.parametrize(
    ("setting", "text"),
    [
        ("CORE__LOAD_EXAMPLES", "false"),  # Airflow's own image has it so
        ("CORE__LOAD_EXAMPLES", "FALSE"),
        ("CORE__LOAD_EXAMPLES", "0"),
        ("COSMOS__ENABLE_ORJSON_PARSER", "true"),
        ("SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME", "0.50"),
        ("SCHEDULER__TASK_QUEUED_TIMEOUT", "60 "),
        (
            "CELERY__EXTRA_CELERY_CONFIG",
            '{"task_publish_retry_policy":{"interval_max":0.2,"interval_start":0,"interval_step":0.2,"max_retries":50}}',
        ),
    ],
)
def test_a_setting_that_is_the_project_s_in_other_words_is_no_hint(monkeypatch, setting: str, text: str):
    monkeypatch.setenv(f"AIRFLOW__{setting}", text)
    assert list(check.hints()) == []


@pytest.mark.parametrize(
    ("setting", "text"),
    [
        ("CORE__LOAD_EXAMPLES", "true"),
        ("CORE__LOAD_EXAMPLES", "no"),
        ("SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME", "5"),
        ("CELERY__EXTRA_CELERY_CONFIG", "{}"),
    ],
)
def test_another_value_is_a_hint(monkeypatch, setting: str, text: str):
    monkeypatch.setenv(f"AIRFLOW__{setting}", text)
    [hint] = check.hints()
    section, name = setting.lower().split("__")
    assert hint.startswith(f"[{section}] {name} is {text}; config/airflow.cfg")


def test_a_setting_that_is_not_the_project_s_is_a_hint_and_no_fault(monkeypatch):
    monkeypatch.setenv("AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT", "300")
    assert list(check.faults()) == []
    [hint] = check.hints()
    assert hint.startswith("[scheduler] task_instance_heartbeat_timeout is 300; config/airflow.cfg")


@pytest.mark.long
def test_a_missing_manifest_is_named_and_the_command_that_makes_it(tmp_path: Path):
    copy = tmp_path / "project"
    shutil.copytree(ROOT, copy, ignore=LEFT_OUT)
    own = {"PYTHONPATH": f"{copy}:{copy / 'config'}", "AIRFLOW_CONFIG": str(copy / "config" / "airflow.cfg")}
    own |= {f"AIRFLOW__CORE__{folder.upper()}_FOLDER": str(copy / folder) for folder in ("dags", "plugins")}
    words = [sys.executable, "-m", "include", "check"]
    done = subprocess.run(words, cwd=tmp_path, env=os.environ | own, capture_output=True, text=True)
    assert done.returncode == 1
    manifest = copy / "dbt" / "manifest" / "manifest.json"
    assert done.stdout.splitlines() == [f"{manifest} is missing: python -m include manifest, in {copy}."]


@pytest.mark.long
def test_the_project_is_found_by_pythonpath_also_where_python_leaves_out_the_script_s_folder(tmp_path: Path):
    program = "from include.processes.check import files; assert not [each for each in files() if 'PYTHONPATH' in each]"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-P", "-c", program], cwd=tmp_path, env=environment, check=True)
