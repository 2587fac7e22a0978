"""The Helm values and the image of `deploy`: as the rest of the project says, and rendered by the chart as meant.

HELM=<the program> and AIRFLOW_CHART=<the chart's folder or archive> have the chart rendered too.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from airflow.dag_processing.dagbag import DagBag

from dev.services.celery import FOLDERS
from include.datasets import DATASETS, TLC
from include.settings import ROOT, SETTINGS, WAREHOUSE_CONNECTION
from tests.support.stack.airflow_cfg import PROJECT, settings_of

DEPLOY = ROOT / "deploy"
VALUES_FILE = DEPLOY / "helm" / "values.yaml"
VALUES: dict[str, Any] = yaml.safe_load(VALUES_FILE.read_text())
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
HOME = "/opt/airflow"
CONNECTION = f"AIRFLOW_CONN_{WAREHOUSE_CONNECTION.upper()}"
# what config/airflow.cfg leaves to each deployment
OF_THE_DEPLOYMENT = {
    ("core", "parallelism"),
    ("core", "hostname_callable"),
    ("celery", "worker_concurrency"),
    ("logging", "remote_logging"),
    ("logging", "remote_base_log_folder"),
    ("logging", "remote_log_conn_id"),
    ("logging", "delete_local_logs"),
}
# where the chart takes a secret itself, each of which has a twin that takes a name
LITERAL_SECRETS = {
    "apiSecretKey",
    "brokerUrl",
    "defaultUser",
    "extraSecrets",
    "fernetKey",
    "jwtSecret",
    "metadataConnection",
    "pass",
    "password",
    "resultBackendConnection",
    "webserverSecretKey",
}
NAMES_OF_SECRETS = (
    ("data", "metadataSecretName"),
    ("data", "resultBackendSecretName"),
    ("data", "brokerUrlSecretName"),
    ("redis", "passwordSecretName"),
    ("fernetKeySecretName",),
    ("apiSecretKeySecretName",),
    ("jwtSecretName",),
)


def in_values(*path: str) -> Any:
    found: Any = VALUES
    for key in path:
        found = found[key]
    return found


def scalars(value: Any, *path: str) -> Iterator[tuple[tuple[str, ...], str]]:
    """Each value that is no list and no mapping, with the keys that lead to it."""
    if isinstance(value, dict | list):
        for key, each in value.items() if isinstance(value, dict) else enumerate(value):
            yield from scalars(each, *path, str(key))
    else:
        yield path, str(value)


def pins(file: Path) -> set[str]:
    return {line for line in file.read_text().splitlines() if line and not line.startswith("#")}


def test_the_chart_is_given_the_settings_of_config_airflow_cfg_and_a_few_of_the_deployment():
    given = {(section, key): str(value) for section, keys in VALUES["config"].items() for key, value in keys.items()}
    assert set(given) >= OF_THE_DEPLOYMENT
    assert {name: value for name, value in given.items() if name not in OF_THE_DEPLOYMENT} == PROJECT


def test_airflow_reads_the_file_that_the_chart_mounts():
    """Elsewhere it would find neither the executor nor the api-server's address."""
    for text in (VALUES_FILE.read_text(), DOCKERFILE):
        assert "AIRFLOW_CONFIG" not in text
    assert in_values("airflowLocalSettings") is None


def test_the_environment_holds_settings_of_the_project_and_none_of_airflow_s():
    hosts = {TLC, *(each.host for each in DATASETS.values())}
    known = {each.name for each in SETTINGS} | {f"AIRFLOW_VAR_{host.variable.upper()}" for host in hosts}
    names = {each["name"] for each in VALUES["env"]}
    assert names <= known
    assert {"AIRFLOW_STUDENT", "PIPELINE_REPORTS"} <= names


def test_secrets_are_named_and_never_given():
    assert CONNECTION in {each["envName"] for each in VALUES["secret"]}
    assert all(set(each) == {"envName", "secretName", "secretKey"} for each in VALUES["secret"])
    for path in NAMES_OF_SECRETS:
        assert in_values(*path), path
    for path, value in scalars(VALUES):
        assert not LITERAL_SECRETS.intersection(path), path
        assert not re.search(r"://[^/\s]*:[^/\s]*@", value), path  # a password in an address
    # with a password that everybody knows
    assert not in_values("postgresql", "enabled")
    assert not in_values("createUserJob", "enabled")


def test_a_worker_that_is_told_to_end_lets_the_longest_task_end_first():
    dags = DagBag(ROOT / "dags", load_op_links=False).dags.values()
    longest = max(task.execution_timeout.total_seconds() for dag in dags for task in dag.tasks)
    assert longest >= 3600
    assert in_values("workers", "celery", "terminationGracePeriodSeconds") >= longest + 300


def test_airflow_gives_as_many_tasks_as_the_most_workers_take():
    slots = in_values("workers", "celery", "keda", "maxReplicaCount") * in_values(
        "config", "celery", "worker_concurrency"
    )
    assert int(in_values("config", "core", "parallelism")) == slots
    assert int(in_values("config", "core", "default_pool_task_slot_count")) >= slots


def test_a_worker_is_always_there():
    keda = in_values("workers", "celery", "keda")
    assert keda["enabled"]
    assert keda["minReplicaCount"] >= 1


def test_the_image_has_the_versions_that_are_tested():
    airflow = next(pin for pin in pins(ROOT / "dev/requirements.in") if pin.startswith("apache-airflow=="))
    version = airflow.removeprefix("apache-airflow==")
    assert f"FROM apache/airflow:{version}-python3.12\n" in DOCKERFILE
    assert in_values("airflowVersion") == version
    celery = {pin for pin in pins(ROOT / "dev/celery.in") if "celery" in pin}
    assert len(celery) == 2
    assert celery <= pins(DEPLOY / "requirements.txt")


@pytest.mark.parametrize("part", ["apiServer", "scheduler"])
def test_a_start_may_take_minutes_where_others_start_beside_it(part: str):
    """A probe is made every 10 s; five pods together took 60.3 s, and the chart would end one after 60."""
    assert in_values(part, "startupProbe", "failureThreshold") * 10 >= 300


def test_the_image_gets_what_it_copies():
    """Each folder that a worker needs, and nothing that .dockerignore keeps from it."""
    copied = re.findall(r"^COPY (?:--\S+ )?(\S+) \S+$", DOCKERFILE, re.MULTILINE)
    assert set(copied) == {*FOLDERS, "requirements.txt", "deploy/compile_imports.py", "deploy/requirements.txt"}
    taken = set((ROOT / ".dockerignore").read_text().split())
    assert {each for each in copied if f"!{each}" not in taken} == set()
    assert f"PYTHONPATH={HOME}:{HOME}/config" in DOCKERFILE


@pytest.fixture(scope="module")
def helm() -> list[str]:
    if missing := {"HELM", "AIRFLOW_CHART"} - set(os.environ):
        pytest.skip(
            f"{' and '.join(sorted(missing))} not set: the chart was not rendered (HELM=<the program> "
            "AIRFLOW_CHART=<folder or archive of Airflow's chart; `helm pull` gets it>)"
        )
    return [os.environ["HELM"]]


@pytest.fixture(scope="module")
def rendered(helm: list[str]) -> list[dict[str, Any]]:
    """All that the chart would make in the cluster."""
    command = [*helm, "template", "airflow", os.environ["AIRFLOW_CHART"], "--values", VALUES_FILE]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [each for each in yaml.safe_load_all(done.stdout) if each]


def of_kind(rendered: list[dict[str, Any]], kind: str) -> dict[str, dict[str, Any]]:
    return {each["metadata"]["name"]: each for each in rendered if each["kind"] == kind}


def pods(rendered: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The specification of each pod, by the name of what makes it."""
    made = [each for each in rendered if "template" in each.get("spec", {})]
    return {each["metadata"]["name"]: each["spec"]["template"]["spec"] for each in made}


def containers(rendered: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Those that run Airflow. A log groomer runs `find` in Airflow's image."""
    return {
        f"{name}/{each['name']}": each
        for name, pod in pods(rendered).items()
        for each in pod.get("initContainers", []) + pod["containers"]
        if each["image"].startswith(in_values("images", "airflow", "repository"))
        and not each["name"].endswith("-log-groomer")
    }


def test_helm_finds_nothing_to_complain_of(helm):
    command = [*helm, "lint", "--strict", os.environ["AIRFLOW_CHART"], "--values", VALUES_FILE]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_container_of_airflow_gets_the_settings_and_the_connection(rendered):
    found = containers(rendered)
    parts = ("api-server", "dag-processor", "scheduler", "triggerer", "worker", "run-airflow-migrations")
    assert {f"airflow-{part}/{part}" for part in parts} <= set(found)
    for name, container in found.items():
        environment = {each["name"]: each for each in container["env"]}
        assert len(environment) == len(container["env"]), name
        for setting in VALUES["env"]:
            assert environment[setting["name"]] == setting, name
        assert environment[CONNECTION]["valueFrom"] == {
            "secretKeyRef": {"name": "taxi-warehouse", "key": "connection"}
        }, name
        assert not {"AIRFLOW_CONFIG", "PYTHONPATH"} & set(environment), name


def test_airflow_cfg_holds_the_settings_the_executor_and_the_api_server_s_address(rendered):
    made = settings_of(of_kind(rendered, "ConfigMap")["airflow-config"]["data"]["airflow.cfg"])
    assert {name: made.get(name) for name in PROJECT} == PROJECT
    assert made["core", "executor"] == "CeleryExecutor"
    assert made["core", "execution_api_server_url"] == "http://airflow-api-server:8080/execution/"
    assert made["core", "dags_folder"] == f"{HOME}/dags"
    assert made.get(("core", "plugins_folder"), f"{HOME}/plugins") == f"{HOME}/plugins"
    for name, container in containers(rendered).items():
        places = {each["mountPath"]: each for each in container["volumeMounts"]}
        assert places[f"{HOME}/airflow.cfg"]["subPath"] == "airflow.cfg", name


def test_nothing_is_mounted_over_what_the_image_holds(rendered):
    for name, container in containers(rendered).items():
        for mount in container["volumeMounts"]:
            inside = Path(mount["mountPath"]).relative_to(HOME)
            assert inside.parts, name
            assert inside.parts[0] not in FOLDERS, f"{name} mounts {inside}"


def test_no_secret_is_made_of_the_values(rendered):
    assert of_kind(rendered, "Secret") == {}


def test_redis_asks_for_a_password_that_a_secret_holds(rendered):
    (redis,) = pods(rendered)["airflow-redis"]["containers"]
    assert redis["args"] == ["--requirepass", "$(REDIS_PASSWORD)"]
    (password,) = redis["env"]
    assert password["valueFrom"] == {"secretKeyRef": {"name": "taxi-redis", "key": "password"}}


def test_workers_have_the_grace_period_and_keda_keeps_one_at_least(rendered):
    grace = in_values("workers", "celery", "terminationGracePeriodSeconds")
    assert pods(rendered)["airflow-worker"]["terminationGracePeriodSeconds"] == grace
    assert "airflow-worker" in of_kind(rendered, "Deployment")
    (scaled,) = of_kind(rendered, "ScaledObject").values()
    assert scaled["spec"]["scaleTargetRef"]["kind"] == "Deployment"
    assert scaled["spec"]["scaleTargetRef"]["name"] == "airflow-worker"
    assert scaled["spec"]["minReplicaCount"] >= 1
    assert scaled["spec"]["maxReplicaCount"] == in_values("workers", "celery", "keda", "maxReplicaCount")
    (trigger,) = scaled["spec"]["triggers"]
    assert f"/ {in_values('config', 'celery', 'worker_concurrency')})" in trigger["metadata"]["query"]
