"""Tells someone of a month that is late, or departs from others, and of a file that was restated or withdrawn."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from include.alerts.channels import Message
from include.alerts.outbox import close_alerts, notify, title_of
from include.alerts.runbook import DEPARTED, RESTATED, UNAVAILABLE
from include.datasets import Dataset
from include.month import Month
from include.profiles.departures import Departure, affected_by
from include.profiles.published import published_departures
from include.settings import LATE_AFTER
from include.support.counted import counted
from include.warehouse.session import Warehouse

log = logging.getLogger(__name__)


def is_late(dataset: Dataset, month: Month, now: datetime) -> bool:
    """Whether a month that is not there is late: PIPELINE_LATE_SECONDS after the host usually has it."""
    return now > month.end + dataset.usually_published_after + LATE_AFTER.value()


def tell_if_late(dataset: Dataset, month: Month, now: datetime) -> None:
    """Tells that the month's file is not there, if it is late. `now`: an aware time."""
    if is_late(dataset, month, now):
        file, usual = dataset.monthly.path.format(month=month), dataset.usually_published_after.days
        notify(
            dataset=dataset,
            month=month,
            cause="it is late",
            text=f"{file} is not there, {counted((now - month.end).days, 'day')} after the month ended. Usually it is "
            f"after {usual}. The run waits for it, and goes on by itself.",
            section=UNAVAILABLE.heading,
        )


def tell_of_restated(dataset: Dataset, month: Month, loaded: Iterable[Mapping[str, Any]]) -> None:
    """Tells of each file that has changed since its last load. `loaded`: what `load_month` returns."""
    files = {file.table: file for file in dataset.files}
    for facts in loaded:
        if facts["restated"]:
            file = files[facts["table"]]
            path = file.path.format(month=month)
            notify(
                dataset=dataset,
                month=month,
                cause=RESTATED.cause if file.is_monthly else f"{path} was restated",
                text=f"{path} is another file than at its last load. It is loaded now, and its figures are published "
                f"once its audits have passed. SHA-256 {facts['sha256']}",
                section=RESTATED.heading,
            )


def tell_of_withdrawn(dataset: Dataset, month: Month, why: str) -> None:
    """Tells that the source refuses a month that it had, and gives others."""
    text = f"The source no longer gives the file of {dataset.name} {month} ({why}). What is loaded stays."
    log.warning(text)
    notify(dataset=dataset, month=month, cause="its file was withdrawn", text=text, section=RESTATED.heading)


def close_after_publication(dataset: Dataset, month: Month) -> None:
    """Closes the month's alerts, and tells of each month that departs from its neighbours since then. Raises nothing.

    Only months are looked at that this one has a part in, so it takes as long however many are published.
    """

    def find(warehouse: Warehouse) -> dict[Month, Message | None]:
        affected = affected_by(month)
        found = published_departures(warehouse.execute, dataset, warehouse.schema, affected)
        return {each: _told(dataset, each, found[each]) if each in found else None for each in affected}

    close_alerts(dataset, month, find if dataset.profile else None)


def _told(dataset: Dataset, month: Month, found: Iterable[Departure]) -> Message:
    """Without a link: most such months are others than that of the task that runs here."""
    text = f"{dataset.name} {month} is published, and its audits have passed. But it departs from the months around it:"
    title = title_of(dataset, month, DEPARTED.cause)
    return Message(title, "\n".join([text, *map(str, found)]), DEPARTED.heading, link="")
