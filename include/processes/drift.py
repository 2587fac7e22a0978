"""Compares the settings and the revision of a task's process with those that its DAG was drawn with.

A worker reads its own copy of the DAG file, in its own environment. Airflow's server has the settings of the DAG
processor, and the revision of its copy, in one of the DAG's tags.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from airflow.sdk import Context
from airflow.sdk.exceptions import AirflowRescheduleException

from include.datasets import DATASETS, checked_student
from include.processes.revision import revision
from include.settings import NOT_SET, RETRY, SETTINGS, SettingError, hashed
from include.support.timezone import default_timezone

TIMEZONE_SETTING = "AIRFLOW__CORE__DEFAULT_TIMEZONE"
UTC_NAME = "UTC"  # Airflow's default
# Airflow sorts a DAG's tags by their names, and shows the first three in its list of DAGs.
TAG_BEGINS, TAG_HOLDS = "zz:", 100
# How long a try waits for a deployment to reach its worker, or the DAG processor. With the four retries that is 2.5 h.
PATIENCE = timedelta(minutes=30)
# Airflow's scheduler ends if it hears of the end of one attempt after the next has begun (apache/airflow#71923).
AT_LEAST = timedelta(seconds=10)

log = logging.getLogger(__name__)


class OtherRevision(RuntimeError):
    """A task's process has another version of the project than its DAG was drawn from."""


@dataclass(frozen=True)
class SharedSetting:
    """A setting that the DAG files and their tasks read, with its value in this process and its default, as text."""

    name: str
    value: str
    default: str

    @property
    def field(self) -> str:
        """The value as a tag holds it where there is room: nothing for the default."""
        return "" if self.value == self.default else self.value


def settings_tag() -> str:
    """The tag of a DAG that is drawn here: the revision, and a field for each of `shared_settings`, in its order.

    A field is empty where the setting has its default. The longest values are hashed if the tag would be too long.
    Raises SettingError.
    """
    settings, begins = shared_settings(), f"{TAG_BEGINS}{revision()}"
    fields = [each.field for each in settings]
    for place in sorted(range(len(fields)), key=lambda place: -len(fields[place])):
        if len(",".join([begins, *fields])) <= TAG_HOLDS:
            break
        fields[place] = hashed(settings[place].value)
    return ",".join([begins, *fields])


def require_drawn_settings(context: Context) -> None:
    """Raises SettingError where this process has another setting than the task's DAG was drawn with.

    Raises AirflowRescheduleException where it has other files of the project, as a new version reaches one process
    first: the task leaves its worker, keeps its try, and begins again after PIPELINE_RETRY_SECONDS, or 10 s. After 30
    minutes it raises OtherRevision, which is tried again. The settings are compared once the files are the same: only
    then do the tag's fields mean the same. Runs before each task. Calls the api-server once; once more where it refuses
    again (docs/explanation/decisions/drawn-settings.md).
    """
    tags = context["ti"].get_dag(context["dag"].dag_id).tags
    tag = next((tag for tag in tags if tag.startswith(TAG_BEGINS)), f"{TAG_BEGINS}unknown")
    other, *fields = tag.removeprefix(TAG_BEGINS).split(",")
    settings = shared_settings()
    if (own := revision()) != other or len(fields) != len(settings):
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
    if differing := [
        f"{each.name} is {each.value} where this task runs, and {field or each.default} where its DAG was drawn"
        for each, field in zip(settings, fields, strict=True)
        if field not in (each.field, hashed(each.value))
    ]:
        raise SettingError(
            f"{'; '.join(differing)}. Nothing was changed. Set it to the same for every Airflow process (scheduler, "
            "worker, DAG processor), restart those that had another, and clear this task."
        )


def shared_settings() -> list[SharedSetting]:
    """The settings that a task's process must share with the DAG processor. Of what may hold a password, a hash.

    Raises SettingError for a value that cannot work.
    """
    addresses = sorted({f"AIRFLOW_VAR_{each.host.variable.upper()}" for each in DATASETS.values()})
    checked_student()
    return [
        *(SharedSetting(each.name, each.shown(), each.as_text(each.default)) for each in SETTINGS),
        *(SharedSetting(name, hashed(os.environ.get(name)), NOT_SET) for name in addresses),
        SharedSetting(TIMEZONE_SETTING, str(default_timezone()), UTC_NAME),
    ]
