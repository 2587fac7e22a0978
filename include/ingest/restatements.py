"""Finds restated months: the source has another file for them than the one that is loaded."""

from __future__ import annotations

import hashlib
import logging
from datetime import datetime, timedelta
from typing import Any

from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import TaskDeferred

from include.alerts.month_alerts import tell_of_withdrawn
from include.alerts.outbox import notify
from include.alerts.runbook import RESTATED
from include.datasets import Dataset
from include.ingest.source_checks import loaded_months, note_answers, restated_months
from include.month import Month
from include.settings import RELOAD
from include.source.address import base_url
from include.source.etag_trigger import GENTLY, AskSource, SourceNotAsked, digest
from include.support.counted import counted
from include.warehouse.connection import warehouse_dsn
from include.warehouse.session import Warehouse

log = logging.getLogger(__name__)

SHOWN = 3
# The most time that the triggerer takes, and some more for one that is restarted meanwhile.
TRIGGERER_SECONDS = GENTLY.most + 600


class FindRestated(BaseOperator):
    """Asks the source for each loaded month of the dataset, in the triggerer, and records the answers.

    Where PIPELINE_RELOAD_RESTATED is true, returns the runs that are to load restated months again: `month`, and
    `run_id`, which is the same for the same file.
    """

    def __init__(self, *, dataset: Dataset, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.dataset = dataset

    def execute(self, context: Context) -> list[dict[str, str]]:
        with self._warehouse() as warehouse:
            asked_at, loaded = loaded_months(warehouse, self.dataset)
        if not loaded:
            log.info("No month of %s is loaded", self.dataset.name)
            return []
        host, monthly = self.dataset.host, self.dataset.monthly
        paths = {str(each.month): monthly.path.format(month=each.month) for each in loaded}
        raise TaskDeferred(
            trigger=AskSource(host.variable, host.address, digest(base_url(self.dataset)), paths),
            method_name="write_down",
            kwargs={"asked_at": asked_at.isoformat()},
            timeout=timedelta(seconds=TRIGGERER_SECONDS),
        )

    def write_down(self, context: Context, event: dict[str, Any], asked_at: str) -> list[dict[str, str]]:
        """Records the answers; then raises SourceNotAsked if months had none. It may run again with the same event."""
        if fault := event.get("fault"):
            raise SourceNotAsked(f"{self.dataset.name} was not asked for: {fault}. Mend it; then clear.")
        found = find_restated(
            self.dataset,
            self._warehouse(),
            base_url(self.dataset),
            {Month.parse(month): (etag, length) for month, (etag, length) in event["answers"].items()},
            datetime.fromisoformat(asked_at),
        )
        for month, why in event["refused"].items():
            tell_of_withdrawn(self.dataset, Month.parse(month), why)
        if silent := event["silent"]:
            asked = sum(len(event[what]) for what in ("answers", "refused", "silent"))
            shown = "; ".join(f"{month}: {why}" for month, why in sorted(silent.items())[:SHOWN])
            raise SourceNotAsked(
                f"{len(silent)} of {counted(asked, 'loaded month')} of {self.dataset.name} were not answered "
                f"({shown}). The others are written down. The next daily run asks again; or clear this task, once the "
                f"source answers. If every month is refused, check the Airflow variable {self.dataset.host.variable}."
            )
        return found

    def _warehouse(self) -> Warehouse:
        return Warehouse(warehouse_dsn(), self.dataset.published_schema())


def find_restated(
    dataset: Dataset,
    warehouse: Warehouse,
    base_url: str,
    answers: dict[Month, tuple[str | None, int | None]],
    asked_at: datetime,
) -> list[dict[str, str]]:
    """Records the answers, tells of restated months, and returns the runs that are to load them again.

    For the same file the run has the same id each time, and Airflow makes no second run with an id. Closes the
    warehouse. Raises psycopg.Error.
    """
    with warehouse:
        _, loaded = loaded_months(warehouse, dataset)
        urls = {each.month: each.url for each in loaded}
        # an ETag of one server says nothing of another's
        comparable = {month for month in answers if urls.get(month) == dataset.monthly.url(base_url, month)}
        known = {month: (etag if month in comparable else None, length) for month, (etag, length) in answers.items()}
        note_answers(warehouse, known, asked_at)
        restated = restated_months(warehouse, dataset)
        warehouse.commit()
    log.info("%s: %s months answered, %s restated", dataset.name, len(answers), len(restated))
    if by_length := sorted(str(month) for month, (etag, _) in known.items() if etag is None):
        log.info(
            "compared by length alone, as the server gives no ETag, or another address was loaded from: %s",
            ", ".join(by_length),
        )
    for each in restated:
        log.warning("%s %s is restated since %s: %s", dataset.name, each.month, f"{each.since:%Y-%m-%d}", each)
        if not each.settled:
            text = f"The source has another file for {dataset.name} {each.month}: {each}."
            if each.pinned:
                text += (
                    " It is not loaded: the month stays at the version that was put back. To let what the source has "
                    f"count again: make release DATASET={dataset.name} MONTH={each.month}, or Months in Airflow's "
                    "navigation."
                )
            notify(dataset=dataset, month=each.month, cause=RESTATED.cause, text=text, section=RESTATED.heading)
    to_load = [each for each in restated if not each.pinned] if RELOAD.value() else []
    return [{"month": str(each.month), "run_id": f"restated__{each.month}__{_short(each.version)}"} for each in to_load]


def _short(version: str) -> str:
    return hashlib.sha256(version.encode()).hexdigest()[:8]
