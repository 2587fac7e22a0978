"""Every name and setting that more than one file needs. Importable without Airflow."""

from __future__ import annotations

import os
import re
from datetime import timedelta
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DBT_PROJECT = ROOT / "dbt"
DBT_MANIFEST = DBT_PROJECT / "manifest" / "manifest.json"  # include.manifest makes it
DBT_PROFILES = ROOT / "profiles" / "profiles.yml"

DAG_ID = "taxi_pipeline"
WAREHOUSE_CONNECTION = "azure_pg"
BASE_URL_VARIABLE = "tlc_base_url"

# Postgres cuts identifiers at 63 bytes without an error; the longest name made from the student is
# `airflow_<student>_<yyyymmdd>_<8 hex digits>`.
STUDENT_MAX_LENGTH = 63 - len("airflow_") - len("_20240101_0123abcd")


class SettingError(ValueError):
    """A setting has a value that cannot work. The message names the setting and what it may be."""


def published_schema(student: str | None = None) -> str:
    """Schema of the raw and published tables, `airflow_<student>`; the student defaults to AIRFLOW_STUDENT."""
    if student is None:
        student = os.environ.get("AIRFLOW_STUDENT", "default")
    if not re.fullmatch(rf"[a-z0-9_]{{1,{STUDENT_MAX_LENGTH}}}", student):
        raise SettingError(
            f"AIRFLOW_STUDENT={student!r}: use 1 to {STUDENT_MAX_LENGTH} lower-case letters, digits or underscores"
        )
    if re.search(r"_(\d{8}(_[0-9a-f]{8})?|partitions)$", student):
        raise SettingError(
            f"AIRFLOW_STUDENT={student!r} reads like one of this project's own schemas: "
            "it may not end in _<8 digits>, _<8 digits>_<8 hex digits> or _partitions"
        )
    return f"airflow_{student}"


def seconds(variable: str, default: timedelta, at_least: int = 1) -> timedelta:
    """A duration from the environment, whole seconds."""
    text = os.environ.get(variable)
    if text is None:
        return default
    if not re.fullmatch(r"[1-9]\d{0,7}", text) or int(text) < at_least:
        raise SettingError(
            f"{variable}={text!r}: a whole number of seconds is needed, at least {at_least}, for example 3600"
        )
    return timedelta(seconds=int(text))


def poll_interval() -> timedelta:
    """How long to wait between two checks for a month that is not available yet."""
    # Airflow's scheduler ends if it hears of the end of one check after the next has begun (apache/airflow#71923)
    return seconds("PIPELINE_POLL_SECONDS", timedelta(hours=1), at_least=10)
