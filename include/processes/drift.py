"""Compares the settings and the revision of a task's process with those that its DAG was drawn with.

A worker reads its own copy of the DAG file, in its own environment. Airflow's server has the settings of the DAG
processor, and the revision of its copy, as the DAG's tags.
"""

from __future__ import annotations

import logging
import os
from datetime import UTC, datetime, timedelta

from airflow.sdk import Context
from airflow.sdk.exceptions import AirflowRescheduleException

from include.datasets import DATASETS, checked_student
from include.processes.revision import revision
from include.settings import RETRY, SETTINGS, STUDENT, SettingError, hashed
from include.support.timezone import default_timezone

TIMEZONE_SETTING = "AIRFLOW__CORE__DEFAULT_TIMEZONE"
REVISION = "revision"
# How long a try waits for a deployment to reach its worker, or the DAG processor. With the four retries that is 2.5 h.
PATIENCE = timedelta(minutes=30)
# Airflow's scheduler ends if it hears of the end of one attempt after the next has begun (apache/airflow#71923).
AT_LEAST = timedelta(seconds=10)

log = logging.getLogger(__name__)


class OtherRevision(RuntimeError):
    """A task's process has another version of the project than its DAG was drawn from."""


def settings_tags() -> list[str]:
    """`NAME=value` for each setting that the DAG files and their tasks read, and for the revision."""
    return [f"{name}={value}" for name, value in (_settings() | {REVISION: revision()}).items()]


def require_drawn_settings(context: Context) -> None:
    """Raises SettingError where this process has another setting than the task's DAG was drawn with.

    Raises AirflowRescheduleException where it has other files of the project, as a new version reaches one process
    first: the task leaves its worker, keeps its try, and begins again after PIPELINE_RETRY_SECONDS, or 10 s. After 30
    minutes it raises OtherRevision, which is tried again. Runs before each task. Calls the api-server once; once more
    where it refuses again (docs/explanation/decisions/drawn-settings.md).
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
        why = (
            f"This worker has revision {own} of the project, and its DAG was drawn from revision {other}. Nothing was "
            "changed. Deploy the same files, dbt/manifest among them, to every Airflow process. The task begins again "
            "by itself meanwhile."
        )
        now = datetime.now(UTC)
        since = context["ti"].get_first_reschedule_date(context)
        if since is None or now - since < PATIENCE:
            log.warning("%s", why)
            raise AirflowRescheduleException(now + max(RETRY.value(), AT_LEAST))  # type: ignore[no-untyped-call]
        raise OtherRevision(why)


def _settings() -> dict[str, str]:
    """The values in effect, by name. A source's address is hashed, as it may hold a password."""
    addresses = sorted({f"AIRFLOW_VAR_{each.host.variable.upper()}" for each in DATASETS.values()})
    return (
        {each.name: each.shown() for each in SETTINGS}
        | {STUDENT.name: checked_student()}
        | {name: hashed(os.environ.get(name)) for name in addresses}
        | {TIMEZONE_SETTING: str(default_timezone())}
    )
