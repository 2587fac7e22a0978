"""Celery's executor: two workers that share nothing with the scheduler but the code, one of them killed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import dev.__main__ as commands
from dev.services.airflow_api import instant
from dev.services.celery import hostname
from dev.system.process import BackgroundProcess, inherited_environment
from dev.system.programs import command
from include.alerts.runbook import KILLED, REVISION
from include.settings import ROOT
from tests.support.documents import shows
from tests.support.stack.celery import (
    HEARTBEAT_TIMEOUT,
    MODEL,
    WORKERS,
    celery_pipeline,
    held,
    kill_worker,
    lock_of_model,
    tasks_on,
    worker_of,
)
from tests.support.stack.pipeline import Pipeline

pytestmark = pytest.mark.long

MONTHS = ("2020-09", "2020-10")
LACKS = "This worker would fail its tasks, and ends. What it lacks"


@pytest.fixture(scope="module")
def celery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    given = {"PIPELINE_RETRY_SECONDS": "1", "PIPELINE_RELOAD_RESTATED": "true"}
    with celery_pipeline(tmp_path_factory.mktemp("tlc"), given) as pipeline:
        yield pipeline


@pytest.fixture(scope="module")
def loaded(celery: Pipeline) -> Pipeline:
    """With the months, loaded side by side."""
    for month in MONTHS:
        celery.publish_file(month)
    celery.backfill(*MONTHS)
    return celery


def test_two_workers_make_the_months_and_each_runs_tasks_of_each(loaded: Pipeline, tmp_path: Path):
    for month in MONTHS:
        assert loaded.content(month) == loaded.content_of_a_clean_load(month, tmp_path), month
        run_id = loaded.run_of(month)
        for worker in WORKERS:
            assert tasks_on(loaded, run_id, worker), (worker, month)
        ran = {task["hostname"] for task in loaded.tasks(run_id).values() if task["hostname"]}
        assert ran == {hostname(worker) for worker in WORKERS}


def test_both_workers_logs_are_read_through_the_api(loaded: Pipeline):
    run_id = loaded.run_of(MONTHS[0])
    for worker in WORKERS:
        for task in list(tasks_on(loaded, run_id, worker))[:3]:
            assert "Worker startup parse complete" in loaded.log(run_id, task), (worker, task)


def test_of_a_log_that_is_gone_the_ui_says_that_it_could_not_be_read(loaded: Pipeline):
    run_id, task = loaded.run_of(MONTHS[0]), "load_month"
    [file] = loaded.stack.airflow.home.glob(f"logs/dag_id={loaded.dataset.dag_id}/run_id={run_id}/task_id={task}/*.log")
    away = file.rename(file.with_suffix(".away"))
    try:
        shows("A task's log is missing", "Could not read served logs", loaded.log(run_id, task))
    finally:
        away.rename(file)


def test_a_worker_knows_no_secret_but_the_broker_s_and_that_of_its_results(loaded: Pipeline):
    known = " ".join(value for worker in WORKERS for value in environment_of(loaded, worker).values())
    secrets = vars(loaded.stack.airflow.secrets)
    assert {name for name, secret in secrets.items() if secret in known} == {"broker", "celery"}


def environment_of(pipeline: Pipeline, worker: str) -> dict[str, str]:
    """What the running worker was started with, as the kernel shows it."""
    environment = BackgroundProcess(pipeline.stack.state, worker).environment()
    assert environment is not None
    return environment


def test_every_process_has_what_it_needs(loaded: Pipeline):
    checked = loaded.stack.check()
    assert list(checked) == ["scheduler", *WORKERS]
    for name, done in checked.items():
        assert (done.returncode, "Nothing is missing: " in done.stdout) == (0, True), (name, done.stdout)


def test_a_worker_that_lacks_something_ends_at_once_and_names_it(loaded: Pipeline, tmp_path: Path):
    wrong = environment_of(loaded, WORKERS[0]) | {
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(tmp_path),
        "AIRFLOW_STUDENT": "No Student",
    }
    words = command("airflow", "celery", "worker", "--skip-serve-logs", "--celery-hostname", "wrong")
    ended = subprocess.run(words, env=inherited_environment() | wrong, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 1
    said = ended.stderr
    assert LACKS in said
    shows(REVISION.heading, LACKS, said)
    assert f"[core] plugins_folder is {tmp_path}, which holds no timetable.py" in said
    assert "AIRFLOW_STUDENT='No Student'" in said


def test_a_restated_month_is_loaded_again_once_and_stays_as_it_was_put_back(
    loaded: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    month = MONTHS[1]
    first = loaded.content(month)
    loaded.publish_file(month, version=2)
    assert f"green {month} is restated since" in loaded.ask_the_source()
    run_id = loaded_again(loaded, month)
    assert loaded.wait(run_id) == "success", loaded.states(run_id)
    assert loaded.content(month) == loaded.content_of_a_clean_load(month, tmp_path)

    monkeypatch.setenv("MONTH", month)
    assert commands.restore(loaded.stack) == 0
    made = loaded.stack.api.pages(loaded.paths.runs, "dag_runs")
    assert [run["run_type"] for run in made if run["dag_run_id"].startswith(f"restore__{month}__")] == ["manual"]
    assert loaded.content(month) == first
    assert f"green {month} is restated since" in loaded.ask_the_source()
    assert loaded_again(loaded, month) == run_id


def loaded_again(pipeline: Pipeline, month: str) -> str:
    """The one run that was made since the month was restated."""
    made = pipeline.stack.api.pages(pipeline.paths.runs, "dag_runs")
    [run_id] = [run["dag_run_id"] for run in made if run["dag_run_id"].startswith("restated__")]
    assert run_id.startswith(f"restated__{month}__")
    return str(run_id)


def test_tasks_wait_for_a_deployment_that_reaches_the_workers_late_and_use_up_no_try(loaded: Pipeline):
    """Nothing is restarted: of the workers' copies the DAG files alone are replaced, as some hosts deploy them."""
    month = MONTHS[0]
    run_id, before = loaded.run_of(month), loaded.content(month)
    copies = [loaded.stack.state / "workers" / worker / "project" / "dags" / "pipelines.py" for worker in WORKERS]
    tries = {name: task["try_number"] for name, task in loaded.tasks(run_id).items()}
    whole = copies[0].read_text()
    for file in copies:
        file.write_text(f"{whole}\n# another version\n")
    loaded.clear_run(run_id)
    loaded.wait_for_task(run_id, "wait_for_month", "up_for_reschedule")
    refused = loaded.log(run_id, "wait_for_month", attempt=tries["wait_for_month"] + 1)
    shows(REVISION.heading, "This worker has revision … of the project, and its DAG was drawn from revision …", refused)
    for file in copies:
        file.write_text(whole)
    struck = time.monotonic()
    loaded.wait_for_task(run_id, "wait_for_month", "success")
    print(f"begun again {time.monotonic() - struck:.0f} s after the deployment had reached the workers")
    assert loaded.wait(run_id) == "success"
    assert {name: task["try_number"] - 1 for name, task in loaded.tasks(run_id).items()} == tries
    assert loaded.content(month) == before


def test_a_killed_workers_tasks_run_on_the_other_and_its_logs_stay(loaded: Pipeline):
    month = MONTHS[1]
    run_id, before = loaded.run_of(month), loaded.content(month)
    with held(loaded, lock_of_model(month)):  # so that one task at least is running when its worker is killed
        loaded.clear_run(run_id)
        loaded.wait_for_task(run_id, MODEL, "running")
        worker = worker_of(loaded, run_id, MODEL)
        [other] = set(WORKERS) - {worker}
        hit = tasks_on(loaded, run_id, worker, "running")
        kill_worker(loaded, worker)
        killed = time.time()
    assert loaded.wait(run_id) == "success"
    assert loaded.content(month) == before
    # all but those that had just ended
    again = {name: task for name, task in loaded.tasks(run_id).items() if name in hit and task["try_number"] > 2}
    assert MODEL in again
    shows(KILLED.heading, "the next begins on another worker")
    for name, task in again.items():
        assert task["hostname"] == hostname(other), name
        assert instant(task["start_date"]) - killed < HEARTBEAT_TIMEOUT + 60, name
        # the file that the dead worker wrote, to whichever line it came
        assert "attempt=2.log" in loaded.log(run_id, name, attempt=2), name


COLD = {
    "EXTRA_CELERY_CONFIG": ('{"worker_max_tasks_per_child": 1}', "worker_max_tasks_per_child = 1"),
    "WORKER_AUTOSCALE": ("3,1", "[celery] worker_autoscale is 3,1"),
    "POOL": ("solo", "[celery] pool is solo"),
}


def test_what_makes_celery_s_tasks_cold_is_a_hint():
    """In a process of its own, as Celery's app is configured once in each."""
    own = {"AIRFLOW__CORE__EXECUTOR": "CeleryExecutor", "AIRFLOW__CELERY__RESULT_BACKEND": "db+sqlite://"}
    own |= {f"AIRFLOW__CELERY__{name}": value for name, (value, _) in COLD.items()}
    own |= {"PIPELINE_REPORTS": "/shared", "PYTHONPATH": f"{ROOT}:{ROOT / 'config'}"}
    program = "from include.processes import check; print(*check.celery_warmth(), sep='\\n')"
    done = subprocess.run([sys.executable, "-c", program], env=os.environ | own, capture_output=True, text=True)
    hints = done.stdout.splitlines()
    assert len(hints) == len(COLD), done.stderr
    for hint, (_, said) in zip(hints, COLD.values(), strict=True):
        assert said in hint
