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
    TAG_HOLDS,
    TIMEZONE_SETTING,
    OtherRevision,
    require_drawn_settings,
    settings_tag,
    shared_settings,
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


def task_of_a_dag_drawn_with(*tags: str, waiting_for: timedelta | None = None) -> dict:
    """What the check reads of a task's context: the DAG that the server knows, and since when the try has waited."""
    server = SimpleNamespace(
        get_dag=lambda dag_id: SimpleNamespace(dag_id=dag_id, tags=[*tags, "tlc"]),
        get_first_reschedule_date=lambda context: None if waiting_for is None else datetime.now(UTC) - waiting_for,
    )
    return {"ti": server, "dag": SimpleNamespace(dag_id="taxi_pipeline")}


@pytest.mark.usefixtures("nothing_is_set")
def test_every_setting_that_the_code_takes_from_the_environment_is_compared():
    """Except those that are read only where a task runs, such as the connection."""
    assert [each.name for each in shared_settings()] == [*SETTINGS, TIMEZONE_SETTING]
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
    drawn_with_the_default = settings_tag()
    monkeypatch.setenv(name, other)
    drawn_with_the_other = settings_tag()
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
    with pytest.raises(SettingError, match=f"^{TIMEZONE_SETTING} is UTC .* and Asia/Shanghai where its DAG was drawn"):
        require_drawn_settings(task_of_a_dag_drawn_with(f"{settings_tag()}Asia/Shanghai"))


@pytest.mark.usefixtures("nothing_is_set")
def test_each_setting_that_differs_is_named(monkeypatch):
    for name, (_, other) in SETTINGS.items():
        monkeypatch.setenv(name, other)
    drawn = settings_tag()
    for name in SETTINGS:
        monkeypatch.delenv(name)
    with pytest.raises(SettingError) as refusal:
        require_drawn_settings(task_of_a_dag_drawn_with(drawn))
    assert all(name in str(refusal.value) for name in SETTINGS)


@pytest.mark.usefixtures("nothing_is_set")
def test_a_setting_s_own_and_drawn_values_are_told_and_of_a_secret_its_hashes(monkeypatch):
    monkeypatch.setenv("PIPELINE_RETRY_SECONDS", "7")
    monkeypatch.setenv("PIPELINE_REPORTS", "s3://someone:secret@bucket/reports")
    drawn = settings_tag()
    monkeypatch.delenv("PIPELINE_RETRY_SECONDS")
    monkeypatch.setenv("PIPELINE_REPORTS", "s3://someone:other@bucket/reports")
    with pytest.raises(SettingError) as refusal:
        require_drawn_settings(task_of_a_dag_drawn_with(drawn))
    assert "PIPELINE_RETRY_SECONDS is 30 where this task runs, and 7 where its DAG was drawn" in str(refusal.value)
    hashes = re.search(r"PIPELINE_REPORTS is (#.{4}) where this task runs, and (#.{4}) where", str(refusal.value))
    assert hashes
    assert hashes[1] != hashes[2]
    assert "secret" not in str(refusal.value)


@pytest.mark.usefixtures("nothing_is_set")
def test_the_longest_values_fit_in_one_tag_and_are_compared_all_the_same(monkeypatch):
    longest = {name: "9" * 8 for name in SETTINGS if name.endswith("_SECONDS")}
    longest |= {"AIRFLOW_STUDENT": "a" * 30, "PIPELINE_KEEP_VERSIONS_MEBIBYTES": "9" * 9, "PIPELINE_NOTIFY": "b" * 200}
    for name, value in ({name: other for name, (_, other) in SETTINGS.items()} | longest).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(drawn_settings, "default_timezone", lambda: "America/Argentina/ComodRivadavia")
    drawn = settings_tag()
    assert len(drawn) <= TAG_HOLDS
    require_drawn_settings(task_of_a_dag_drawn_with(drawn))
    monkeypatch.setenv("PIPELINE_NOTIFY", "b" * 199 + "c")
    with pytest.raises(SettingError, match=r"^PIPELINE_NOTIFY is b+c where this task runs, and #.{4} where its DAG"):
        require_drawn_settings(task_of_a_dag_drawn_with(drawn))


@pytest.mark.usefixtures("nothing_is_set")
@pytest.mark.parametrize(
    "tags",
    [
        pytest.param(["AIRFLOW_STUDENT=default", "PIPELINE_POLL_SECONDS=3600", "revision=0123456789ab"], id="2.1.0"),
        pytest.param([], id="none"),
        pytest.param(["zz:0123456789ab,,,"], id="fewer settings"),
    ],
)
def test_a_task_of_a_dag_that_an_earlier_version_has_drawn_waits_for_its_own(tags: list[str]):
    with pytest.raises(AirflowRescheduleException):
        require_drawn_settings(task_of_a_dag_drawn_with(*tags))


@pytest.mark.usefixtures("nothing_is_set")
def test_a_process_with_another_revision_is_refused_and_both_are_named(monkeypatch):
    drawn = settings_tag()
    monkeypatch.setattr(drawn_settings, "revision", lambda: "other")
    with pytest.raises(OtherRevision, match=f"revision other of the project, .* drawn from revision {revision()}"):
        require_drawn_settings(task_of_a_dag_drawn_with(drawn, waiting_for=PATIENCE + timedelta(seconds=1)))


@pytest.mark.usefixtures("nothing_is_set")
@pytest.mark.parametrize("waiting_for", [None, timedelta(0), PATIENCE - timedelta(minutes=1)])
@pytest.mark.parametrize(("retry", "delay"), [("7", 10), ("30", 30)])
def test_it_begins_again_after_a_while_without_using_up_a_try(monkeypatch, caplog, waiting_for, retry, delay):
    monkeypatch.setenv("PIPELINE_RETRY_SECONDS", retry)
    drawn = settings_tag()
    monkeypatch.setattr(drawn_settings, "revision", lambda: "other")
    asked = datetime.now(UTC)
    with pytest.raises(AirflowRescheduleException) as refusal:
        require_drawn_settings(task_of_a_dag_drawn_with(drawn, waiting_for=waiting_for))
    assert 0 <= (refusal.value.reschedule_date - asked).total_seconds() - delay < 1
    shows(REVISION.heading, "This worker has revision … of the project", caplog.text)


@pytest.mark.usefixtures("nothing_is_set")
def test_no_tag_holds_the_source_s_address(monkeypatch):
    for name in ADDRESSES:
        monkeypatch.setenv(name, SETTINGS[name][1])
    assert "secret" not in settings_tag()


def test_every_dag_carries_the_settings_in_its_last_tag_and_every_task_asks_for_them():
    dags = DagBag(ROOT / "dags", load_op_links=False).dags.values()
    assert dags
    for dag in dags:
        assert len(dag.tags) <= 5, dag.dag_id
        *for_people, last = sorted(dag.tags)
        assert last == settings_tag(), dag.dag_id
        assert all(re.fullmatch(r"[a-z]+", tag) for tag in for_people), dag.dag_id
        for task in dag.tasks:
            assert task._pre_execute_hook is require_drawn_settings, task.task_id
