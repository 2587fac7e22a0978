"""The parameters of the DAGs, such as `month` and `version`, as Airflow's forms show them."""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.sdk import Param

from include.datasets import Dataset
from include.month import PATTERN
from include.runs.month_of_run import SOURCE
from include.runs.timetable import MonthlyOncePublished


def month_param(dataset: Dataset, title: str, description_md: str) -> Param:
    """The param `month`: empty, or a month. The form offers the months whose files may be there, the latest first."""
    latest = MonthlyOncePublished(dataset.published_after).latest_due(datetime.now(UTC))
    return Param(
        None,
        type=["null", "string"],
        pattern=f"^{PATTERN}$",
        title=title,
        description_md=description_md,
        examples=[str(month) for month in reversed(dataset.first_month.through(latest))],
    )


def version_param() -> Param:
    """The param `version`: empty, the first digits of a SHA-256, or `source`."""
    return Param(
        None,
        type=["null", "string"],
        pattern=f"^([0-9a-f]{{8,64}}|{SOURCE})$",
        title="Kept version to put back",
        description_md="Empty: the month is loaded from the source, or from the version that was put back. To undo a "
        "restatement: the first 8 digits or more of the SHA-256 of a version that *Months* shows as kept. The month "
        f"stays at it until another run asks for `{SOURCE}`, which lets what the source has count again.",
    )


def rebuild_param() -> Param:
    """The param `rebuild`: whether the month is made anew from the rows that are loaded."""
    return Param(
        False,
        type="boolean",
        title="Rebuild from the loaded rows",
        description_md="Off: the month is loaded from the source. On: it is not asked, and the models are built, "
        "audited and published anew from the raw rows that are loaded, for example after a model has changed.",
    )


def accept_params() -> dict[str, Param]:
    """The params `accept`, empty or names of audits, and `reason`."""
    return {
        "accept": Param(
            None,
            type=["null", "string"],
            pattern=r"^[\w\s,]*$",
            title="Audits to accept",
            description_md="Empty: an audit that fails keeps the month out. To let a month through that is odd and "
            "right: the name of the audit that failed on the file that is loaded, for this file alone; several with "
            "commas between them. The month is then rebuilt from the loaded rows.",
        ),
        "reason": Param(
            None,
            type=["null", "string"],
            maxLength=500,
            title="Why the month is right",
            description_md="Needed with *Audits to accept*. Readers of *Months* and of the month's report see it, with "
            "your name.",
        ),
    }
