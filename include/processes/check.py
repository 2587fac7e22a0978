"""Finds what keeps an Airflow process from running the pipelines, or makes it slow.

`python -m include check`, on the machine and in the environment of the process, prints it line by line. The exit status
is 1 where tasks would fail, or where dbt's manifest is stale, else 0. A Celery worker checks itself when it starts.
"""

from __future__ import annotations

import configparser
import json
import sys
import time
from collections.abc import Iterator
from importlib import import_module
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

import requests
from airflow.configuration import conf
from airflow.executors.base_executor import get_execution_api_server_url
from requests.utils import get_environ_proxies, select_proxy

from include.processes.drift import shared_settings
from include.processes.revision import revision
from include.report.store import reports_place
from include.settings import DBT_MANIFEST, REPORTS, ROOT, SettingError
from include.transform import manifest

# A worker waits so long at its start for an api-server that starts too, which takes 15 to 25 s locally (2 cores).
API_SECONDS = 90
# A pool child that ends after few tasks is replaced by a cold one (docs/explanation/decisions/warm-up.md).
FEW_TASKS = 50
IDLE_SLEEP, BESIDE_RESTING = "scheduler_idle_sleep_time", "0.05"


def end_unfit_worker() -> None:
    """Ends this process, a Celery worker that starts, if its tasks would fail. The message says what it lacks."""
    if faults := [*files(), *settings(), *api(API_SECONDS)]:
        raise SystemExit("\n".join([f"This worker would fail its tasks, and ends. What it lacks, in {ROOT}:", *faults]))


def faults() -> Iterator[str]:
    """Why tasks of a process like this one would fail, or do something else than the grid shows."""
    yield from files()
    yield from stale_manifest()
    yield from settings()
    if not _runs_tasks_itself():
        yield from api()
    if "CeleryExecutor" in _executor():
        yield from celery_servers()


def hints() -> Iterator[str]:
    """What makes a process like this one slow, or differs from what this project was measured with."""
    spec = PathFinder.find_spec("airflow_local_settings", _search_path())
    ours = ROOT / "config" / "airflow_local_settings.py"
    if spec is None or spec.origin is None or Path(spec.origin).resolve() != ours:
        found = spec.origin if spec else "none"
        yield (
            f"PYTHONPATH must name {ours.parent}, before another airflow_local_settings ({found}): else "
            "nothing is warmed up, and each dbt task takes several times the CPU."
        )
    if "CeleryExecutor" in _executor():
        yield from celery_warmth()
    yield from triggerer()
    if not _runs_tasks_itself() and REPORTS.text() is None:
        yield (
            f"{REPORTS.name} is not set: reports go to {reports_place()} of whichever machine writes them, where the "
            "api-server finds them only if both share that folder. Else name a shared one, or an object store."
        )
    project = configparser.ConfigParser(interpolation=None)
    project.read(ROOT / "config" / "airflow.cfg")
    for section in project.sections():
        for name, value in project[section].items():
            why = "config/airflow.cfg, which says why, has"
            if name == IDLE_SLEEP and "RestingLocalExecutor" in _executor():
                why, value = "include/processes/executor.py, which says why, needs", BESIDE_RESTING
            if _meant(own := conf.get(section, name, fallback="not set")) != _meant(value):
                yield f"[{section}] {name} is {own}; {why} {value}."


def _search_path() -> list[str]:
    """Where modules are found, without the folder of the script, which is another in other processes.

    With Python's option -P, or PYTHONSAFEPATH, that folder is not among them.
    """
    return sys.path if sys.flags.safe_path else sys.path[1:]


def files() -> Iterator[str]:
    """Files of the project that are not where Airflow looks for them."""
    if PathFinder.find_spec("include", _search_path()) is None:
        yield f"PYTHONPATH must name {ROOT}: tasks import `include` from there."
    if why := manifest.fault():
        yield f"{DBT_MANIFEST} {why}: python -m include manifest, in {ROOT}."
    for name, file in (("dags_folder", "pipelines.py"), ("plugins_folder", "timetable.py")):
        folder = conf.get("core", name, fallback="")
        if not Path(folder, file).exists() and (name != "dags_folder" or _reads_the_dags_folder()):
            yield f"[core] {name} is {folder}, which holds no {file} of this project."


def stale_manifest() -> Iterator[str]:
    """Whether the DAGs are drawn from another version of the dbt project than dbt runs. No task fails for it."""
    if why := manifest.stale(by_content=True):
        yield f"{DBT_MANIFEST} {why}: python -m include manifest, in {ROOT}."


def settings() -> Iterator[str]:
    """The project's first setting with a value that cannot work."""
    try:
        shared_settings()
    except SettingError as error:
        yield str(error)


def api(seconds: float = 0) -> Iterator[str]:
    """The api-server, which tasks report to, where it does not answer within so many seconds."""
    url = get_execution_api_server_url()
    deadline = time.monotonic() + seconds
    while (why := _unhealthy(url)) and time.monotonic() < deadline:
        time.sleep(1)
    if why:
        known = "" if conf.get("core", "execution_api_server_url", fallback="") else " (not set: this is the default)"
        by = " by the proxy of the environment: name its host in NO_PROXY" if _by_proxy(url) else ""
        yield f"[core] execution_api_server_url is {url}{known}: no api-server answers there{by} ({why})."


def triggerer() -> Iterator[str]:
    """Airflow's triggerer, where the api-server answers and has no sign of life of one."""
    url = get_execution_api_server_url().rstrip("/").removesuffix("/execution")
    try:
        status = requests.get(f"{url}/api/v2/monitor/health", timeout=5).json()["triggerer"]["status"]
    except (requests.RequestException, ValueError, LookupError, TypeError):
        return  # where workers need it, `api` says so
    if status != "healthy":
        yield (
            "No triggerer gives a sign of life: the DAG taxi_restatements waits for one, and restated months are not "
            "found. Run `airflow triggerer`, with the environment of the other processes."
        )


def celery_servers() -> Iterator[str]:
    """Celery's broker and result backend, where they do not answer. Passwords are not shown."""
    if not conf.get("celery", "result_backend", fallback=""):
        yield "[celery] result_backend is not set: a worker would need the metadata database."
    else:
        try:
            _celery().backend.ResultSession().close()
        except Exception as error:
            yield f"[celery] result_backend does not answer: {type(error).__name__}: {str(error).splitlines()[0]}"
    try:
        with _celery().connection_for_read() as connection:
            connection.ensure_connection(max_retries=1, interval_start=1)
    except Exception as error:
        yield f"[celery] broker_url: the broker does not answer: {str(error).splitlines()[0]}"


def celery_warmth() -> Iterator[str]:
    """Settings with which a worker's pool children do not stay warm."""
    tasks = _celery().conf.worker_max_tasks_per_child
    if tasks and tasks < FEW_TASKS:
        yield (
            f"[celery] extra_celery_config has worker_max_tasks_per_child = {tasks}: children that end "
            "after few tasks are replaced by cold ones, whose tasks take more CPU. Leave it out."
        )
    if scale := conf.get("celery", "worker_autoscale", fallback=""):
        yield (
            f"[celery] worker_autoscale is {scale}: pool children end when it scales down, and new ones are cold. Set "
            "worker_concurrency instead, and let KEDA add workers."
        )
    if (pool := conf.get("celery", "pool", fallback="prefork")) != "prefork":
        yield f"[celery] pool is {pool}: tasks inherit the warm-up only from prefork."


def _meant(text: str) -> Any:
    """A setting's value, however it is written: Airflow reads `false` as `False`, and Airflow's image has the first."""
    try:
        return json.loads(text.strip().lower())
    except ValueError:
        return text


def _celery() -> Any:
    """Celery's app, as Airflow configures it. Imported here, as only a CeleryExecutor needs the provider."""
    return import_module("airflow.providers.celery.executors.celery_executor").app


def _executor() -> str:
    return conf.get("core", "executor")


def _runs_tasks_itself() -> bool:
    return "LocalExecutor" in _executor()


def _reads_the_dags_folder() -> bool:
    """Whether DAGs come from the DAGs folder, and not from another kind of bundle, such as git's."""
    return "LocalDagBundle" in conf.get("dag_processor", "dag_bundle_config_list", fallback="LocalDagBundle")


def _unhealthy(url: str) -> str:
    """Why no api-server answers at the address; empty where one does."""
    try:
        answer = requests.get(f"{url.rstrip('/')}/health", timeout=5)
        return "" if answer.ok and "healthy" in answer.text else f"it answers {answer.status_code}"
    except requests.RequestException as error:
        return type(error).__name__


def _by_proxy(url: str) -> bool:
    """Whether a task's process asks the address by a proxy. Airflow's client has the rules of requests for that."""
    return select_proxy(url, get_environ_proxies(url)) is not None


def main() -> int:
    """Prints faults and hints. Returns the exit status."""
    found, slow = list(faults()), list(hints())
    for line in found + slow:
        print(line)
    if not found + slow:
        in_effect = [*(f"{each.name}={each.value}" for each in shared_settings()), f"revision={revision()}"]
        print(f"Nothing is missing: {', '.join(in_effect)}; executor {_executor()}")
    return 1 if found else 0
