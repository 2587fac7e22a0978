"""The image of deploy/Dockerfile, on a stand-in base: what it holds, and a month that it loads as a nameless user.

`make test-image` runs them, no other command does: they take root, buildah, debootstrap and some minutes. The stand-in
has Debian's Python and the newest providers, where Airflow's own image has Python 3.12 and those of its release.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import psycopg
import requests
import yaml

from dev.services.postgres import EmbeddedPostgres
from dev.system.ports import LOOPBACK, reserved_port
from dev.tlc.mirror import TlcMirror
from include.settings import ROOT
from tests.image.conftest import ENTRYPOINT, OF_A_CLONE, RANDOM_USER, Container, buildah
from tests.support.dbt.project import Project
from tests.support.postgres.warehouse_content import content
from tests.support.postgres.warehouses import warehouse
from tests.support.until import until

MONTH = "2024-01"
TEST_PACKAGES = "hypothesis pytest trustme"
PYTEST = "python -m pytest -q -p no:cacheprovider -m 'not long'"
VALUES = yaml.safe_load((ROOT / "deploy/helm/values.yaml").read_text())
WITHOUT_BYTECODE = """
import airflow, importlib.util, pathlib
files = [f for f in pathlib.Path(airflow.__file__).parent.rglob("*.py") if "/providers/" not in str(f)]
lacking = [f for f in files if not pathlib.Path(importlib.util.cache_from_source(str(f))).exists()]
print(len(files), len(lacking))
"""


def test_it_holds_what_a_process_needs_and_nothing_else_of_the_clone(container: Container):
    found = set(container.run("ls", "-A", "/opt/airflow").split())
    assert found == {"config", "dags", "dbt", "include", "plugins", "profiles", "logs"}
    for path in OF_A_CLONE:
        assert container.run("sh", "-c", f"ls /opt/airflow/{path} 2>&1 || true").endswith("No such file or directory\n")


def test_its_packages_fit_together(container: Container):
    assert container.run("pip", "check").endswith("No broken requirements found.\n")


def test_airflow_itself_has_bytecode(container: Container):
    files, lacking = map(int, container.run("python", "-c", WITHOUT_BYTECODE).split()[-2:])
    assert files > 500
    assert lacking <= files // 100  # templates in Python's clothes


def test_a_user_without_a_name_can_make_the_manifest_anew_and_change_no_code(container: Container):
    container.run("python", "-m", "include", "manifest")
    container.run("python", "-m", "include", "docs")
    for folder in ("config", "dags", "dbt/models", "include", "plugins", "profiles"):
        container.run("sh", "-c", f"test -r /opt/airflow/{folder} && ! test -w /opt/airflow/{folder}")


def test_a_month_is_loaded_in_it_and_equals_a_clean_load(
    container: Container, clone: Path, postgres: EmbeddedPostgres, tlc: TlcMirror, tmp_path: Path
):
    """As the chart has it, but for the executor and the store of logs: its settings, and a user without a name."""
    port = reserved_port(tmp_path / "port")
    with (
        warehouse(postgres, "warehouse_of_the_image") as dsn,
        warehouse(postgres, "warehouse_of_a_clean_load") as clean,
    ):
        project = Project(clean, tlc, tmp_path / "target")
        project.load(MONTH)
        environment = environment_of(postgres, dsn, tlc.url, port)
        container.run(*ENTRYPOINT, "db", "migrate", **environment)
        for name in ("api-server", "scheduler", "dag-processor", "triggerer"):
            container.start(name, log=tmp_path / f"{name}.log", **environment)

        def logs() -> str:
            return "\n".join(f"{log.name}:\n{log.read_text()[-3000:]}" for log in tmp_path.glob("*.log"))

        def state_of(query: str) -> str | None:
            assert container.all_run(), logs()
            with psycopg.connect(postgres.dsn("airflow", "airflow")) as connection:
                found = connection.execute(query).fetchone()
                return found and found[0]

        drawn = "select dag_id from serialized_dag where dag_id = 'taxi_pipeline'"
        until(lambda: state_of(drawn), seconds=240, besides=logs)
        dates = ["--from-date", f"{MONTH}-01", "--to-date", f"{MONTH}-01"]
        container.run(*ENTRYPOINT, "backfill", "create", "--dag-id", "taxi_pipeline", *dates, **environment)
        # the runs of this test alone: PIPELINE_SCHEDULE_FROM keeps the schedule from beginning one
        run = "select state from dag_run where dag_id = '{}' order by id desc limit 1"
        for dag in ("taxi_pipeline", "taxi_report"):
            ended = until(lambda dag=dag: state_of(run.format(dag)), ended_one, seconds=400, besides=logs)
            assert ended == "success", logs()
        login = requests.get(f"http://{LOOPBACK}:{port}/auth/token", timeout=30).json()["access_token"]
        page = requests.get(
            f"http://{LOOPBACK}:{port}/ledger/reports/green/{MONTH}",
            headers={"Authorization": f"Bearer {login}"},
            timeout=60,
        )
        assert page.status_code == 200, page.text
        assert "January 2024" in page.text or MONTH in page.text
        lacks = container.run("sh", "-c", "python -m include check 2>/dev/null", **environment).splitlines()
        container.stop()

        # The scheduler, which would take the tasks for its own, stays stopped.
        container.start("api-server", log=tmp_path / "api-server.log", **environment)
        until(lambda: _answers(port), seconds=60, besides=logs)
        run_id = state_of("select run_id from dag_run where dag_id = 'taxi_pipeline' order by id desc limit 1")
        buildah("copy", "--chown", RANDOM_USER, container.id, clone, "/clone")
        for _ in range(3):
            for task in ("build.int_trips_judged.run", "build.int_trips_judged.test"):
                print(task, "as in a pod:", run_as_in_a_pod(container, run_id, task, environment))
                state = f"select state from task_instance where task_id = '{task}' and run_id = '{run_id}'"
                assert state_of(state) == "success"
        container.stop()
        project.publish(MONTH)
        assert content(dsn) == content(clean)
        assert lacks[0].startswith("Nothing is missing"), lacks


def run_as_in_a_pod(container: Container, run_id: str, task: str, environment: dict[str, str]) -> str:
    """Runs the task by the program that KubernetesExecutor's pods run. Returns its CPU: `times` prints what the shell's
    children took, user and system."""
    workload = "logs/workload.json"
    with_benchmarks = environment | {"PYTHONPATH": "/opt/airflow:/opt/airflow/config:/clone"}
    make = ("python", "-m", "benchmarks.cold_workload", "taxi_pipeline", run_id, task, workload)
    container.run(*make, **with_benchmarks)
    words = f"python -m airflow.sdk.execution_time.execute_workload --json-path {workload} > /dev/null; times"
    return container.run("sh", "-c", words, **environment).splitlines()[-1]


def _answers(port: int) -> bool:
    with suppress(requests.RequestException):
        return requests.get(f"http://{LOOPBACK}:{port}/api/v2/version", timeout=10).ok
    return False


def ended_one(state: str | None) -> bool:
    return state in ("success", "failed")


def environment_of(postgres: EmbeddedPostgres, dsn: str, source: str, port: int) -> dict[str, str]:
    """The variables of a process: the settings that the chart gives it, and what belongs to this machine."""
    of_chart = {
        f"AIRFLOW__{section}__{name}".upper(): str(value)
        for section, settings in VALUES["config"].items()
        for name, value in settings.items()
    }
    metadata = postgres.dsn("airflow", "airflow").replace("postgresql://", "postgresql+psycopg2://")
    own = {
        "CORE__EXECUTOR": "LocalExecutor",
        "CORE__AUTH_MANAGER": "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager",
        "CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "CORE__PARALLELISM": "4",
        "CORE__EXECUTION_API_SERVER_URL": f"http://{LOOPBACK}:{port}/execution/",
        "CORE__FERNET_KEY": "",
        "DATABASE__SQL_ALCHEMY_CONN": metadata,
        "LOGGING__REMOTE_LOGGING": "False",
        "LOGGING__DELETE_LOCAL_LOGS": "False",
        "API__HOST": LOOPBACK,
        "API__PORT": str(port),
        "API__BASE_URL": f"http://{LOOPBACK}:{port}",
        "API_AUTH__JWT_SECRET": "a-secret-of-one-test-" * 4,
        "API__SECRET_KEY": "a-secret-of-one-test",
    }
    return (
        of_chart
        | {f"AIRFLOW__{name}": value for name, value in own.items()}
        | {
            "AIRFLOW_CONN_AZURE_PG": dsn,
            "AIRFLOW_VAR_TLC_BASE_URL": source,
            "AIRFLOW_STUDENT": "default",
            "PIPELINE_SCHEDULE_FROM": "2100-01",
        }
    )


def test_the_unit_tests_pass_with_the_versions_of_the_image(container: Container, clone: Path):
    """Half of its packages have other versions than the locks of `dev`, which all other tests run with."""
    buildah("copy", "--chown", "50000:0", container.id, clone, "/clone")
    own = {"PYTHONPATH": "/clone:/clone/config", "AIRFLOW_CONFIG": "/clone/config/airflow.cfg"}
    tests = "tests/unit --ignore tests/unit/dev --ignore tests/unit/docs"
    # as docs/how-to/deploy/index.md says
    words = f"pip install --quiet {TEST_PACKAGES} && cd /clone && python -m include manifest && {PYTEST} {tests}"
    print(container.run("sh", "-c", words, user="50000:0", **own)[-3000:])
