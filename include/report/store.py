"""Stores the months' reports in a folder or an object store, by dataset and month."""

from __future__ import annotations

import uuid
from pathlib import Path

from airflow.configuration import conf
from airflow.sdk import ObjectStoragePath

from include.month import Month
from include.settings import REPORTS


def reports_place() -> str:
    """The folder, or the object store's address, that all reports lie in. Raises SettingError.

    By default in `[logging] base_log_folder`: the one place that Airflow's processes write to in every deployment, and
    that Astro's containers, and a Helm chart with a volume for logs, share.
    """
    return REPORTS.value() or str(Path(conf.get("logging", "base_log_folder"), "reports"))


def report_file(schema: str, month: Month) -> ObjectStoragePath:
    """The report's file, whether it is there or not. `schema` is the dataset's published schema."""
    return ObjectStoragePath(reports_place()) / schema / f"{month}.html"


def replace_report(schema: str, month: Month, page: str) -> str:
    """Writes the page, and replaces the month's earlier one in one step. Returns its address.

    Raises OSError, or what the object store's client raises.
    """
    file = report_file(schema, month)
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.parent / f".{file.name}.{uuid.uuid4().hex}"
    try:
        new.write_text(page, encoding="utf-8")
        new.replace(file)
    finally:
        new.unlink(missing_ok=True)
    return str(file)
