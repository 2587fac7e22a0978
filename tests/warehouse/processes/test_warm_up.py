"""What a task inherits from the process it is forked from."""

from __future__ import annotations

import cProfile
import gc
import importlib
import inspect
import os
import pstats
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import FunctionType

import psutil
import pytest
from dbt.cli.main import dbtRunner
from mashumaro.core.meta.code import builder

from include.processes.warm_up import warm_up
from include.settings import DBT_PROFILES, DBT_PROJECT, ROOT
from include.transform.parse_cache import ENVIRONMENT, parse_of_run, parse_project
from tests.support.helpers import ends_well, fork

pytestmark = pytest.mark.long

OF_A_RUN = ENVIRONMENT | {"PG_SCHEMA": "airflow_test", "PG_RUN_SCHEMA": "airflow_test_20240101"}
SKIPS_MODULE = "sys.argv = ['airflow', *sys.argv[3:]]"  # as `python -m airflow` has it
MONTH = ("--vars", "{ds: 2024-01-01}")


def test_a_forked_process_inherits_compiled_macros_and_every_module_s_path(tmp_path: Path, monkeypatch):
    # as Airflow does: what forks was loaded after the warm-up
    (tmp_path / "loaded_after_the_warm_up.py").write_text("def call(function, *arguments): return function(*arguments)")
    monkeypatch.syspath_prepend(tmp_path)

    def inherited() -> None:
        from dbt_common.clients.jinja import template_cache

        assert len(template_cache.file_cache) > 300  # of some 500
        assert str(tmp_path / "loaded_after_the_warm_up.py") in inspect.modulesbyfile

    def warm_then_fork() -> None:
        warm_up()
        loaded_later = importlib.import_module("loaded_after_the_warm_up")
        ends_well(loaded_later.call(fork, inherited))

    ends_well(fork(warm_then_fork))


def own_memory() -> float:
    """Of this process, in MiB, without what it shares with another."""
    return psutil.Process().memory_full_info().uss / 2**20


def test_workers_share_the_memory_of_the_process_that_forked_them_and_do_so_after_they_have_forked_a_task():
    def worker() -> None:
        before = own_memory()
        ends_well(fork(lambda: None))
        assert own_memory() - before < 8  # 2; and 25 with an inspect.stack() before the fork

    def fork_workers() -> None:
        idle = fork(signal.pause)
        try:
            before = own_memory()
            ends_well(fork(worker))
            assert own_memory() - before < 8  # the same, where another worker is forked
        finally:
            idle.kill()

    def warm_then_fork() -> None:
        warm_up()
        gc.freeze()  # as LocalExecutor does
        # a frame of no module, of which `python -m airflow` has two
        FunctionType(compile("fork_workers()", "<nowhere>", "exec"), {"fork_workers": fork_workers})()

    ends_well(fork(warm_then_fork))


def in_a_fork_of_a_warm_process(task: Callable[[], None]) -> None:
    def warm_then_fork() -> None:
        warm_up()
        ends_well(fork(task))

    ends_well(fork(warm_then_fork))


def test_a_task_forked_from_a_warm_process_can_parse_the_project(tmp_path: Path):
    def parse() -> None:
        assert parse_project(tmp_path / "target", OF_A_RUN, *MONTH).success

    in_a_fork_of_a_warm_process(parse)
    assert (tmp_path / "target" / "partial_parse.msgpack").exists()


def test_what_was_changed_since_is_parsed_by_whoever_forks_tasks_and_not_by_each_task(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    project = tmp_path / "dbt"
    shutil.copytree(DBT_PROJECT, project, ignore=shutil.ignore_patterns("target", "logs"))
    for module in ("include.transform.parse_cache", "include.transform.manifest"):
        monkeypatch.setattr(f"{module}.DBT_PROJECT", project)

    def task() -> None:
        assert parse_of_run(OF_A_RUN) is not None

    def worker() -> None:  # as the executor's, which is forked from the process that warmed up
        task()
        os.utime(project / "dbt_project.yml")
        assert parse_of_run(OF_A_RUN) is None
        for _ in range(2):
            ends_well(fork(task))

    def warm_then_fork() -> None:
        warm_up()
        os.utime(project / "dbt_project.yml")  # while there was no worker
        ends_well(fork(worker))

    ends_well(fork(warm_then_fork))


def test_a_task_forked_from_a_warm_process_writes_no_serializer(tmp_path: Path):
    """mashumaro writes one, in Python, for each class that dbt serializes for the first time in a process."""

    def list_nodes() -> None:
        os.environ |= OF_A_RUN
        quiet = ["--quiet", "--log-level-file", "none", "--no-write-json", "--no-static-parser"]
        places = ["--project-dir", DBT_PROJECT, "--profiles-dir", DBT_PROFILES.parent, "--target-path", tmp_path]
        # as `dbt run` does, it sums up the graph
        command = [*quiet, "list", *map(str, places), *MONTH]
        with cProfile.Profile() as profile:
            assert dbtRunner().invoke(command).success
        written = [key for key in pstats.Stats(profile).stats if key[0] == builder.__file__ and key[2] == "compile"]
        assert written == []

    in_a_fork_of_a_warm_process(list_nodes)


def warmed_up(executor: str, *command: str) -> bool:
    """Whether a process of this command, in an interpreter of its own, has loaded the warm-up."""
    program = f"import sys; sys.argv = {['airflow', *command]!r}; import airflow_local_settings; "
    program += "print('include.processes.warm_up' in sys.modules)"
    own = {"PYTHONPATH": f"{ROOT}:{ROOT / 'config'}", "AIRFLOW__CORE__EXECUTOR": executor}
    done = subprocess.run([sys.executable, "-c", program], env=os.environ | own, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1] == "True"


def said_by(program: str, *words: str) -> int:
    """The number that a process of this command line prints last, in which Airflow's local settings are read before."""
    given = f"import sys; sys.orig_argv[1:] = sys.argv[1:]; {SKIPS_MODULE}; import airflow_local_settings, gc, os"
    own = {"PYTHONPATH": f"{ROOT}:{ROOT / 'config'}"}
    done = subprocess.run(
        [sys.executable, "-c", f"{given}; {program}", *words], env=os.environ | own, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout.splitlines()[-1])


@pytest.mark.parametrize(
    ("words", "seldom"),
    [
        (["airflow.sdk.execution_time.execute_workload", "--json-path", "a file"], True),
        (["airflow", "tasks", "test"], True),
        (["airflow", "tasks", "list"], False),
        (["airflow", "api-server"], False),
    ],
)
def test_a_task_that_inherits_nothing_seldom_looks_for_garbage(words: list[str], seldom: bool):
    found = said_by("print(gc.get_threshold()[0])", "-m", *words)
    assert (found == 100_000) == seldom


@pytest.mark.parametrize(("command", "frozen"), [("triggerer", True), ("api-server", False)])
def test_the_triggerer_forks_with_all_that_it_has_loaded_frozen(command: str, frozen: bool):
    fork = "child = os.fork(); child or (print(gc.get_freeze_count(), flush=True), os._exit(0)); os.waitpid(child, 0)"
    found = said_by(fork, "-m", "airflow", command)
    assert (found > 100_000) == frozen


@pytest.mark.parametrize(
    ("executor", "command", "warm"),
    [
        ("LocalExecutor", ["scheduler", "--skip-serve-logs"], True),
        ("CeleryExecutor", ["scheduler"], False),
        ("CeleryExecutor", ["celery", "flower"], False),
        ("CeleryExecutor", ["celery", "list-workers"], False),
        ("CeleryExecutor", ["celery", "stop"], False),
        ("LocalExecutor", ["api-server"], False),
    ],
)
def test_only_what_forks_tasks_warms_up(executor: str, command: list[str], warm: bool):
    assert warmed_up(executor, *command) == warm
