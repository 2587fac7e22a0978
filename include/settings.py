"""Every name and setting that more than one file needs. Importable without Airflow.

`python -m include settings` prints the settings as rows of the table in docs/reference/settings.md.
"""

from __future__ import annotations

import hashlib
import os
import re
from base64 import urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Generic, TypeVar

from include.month import Month, MonthError

ROOT = Path(__file__).resolve().parents[1]
DBT_PROJECT = ROOT / "dbt"
DBT_MANIFEST = DBT_PROJECT / "manifest" / "manifest.json"  # include.transform.manifest makes it
DBT_DOCS = DBT_PROJECT / "site" / "index.html"  # include.transform.dbt_docs makes it
DBT_LINEAGE = DBT_PROJECT / "site" / "lineage.json"  # and this; include.lineage.graph reads it
DBT_PROFILES = ROOT / "profiles" / "profiles.yml"

WAREHOUSE_CONNECTION = "azure_pg"
NOT_SET = "not set"

Value = TypeVar("Value")


class SettingError(ValueError):
    """A setting has a value that cannot work. The message names the setting and what it may be."""


@dataclass(frozen=True, kw_only=True)
class Setting(Generic[Value]):
    """A variable of the environment.

    `meaning` and `shown_default`: for the table of settings. `default`: the value where the variable is not set.
    `parse`: makes the value from the text; the words of the ValueError that it raises follow the name. `show`: writes
    the value. `is_secret`: the text may hold a password.
    """

    name: str
    meaning: str
    shown_default: str
    default: Value
    parse: Callable[[str], Value]
    show: Callable[[Any], str] = str
    is_secret: bool = False

    def text(self) -> str | None:
        """The variable's text; None where it is not set."""
        return os.environ.get(self.name)

    def value(self) -> Value:
        """The variable's value, else the default. Raises SettingError for a text that `parse` refuses."""
        text = self.text()
        return self.default if text is None else self.parsed(text)

    def parsed(self, text: str) -> Value:
        """The value that the text stands for. Raises SettingError, which names the variable."""
        try:
            return self.parse(text)
        except ValueError as error:
            raise SettingError(f"{self.name}{error}") from None

    def shown(self) -> str:
        """The value as it is compared between processes: `not set` for None, and a secret's text as a hash."""
        return hashed(self.text()) if self.is_secret else self.as_text(self.value())

    def as_text(self, value: Value) -> str:
        """The value in words: `not set` for None."""
        return NOT_SET if value is None else self.show(value)


def hashed(text: str | None) -> str:
    """`#` and 24 bits of a hash of the text, from which nobody can read it; `not set` where there is none."""
    return f"#{urlsafe_b64encode(hashlib.sha256(text.encode()).digest()[:3]).decode()}" if text else NOT_SET


def _seconds(at_least: int = 1) -> Callable[[str], timedelta]:
    def parse(text: str) -> timedelta:
        if not re.fullmatch(r"[1-9]\d{0,7}", text) or int(text) < at_least:
            raise ValueError(f"={text!r}: a whole number of seconds is needed, at least {at_least}, for example 3600")
        return timedelta(seconds=int(text))

    return parse


def _in_seconds(duration: timedelta) -> str:
    return str(int(duration.total_seconds()))


def _mebibytes(text: str) -> int:
    if not re.fullmatch(r"0|[1-9]\d{0,8}", text):
        raise ValueError(f"={text!r}: a whole number is needed, 0 or more, for example 10240")
    return int(text)


def _true_or_false(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError(f"={text!r}: true or false is needed")
    return text == "true"


def _month(text: str) -> Month:
    try:
        return Month.parse(text)
    except MonthError as error:
        raise ValueError(f": {error}") from None


def _place(text: str) -> str:
    if not text:
        raise ValueError(" is empty: a folder is needed, or an object store's, such as s3://bucket/reports")
    return text


def _connection_id(text: str) -> str:
    """Raises ValueError for another text, without showing it: somebody may have given an address with a password."""
    if not re.fullmatch(r"[\w.-]{1,200}", text):
        raise ValueError(
            ": the id of an Airflow connection is needed, for example oncall, and no address. Leave the setting out "
            "where nobody is to be told"
        )
    return text


STUDENT = Setting(
    name="AIRFLOW_STUDENT",
    meaning="the published schema is `airflow_<student>`, for yellow taxis `airflow_<student>_yellow`",
    shown_default="`default`",
    default="default",
    parse=str,  # include.datasets.checked_student knows which names can be part of a schema's
)
POLL = Setting(
    name="PIPELINE_POLL_SECONDS",
    meaning="between two checks for a month that is not available yet; at least 10",
    shown_default="3600",
    default=timedelta(hours=1),
    # Airflow's scheduler ends if it hears of the end of one check after the next has begun (apache/airflow#71923)
    parse=_seconds(at_least=10),
    show=_in_seconds,
)
KEEP_RUN_SCHEMAS = Setting[timedelta | None](
    name="RUN_SCHEMA_KEEP_SECONDS",
    meaning="how long the DAG `taxi_maintenance` leaves a published month's run schema, counted from its last load",
    shown_default="each dataset's own: 2592000 for green, 86400 for yellow",
    default=None,
    parse=_seconds(),
    show=_in_seconds,
)
KEEP_VERSIONS = Setting[timedelta | None](
    name="PIPELINE_KEEP_VERSIONS_SECONDS",
    meaning="how long a version of a month that another file has replaced is kept, so that it can be put back; "
    "`taxi_maintenance` drops older ones",
    shown_default="each dataset's own: 7776000 for green, 2592000 for yellow",
    default=None,
    parse=_seconds(),
    show=_in_seconds,
)
KEEP_MEBIBYTES = Setting(
    name="PIPELINE_KEEP_VERSIONS_MEBIBYTES",
    meaning="how much the kept versions of a dataset may take, in MiB: beyond it the oldest are dropped first; 0 keeps "
    "none. A version takes what its rows do: of green some 10, of yellow some 600",
    shown_default="10240",
    default=10 * 1024,
    parse=_mebibytes,
)
RELOAD = Setting(
    name="PIPELINE_RELOAD_RESTATED",
    meaning="`true`: where `taxi_restatements` finds that the source has another file for a month, it has the month "
    "loaded again, once for each new file; not a month to which an earlier version was put back",
    shown_default="`false`",
    default=False,
    parse=_true_or_false,
)
RETRY = Setting(
    name="PIPELINE_RETRY_SECONDS",
    meaning="before the first retry of what may heal, counted from the latest clear; doubled each time, four retries. "
    "A killed task waits as long before each",
    shown_default="30",
    default=timedelta(seconds=30),
    parse=_seconds(),
    show=_in_seconds,
)
SCHEDULE_FROM = Setting[Month | None](
    name="PIPELINE_SCHEDULE_FROM",
    meaning="the first month, as `2026-11`, whose run begins by itself; those before it are a backfill's. `make up` "
    "sets it to the month in which the stack was made",
    shown_default="the latest that may be published",
    default=None,
    parse=_month,
)
REPORTS = Setting[str | None](
    name="PIPELINE_REPORTS",
    meaning="where the months' reports lie: a folder that the workers and the api-server share, or an object store's, "
    "as `s3://aws_default@bucket/reports`, with the provider of its scheme installed",
    shown_default="`reports`, in the folder of Airflow's logs",
    default=None,  # include.report.store knows Airflow's folder of logs
    parse=_place,
    is_secret=True,
)
LATE_AFTER = Setting(
    name="PIPELINE_LATE_SECONDS",
    meaning="how long after TLC usually has a month, 53 days after its end, someone is told that it is not there",
    shown_default="1209600",
    default=timedelta(days=14),
    parse=_seconds(),
    show=_in_seconds,
)
NOTIFY = Setting[str | None](
    name="PIPELINE_NOTIFY",
    meaning="the id of the Airflow connection by which [someone is told](../how-to/alerts.md) that a month failed, is "
    "late or was restated",
    shown_default="nobody is told",
    default=None,
    parse=_connection_id,
)
SETTINGS: tuple[Setting[Any], ...] = (
    *(STUDENT, SCHEDULE_FROM, POLL, KEEP_RUN_SCHEMAS, KEEP_VERSIONS, KEEP_MEBIBYTES, RELOAD, RETRY, LATE_AFTER),
    *(REPORTS, NOTIFY),
)


def markdown_rows() -> list[str]:
    """A row of Markdown for each setting: name, default, meaning."""
    return [f"| `{each.name}` | {each.shown_default} | {each.meaning} |" for each in SETTINGS]
