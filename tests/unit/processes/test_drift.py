"""A task runs with the settings that its DAG was drawn with, or fails by the name of the one that differs."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk.exceptions import AirflowRescheduleException

from include.alerts.runbook import REVISION
from include.datasets import DATASETS
from include.processes import drift as drawn_settings
from include.processes.drift import (
    PATIENCE,
    TIMEZONE_SETTING,
    OtherRevision,
    require_drawn_settings,
    settings_tags,
)
from include.processes.revision import revision
from include.settings import ROOT, SettingError
from include.settings import SETTINGS as DECLARED
from tests.support.documents import shows

ADDRESSES = sorted({f"AIRFLOW_VAR_{each.host.variable.upper()}" for each in DATASETS.values()})
# Each setting: its default, as one that is not set counts, and another value.
SETTINGS = {
    "AIRFLOW_STUDENT": ("default", "other"),
    "PIPELINE_SCHEDULE_FROM": (None, "2026-11"),
    "PIPELINE_POLL_SECONDS": ("3600", "60"),
    "RUN_SCHEMA_KEEP_SECONDS": (None, "86400"),
    "PIPELINE_KEEP_VERSIONS_SECONDS": (None, "86400"),
    "PIPELINE_KEEP_VERSIONS_MEBIBYTES": ("10240", "0"),
    "PIPELINE_RELOAD_RESTATED": ("false", "true"),
    "PIPELINE_RETRY_SECONDS": ("30", "7"),
    "PIPELINE_LATE_SECONDS": ("1209600", "60"),
    "PIPELINE_REPORTS": (None, "s3://someone:secret@bucket/reports"),
    "PIPELINE_NOTIFY": (None, "oncall"),
    **dict.fromkeys(ADDRESSES, (None, "https://someone:secret@mirror.example")),
}
MONTH = "2022-11"


@pytest.fixture
def nothing_is_set(monkeypatch):
    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)


def task_of_a_dag_drawn_with(tags: list[str], waiting_for: timedelta | None = None) -> dict:
    """What the check reads of a task's context: the DAG that the server knows, and since when the try has waited."""
    server = SimpleNamespace(
        get_dag=lambda dag_id: SimpleNamespace(dag_id=dag_id, tags=[*tags, "tlc"]),
        get_first_reschedule_date=lambda context: None if waiting_for is None else datetime.now(UTC) - waiting_for,
    )
    return {"ti": server, "dag": SimpleNamespace(dag_id="taxi_pipeline")}


@pytest.mark.usefixtures("nothing_is_set")
def test_every_setting_that_the_code_takes_from_the_environment_is_compared():
    """Except those that are read only where a task runs, such as the connection."""
    assert [tag.split("=")[0] for tag in settings_tags()] == [*SETTINGS, TIMEZONE_SETTING, drawn_settings.REVISION]
    assert {each.name for each in DECLARED} | set(ADDRESSES) == set(SETTINGS)


def test_the_environment_is_read_in_one_place():
    """But for the addresses of sources, whose names are those of Airflow's variables, and for the variables of
    certificates, which are those of other programs. `dbt_docs` sets it for dbt."""
    reading = {
        file.name
        for folder in ("dags", "include")
        for file in (ROOT / folder).rglob("*.py")
        if re.search(r"\bos\.environ\b|\bgetenv\b|\bfrom os\b", file.read_text())
    }
    assert reading == {"settings.py", "drift.py", "client.py", "dbt_docs.py"}


@pytest.mark.usefixtures("nothing_is_set")
@pytest.mark.parametrize("name", SETTINGS)
def test_a_process_with_another_value_is_refused_by_the_name_of_the_setting(monkeypatch, name):
    default, other = SETTINGS[name]
    drawn_with_the_default = settings_tags()
    monkeypatch.setenv(name, other)
    drawn_with_the_other = settings_tags()
    with pytest.raises(SettingError, match=f"^{name} is .* where this task runs, and .* where its DAG was drawn"):
        require_drawn_settings(task_of_a_dag_drawn_with(drawn_with_the_default))
    require_drawn_settings(task_of_a_dag_drawn_with(drawn_with_the_other))
    # and one in which it is not set, or to the default
    monkeypatch.delenv(name)
    for _ in range(2):
        with pytest.raises(SettingError, match=f"^{name} is "):
            require_drawn_settings(task_of_a_dag_drawn_with(drawn_with_the_other))
        require_drawn_settings(task_of_a_dag_drawn_with(drawn_with_the_default))
        if default:
            monkeypatch.setenv(name, default)


@pytest.mark.usefixtures("nothing_is_set")
def test_another_time_zone_is_refused_by_the_name_of_the_setting():
    """Airflow reads it once in a process: test_timezones.py has it from the environment."""
    drawn = [tag for tag in settings_tags() if not tag.startswith(TIMEZONE_SETTING)]
    with pytest.raises(SettingError, match=f"^{TIMEZONE_SETTING} is UTC .* and Asia/Shanghai where its DAG was drawn"):
        require_drawn_settings(task_of_a_dag_drawn_with([*drawn, f"{TIMEZONE_SETTING}=Asia/Shanghai"]))


@pytest.mark.usefixtures("nothing_is_set")
def test_each_setting_that_differs_is_named(monkeypatch):
    for name, (_, other) in SETTINGS.items():
        monkeypatch.setenv(name, other)
    drawn = settings_tags()
    for name in SETTINGS:
        monkeypatch.delenv(name)
    with pytest.raises(SettingError) as refusal:
        require_drawn_settings(task_of_a_dag_drawn_with(drawn))
    assert all(name in str(refusal.value) for name in SETTINGS)


@pytest.mark.usefixtures("nothing_is_set")
def test_a_dag_that_was_drawn_before_settings_were_tags_is_refused():
    with pytest.raises(SettingError, match="AIRFLOW_STUDENT is default where this task runs, and unknown"):
        require_drawn_settings(task_of_a_dag_drawn_with([]))


@pytest.mark.usefixtures("nothing_is_set")
def test_a_process_with_another_revision_is_refused_and_both_are_named(monkeypatch):
    drawn = settings_tags()
    monkeypatch.setattr(drawn_settings, "revision", lambda: "other")
    with pytest.raises(OtherRevision, match=f"revision other of the project, .* drawn from revision {revision()}"):
        require_drawn_settings(task_of_a_dag_drawn_with(drawn, PATIENCE + timedelta(seconds=1)))


@pytest.mark.usefixtures("nothing_is_set")
@pytest.mark.parametrize("waiting_for", [None, timedelta(0), PATIENCE - timedelta(minutes=1)])
@pytest.mark.parametrize(("retry", "delay"), [("7", 10), ("30", 30)])
def test_it_begins_again_after_a_while_without_using_up_a_try(monkeypatch, caplog, waiting_for, retry, delay):
    monkeypatch.setenv("PIPELINE_RETRY_SECONDS", retry)
    drawn = settings_tags()
    monkeypatch.setattr(drawn_settings, "revision", lambda: "other")
    asked = datetime.now(UTC)
    with pytest.raises(AirflowRescheduleException) as refusal:
        require_drawn_settings(task_of_a_dag_drawn_with(drawn, waiting_for))
    assert 0 <= (refusal.value.reschedule_date - asked).total_seconds() - delay < 1
    shows(REVISION.heading, "This worker has revision … of the project", caplog.text)


@pytest.mark.usefixtures("nothing_is_set")
def test_no_tag_holds_the_source_s_address(monkeypatch):
    for name in ADDRESSES:
        monkeypatch.setenv(name, SETTINGS[name][1])
    assert not any("secret" in tag for tag in settings_tags())


def test_every_dag_carries_the_settings_and_every_task_asks_for_them():
    dags = DagBag(ROOT / "dags", load_op_links=False).dags.values()
    assert dags
    for dag in dags:
        assert set(settings_tags()) <= dag.tags, dag.dag_id
        for task in dag.tasks:
            assert task._pre_execute_hook is require_drawn_settings, task.task_id
