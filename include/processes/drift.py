"""Compares the settings and the revision of the process that runs a task with those its DAG was drawn with.

A worker reads its own copy of the DAG file, in its own environment. The settings that the DAG processor read in its
environment, and the revision of its copy, are on Airflow's server, as the DAG's tags.
"""

from __future__ import annotations

import hashlib
import os
from datetime import timedelta

from airflow.sdk import Context

from include.datasets import DATASETS, checked_student
from include.processes.revision import revision
from include.settings import (
    NOTIFY,
    REPORTS,
    SCHEDULE_FROM,
    SETTINGS,
    STUDENT,
    Seconds,
    SettingError,
    Switch,
    WholeNumber,
)
from include.support.timezone import default_zone

ZONE_SETTING = "AIRFLOW__CORE__DEFAULT_TIMEZONE"
REVISION = "revision"
NOT_SET = "not set"


class OtherRevision(RuntimeError):
    """The process that runs a task has another version of the project than its DAG was drawn from."""


def settings_tags() -> list[str]:
    """`NAME=value` for each setting that the DAG files, and their tasks, take from the environment; the revision."""
    return [f"{name}={value}" for name, value in (_settings() | {REVISION: revision()}).items()]


def require_drawn_settings(context: Context) -> None:
    """Raises SettingError where a setting of this process is not the one that the task's DAG was drawn with.

    Raises OtherRevision where the project's files are not. That may heal: a new version reaches one process first.

    One call to the api-server (measured in docs/explanation/decisions/drawn-settings.md). Runs before each task.
    """
    drawn = dict(tag.split("=", 1) for tag in context["ti"].get_dag(context["dag"].dag_id).tags if "=" in tag)
    if differing := [
        f"{name} is {value} where this task runs, and {drawn.get(name, 'unknown')} where its DAG was drawn"
        for name, value in _settings().items()
        if drawn.get(name) != value
    ]:
        raise SettingError(
            f"{'; '.join(differing)}. Nothing was changed. Set it to the same for every Airflow process (scheduler, "
            "worker, DAG processor), restart those that had another, and clear this task."
        )
    if (own := revision()) != (other := drawn.get(REVISION, "unknown")):
        raise OtherRevision(
            f"This worker has revision {own} of the project, and its DAG was drawn from revision {other}. Nothing was "
            "changed. Deploy the same files, dbt/manifest among them, to every Airflow process, and restart them. The "
            "task is tried again meanwhile."
        )


def _settings() -> dict[str, str]:
    """Values in effect: the default where one is not set. A source's address is hashed: it may hold a password."""
    durations = [each for each in SETTINGS if isinstance(each, Seconds)]
    addresses = sorted({f"AIRFLOW_VAR_{each.host.variable.upper()}" for each in DATASETS.values()})
    return (
        {STUDENT.name: checked_student(), SCHEDULE_FROM.name: str(SCHEDULE_FROM.value() or NOT_SET)}
        | {each.name: _whole(each.value()) for each in durations}
        | {each.name: str(each.value()) for each in SETTINGS if isinstance(each, WholeNumber | Switch)}
        | {name: _hashed(os.environ.get(name)) for name in addresses}
        | {REPORTS.name: _hashed(REPORTS.text()), NOTIFY.name: NOTIFY.value() or NOT_SET}
        | {ZONE_SETTING: str(default_zone())}
    )


def _whole(duration: timedelta | None) -> str:
    return str(int(duration.total_seconds())) if duration else NOT_SET


def _hashed(address: str | None) -> str:
    return "sha256:" + hashlib.sha256(address.encode()).hexdigest()[:8] if address else NOT_SET
