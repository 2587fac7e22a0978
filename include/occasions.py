"""What else than a failure someone is told of: a month that is late, a file that was restated."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from include.datasets import Dataset
from include.month import Month
from include.notify import notify
from include.runbook import LATE, RESTATED
from include.settings import LATE as LATE_AFTER


def is_late(dataset: Dataset, month: Month, now: datetime) -> bool:
    """Whether a month that is not there should be: PIPELINE_LATE_SECONDS after the host usually has it."""
    return now > month.end + dataset.usually_published_after + LATE_AFTER.value()


def tell_if_late(dataset: Dataset, month: Month, now: datetime) -> None:
    """Tells of a month whose file is not there; `now` is an aware time."""
    if is_late(dataset, month, now):
        file, usual = dataset.monthly.path.format(month=month), dataset.usually_published_after.days
        notify(
            dataset=dataset,
            month=month,
            cause="it is late",
            text=f"{file} is not there, {(now - month.end).days} days after the month ended. Usually it is after "
            f"{usual}. The run waits for it, and goes on by itself.",
            section=LATE.heading,
        )


def tell_of_restated(dataset: Dataset, month: Month, loaded: Iterable[Mapping[str, Any]]) -> None:
    """Tells of each file that is another than at its last load; `loaded` is what `include.load.load_month` returns."""
    for file, facts in zip(dataset.files, loaded, strict=True):
        if facts["restated"]:
            path = file.path.format(month=month)
            notify(
                dataset=dataset,
                month=month,
                cause=RESTATED.cause if file.is_monthly else f"{path} was restated",
                text=f"{path} is another file than at its last load. It is loaded now, and its figures are published "
                f"once its audits have passed. SHA-256 {facts['sha256']}",
                section=RESTATED.heading,
            )
