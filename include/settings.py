"""Every name and setting that more than one file needs. Importable without Airflow.

`python -m include settings` prints the settings as rows of the table in docs/reference/settings.md.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Generic, TypeVar

from include.month import Month, MonthError

ROOT = Path(__file__).resolve().parents[1]
DBT_PROJECT = ROOT / "dbt"
DBT_MANIFEST = DBT_PROJECT / "manifest" / "manifest.json"  # include.transform.manifest makes it
DBT_DOCS = DBT_PROJECT / "site" / "index.html"  # include.transform.dbt_docs makes it
DBT_PROFILES = ROOT / "profiles" / "profiles.yml"

WAREHOUSE_CONNECTION = "azure_pg"


class SettingError(ValueError):
    """A setting has a value that cannot work. The message names the setting and what it may be."""


@dataclass(frozen=True)
class Setting:
    """A variable of the environment. `meaning` and `shown_default` are what docs/reference/settings.md says of it."""

    name: str
    meaning: str
    shown_default: str

    def text(self) -> str | None:
        """As it is set now; None where it is not."""
        return os.environ.get(self.name)


Default = TypeVar("Default", bound=timedelta | None)


@dataclass(frozen=True)
class Seconds(Setting, Generic[Default]):
    """A duration, in whole seconds."""

    default: Default
    at_least: int = 1

    def value(self) -> timedelta | Default:
        """As it is set now, else the default. Raises SettingError for what is no such number."""
        text = self.text()
        if text is None:
            return self.default
        if not re.fullmatch(r"[1-9]\d{0,7}", text) or int(text) < self.at_least:
            raise SettingError(
                f"{self.name}={text!r}: a whole number of seconds is needed, at least {self.at_least}, for example 3600"
            )
        return timedelta(seconds=int(text))


@dataclass(frozen=True)
class WholeNumber(Setting):
    """A number of something, 0 or more."""

    default: int

    def value(self) -> int:
        """As it is set now, else the default. Raises SettingError for what is no such number."""
        text = self.text()
        if text is None:
            return self.default
        if not re.fullmatch(r"0|[1-9]\d{0,8}", text):
            raise SettingError(f"{self.name}={text!r}: a whole number is needed, 0 or more, for example {self.default}")
        return int(text)


@dataclass(frozen=True)
class Switch(Setting):
    """`true` or `false`; where it is not set, false."""

    def value(self) -> bool:
        """As it is set now. Raises SettingError for another word."""
        text = self.text()
        if text not in (None, "true", "false"):
            raise SettingError(f"{self.name}={text!r}: true or false is needed")
        return text == "true"


@dataclass(frozen=True)
class OneMonth(Setting):
    """A month, `YYYY-MM`."""

    def value(self) -> Month | None:
        """As it is set now. Raises SettingError for what is no month."""
        text = self.text()
        try:
            return None if text is None else Month.parse(text)
        except MonthError as error:
            raise SettingError(f"{self.name}: {error}") from None


@dataclass(frozen=True)
class Place(Setting):
    """A folder, or a folder of an object store."""

    default: str

    def value(self) -> str:
        """As it is set now, else the default. Raises SettingError where it is empty."""
        text = self.text()
        if text == "":
            raise SettingError(
                f"{self.name} is empty: a folder is needed, or an object store's, such as s3://bucket/reports"
            )
        return self.default if text is None else text


@dataclass(frozen=True)
class ConnectionId(Setting):
    """The id of an Airflow connection."""

    def value(self) -> str | None:
        """As it is set now. Raises SettingError for what is no id; it may be an address, so it is not shown."""
        text = self.text()
        if text is not None and not re.fullmatch(r"[\w.-]{1,200}", text):
            raise SettingError(
                f"{self.name}: the id of an Airflow connection is needed, for example oncall, and no address. Leave "
                "the setting out where nobody is to be told"
            )
        return text


STUDENT = Setting(
    "AIRFLOW_STUDENT",
    "the published schema is `airflow_<student>`, for yellow taxis `airflow_<student>_yellow`",
    "`default`",
)
POLL = Seconds(
    "PIPELINE_POLL_SECONDS",
    "between two checks for a month that is not available yet; at least 10",
    "3600",
    default=timedelta(hours=1),
    # Airflow's scheduler ends if it hears of the end of one check after the next has begun (apache/airflow#71923)
    at_least=10,
)
KEEP_RUN_SCHEMAS = Seconds(
    "RUN_SCHEMA_KEEP_SECONDS",
    "how long the DAG `taxi_maintenance` leaves a published month's run schema, counted from its last load",
    "each dataset's own: 2592000 for green, 86400 for yellow",
    default=None,
)
KEEP_VERSIONS = Seconds(
    "PIPELINE_KEEP_VERSIONS_SECONDS",
    "how long a version of a month that another file has replaced is kept, so that it can be put back; "
    "`taxi_maintenance` drops older ones",
    "each dataset's own: 7776000 for green, 2592000 for yellow",
    default=None,
)
KEEP_MEBIBYTES = WholeNumber(
    "PIPELINE_KEEP_VERSIONS_MEBIBYTES",
    "how much the kept versions of a dataset may take, in MiB: beyond it the oldest are dropped first; 0 keeps none. A "
    "version takes what its rows do: of green some 10, of yellow some 600",
    "10240",
    default=10 * 1024,
)
RELOAD = Switch(
    "PIPELINE_RELOAD_RESTATED",
    "`true`: where `taxi_restatements` finds that the source has another file for a month, it has the month loaded "
    "again, once for each new file",
    "`false`",
)
RETRY = Seconds(
    "PIPELINE_RETRY_SECONDS",
    "before the first retry of what may heal, counted from the latest clear; doubled each time, four retries. A killed "
    "task waits as long before each",
    "30",
    default=timedelta(seconds=30),
)
SCHEDULE_FROM = OneMonth(
    "PIPELINE_SCHEDULE_FROM",
    "the first month, as `2026-11`, whose run begins by itself; those before it are a backfill's. `make up` sets it to "
    "the month in which the stack was made",
    "the latest that may be published",
)
REPORTS = Place(
    "PIPELINE_REPORTS",
    "where the months' reports lie: a folder that the workers and the api-server share, or an object store's, as "
    "`s3://aws_default@bucket/reports`, with the provider of its scheme installed",
    "`reports`, in the project",
    default=str(ROOT / "reports"),
)
LATE = Seconds(
    "PIPELINE_LATE_SECONDS",
    "how long after TLC usually has a month, 53 days after its end, someone is told that it is not there",
    "1209600",
    default=timedelta(days=14),
)
NOTIFY = ConnectionId(
    "PIPELINE_NOTIFY",
    "the id of the Airflow connection by which [someone is told](../how-to/alerts.md) that a month failed, is late or "
    "was restated",
    "nobody is told",
)
SETTINGS: tuple[Setting, ...] = (
    *(STUDENT, SCHEDULE_FROM, POLL, KEEP_RUN_SCHEMAS, KEEP_VERSIONS, KEEP_MEBIBYTES, RELOAD, RETRY, LATE),
    *(REPORTS, NOTIFY),
)


def markdown_rows() -> list[str]:
    """A row of Markdown for each setting: name, default, meaning."""
    return [f"| `{each.name}` | {each.shown_default} | {each.meaning} |" for each in SETTINGS]
