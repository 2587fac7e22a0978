"""What a command says of a run that failed: each failed task, why, and where to look."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from dev.runs.manual_run import REASON, print_failed_tasks
from dev.services.airflow_api import AirflowApi, DagPaths
from include.failures.reason import KEY

TASKS = {"task_instances": [{"task_id": "load_month"}, {"task_id": "build.x"}], "total_entries": 2}
ANSWERS = {
    "/api/v2/dags/d/dagRuns/r/taskInstances": TASKS,
    "/api/v2/dags/d/dagRuns/r/taskInstances/load_month/xcomEntries/" + KEY: {"value": "DownloadError: [no] host"},
}


class Airflow(BaseHTTPRequestHandler):
    """Answers as Airflow's API does; 404 for what is not there."""

    def do_GET(self) -> None:
        answer = ANSWERS.get(self.path.partition("?")[0])
        self.send_response(200 if answer else 404)
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())

    def log_message(self, *words: object) -> None:
        pass


def test_the_reason_is_looked_up_where_it_is_kept():
    assert REASON == KEY


def test_each_failed_task_is_told_with_its_reason(capsys: pytest.CaptureFixture[str]):
    with HTTPServer(("127.0.0.1", 0), Airflow) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        api = AirflowApi(f"http://127.0.0.1:{server.server_port}", "admin", "password")
        print_failed_tasks(api, DagPaths("d"), "r")
        server.shutdown()
    load, loads_page, build, builds_page = capsys.readouterr().out.splitlines()
    assert load.strip() == "load_month failed: DownloadError: [no] host"
    assert build.strip() == "build.x failed: no reason was kept, as for a task that is killed"
    assert loads_page.endswith("/dags/d/runs/r/tasks/load_month")
    assert builds_page.endswith("/dags/d/runs/r/tasks/build.x")
