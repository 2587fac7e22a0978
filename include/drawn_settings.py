"""Compares the settings of the process that runs a task with those that the task's DAG was drawn with.

A worker reads the DAG file in its own environment. The settings that the DAG processor read in its environment are on
Airflow's server, as the DAG's tags: one for each setting.
"""

from __future__ import annotations

import hashlib
import os
from datetime import timedelta

from airflow.sdk import Context

from include.retry import first_delay
from include.run_schemas import keep_for
from include.settings import BASE_URL_VARIABLE, SettingError, poll_interval, published_schema
from include.zone import default_zone

ZONE_SETTING = "AIRFLOW__CORE__DEFAULT_TIMEZONE"
BASE_URL_SETTING = f"AIRFLOW_VAR_{BASE_URL_VARIABLE.upper()}"


def settings_tags() -> list[str]:
    """`NAME=value` for each setting that the DAG files, and their tasks, take from the environment."""
    return [f"{name}={value}" for name, value in _settings().items()]


def require_drawn_settings(context: Context) -> None:
    """Raises SettingError where a setting of this process is not the one that the task's DAG was drawn with.

    One call to the api-server (measured in docs/decisions/drawn-settings.md). Runs before each task.
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


def _settings() -> dict[str, str]:
    """Values in effect: the default where one is not set. The source's address is hashed: it may hold a password."""
    address = os.environ.get(BASE_URL_SETTING)
    return {
        "AIRFLOW_STUDENT": published_schema().removeprefix("airflow_"),
        "PIPELINE_POLL_SECONDS": _whole(poll_interval()),
        "PIPELINE_RETRY_SECONDS": _whole(first_delay()),
        "RUN_SCHEMA_KEEP_SECONDS": _whole(keep_for()),
        BASE_URL_SETTING: "sha256:" + hashlib.sha256(address.encode()).hexdigest()[:8] if address else "not set",
        ZONE_SETTING: str(default_zone()),
    }


def _whole(duration: timedelta) -> str:
    return str(int(duration.total_seconds()))
