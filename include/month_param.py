"""The parameter `month` of the DAGs, as Airflow's forms show it."""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.sdk import Param

from include.datasets import Dataset
from include.month import PATTERN
from include.timetable import MonthlyOncePublished


def month_param(dataset: Dataset, title: str, description_md: str) -> Param:
    """Empty, or a month; the form offers those whose files may be there, the latest first."""
    latest = MonthlyOncePublished(dataset.published_after).latest_due(datetime.now(UTC))
    return Param(
        None,
        type=["null", "string"],
        pattern=f"^{PATTERN}$",
        title=title,
        description_md=description_md,
        examples=[str(month) for month in reversed(dataset.first_month.through(latest))],
    )
