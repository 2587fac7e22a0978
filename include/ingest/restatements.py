"""Finds restated months: the source has another file for them than the one that is loaded."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import requests
from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import TaskDeferred

from include.alerts.month_alerts import tell_of_withdrawn
from include.alerts.outbox import notify
from include.alerts.runbook import RESTATED
from include.datasets import Dataset
from include.ingest.source_checks import LoadedMonth, loaded_months, note_answers, restated_months
from include.month import Month
from include.settings import RELOAD
from include.source.address import Address
from include.source.base_url import base_url
from include.source.download import DownloadError, has_bytes, is_same_etag
from include.source.etag_trigger import GENTLY, AskSource, SourceNotAsked, digest
from include.support.counted import counted
from include.warehouse.connection import warehouse_dsn
from include.warehouse.session import Warehouse

log = logging.getLogger(__name__)

Answer = tuple[str | None, int | None]  # ETag and length in bytes

SHOWN = 3
# So many files of each kind of doubt are downloaded a day: two of yellow trips take some 120 MB.
SAMPLE = 2
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
    base_url: Address,
    answers: dict[Month, Answer],
    asked_at: datetime,
) -> list[dict[str, str]]:
    """Records the answers, tells of restated months, and returns the runs that are to load them again.

    Where an answer is another than that of the load, the bytes of some such files are compared first: see `_by_bytes`.
    For the same file the run has the same id each time, and Airflow makes no second run with an id. Closes the
    warehouse. Raises psycopg.Error.
    """
    with warehouse:
        _, loaded = loaded_months(warehouse, dataset)
        told_before = {each.month: (each.etag, each.bytes) for each in restated_months(warehouse, dataset)}
        warehouse.commit()
        addresses = {month: base_url.below(dataset.monthly.path.format(month=month)) for month in answers}
        # an ETag of one server says nothing of another's
        there = {each.month: each for each in loaded if base_url.of(each.url) == addresses.get(each.month)}
        known = {month: (etag if month in there else None, length) for month, (etag, length) in answers.items()}
        for month, loaded_month in there.items():
            etag, length = known[month]
            if etag and loaded_month.etag and is_same_etag(etag, loaded_month.etag):
                known[month] = loaded_month.etag, length
        doubtful = [
            each
            for month, each in there.items()
            if _differs(each, known[month]) and known[month] != told_before.get(month)
        ]
        known |= _by_bytes(doubtful, known, addresses, asked_at)
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


def _differs(loaded: LoadedMonth, answer: Answer) -> bool:
    """Whether the answer is another than that of the load, as include.ingest.source_checks.IS_RESTATED has it."""
    etag, length = answer
    return etag != loaded.etag if etag and loaded.etag else length not in (None, loaded.bytes)


def _by_bytes(
    doubtful: Iterable[LoadedMonth], answers: dict[Month, Answer], addresses: dict[Month, Address], asked_at: datetime
) -> dict[Month, Answer]:
    """The answers of the load, for months whose file has still the bytes that are loaded, whatever its server says.

    Servers give another ETag on each of their nodes, or after a move, or the length of a compressed answer. Of the
    months with another ETag and the same length, and of those with another length, SAMPLE are downloaded, each day
    others. If one has the loaded bytes, the server's word is worth nothing, and the rest of its kind count as
    unchanged until they are downloaded. A file that cannot be downloaded says nothing.
    """
    found: dict[Month, Answer] = {}
    for same_length in (True, False):
        kind = [each for each in doubtful if (answers[each.month][1] in (None, each.bytes)) == same_length]
        first = asked_at.toordinal() * SAMPLE % len(kind) if kind else 0
        sample = (kind[first:] + kind[:first])[:SAMPLE]
        has_same_bytes = {each.month: _has_loaded_bytes(each, addresses[each.month]) for each in sample}
        if True in has_same_bytes.values():
            unchanged = [each for each in kind if has_same_bytes.get(each.month, True)]
            found |= {each.month: (each.etag, each.bytes) for each in unchanged}
            log.warning(
                "The source gives another %s for files that stay the same, byte for byte: %s of %s were downloaded, "
                "and the others of them count as unchanged: %s",
                *("ETag" if same_length else "length", len(sample), len(kind)),
                ", ".join(str(each.month) for each in unchanged),
            )
    return found


def _has_loaded_bytes(loaded: LoadedMonth, address: Address) -> bool | None:
    """None where the file cannot be downloaded."""
    try:
        return has_bytes(address, loaded.sha256)
    except (requests.RequestException, DownloadError) as error:
        log.warning("%s: its bytes were not compared: %s", loaded.month, error)
        return None


def _short(version: str) -> str:
    return hashlib.sha256(version.encode()).hexdigest()[:8]
