"""Writes down that somebody accepts an audit that has failed on a month's file: for these bytes, and this audit.

The audit itself has written into audit_log that it failed on the file (dbt/macros/gate/verdicts.sql). That row becomes
the acceptance, so nobody can accept what nobody has looked at. The gate reads it where it publishes.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from include.datasets import Dataset
from include.ingest.raw_tables import logged_digest, place_of
from include.month import Month
from include.runs.acceptance import Acceptance
from include.warehouse.session import Warehouse

log = logging.getLogger(__name__)

# It has failed before somebody asked. One that is accepted stays as it is: who came first has let the month through.
ACCEPT = """
    update {schema}.audit_log set passed = true, judged_at = $1, accepted_by = $2, reason = $3
    where source_month = $4::text::date and audit = $5 and inputs = $6
        and reason is null and not passed and judged_at <= $1
    returning true
"""
OF_FILES = """
    select audit, inputs, passed, judged_at, accepted_by, reason from {schema}.audit_log
    where source_month = $1::text::date and split_part(audit, '.', 3) = $2 and inputs ~ '^file [0-9a-f]{{64}}$'
"""


class NotAccepted(Exception):
    """The audit cannot be accepted. The message names month and audit, and says what to do."""


@dataclass(frozen=True)
class OfFile:
    """What an audit has found on a file, or that this was accepted: `judged_at` is then when it was asked for."""

    audit: str
    inputs: str
    passed: bool
    judged_at: datetime
    accepted_by: str | None
    reason: str | None


def accept(
    dataset: Dataset, month: Month, conninfo: str, schema: str, asked: Acceptance, audits: Mapping[str, str | None]
) -> None:
    """Accepts the audits for the file that is loaded, all of them or none.

    `audits`: by name, the id of each that may be accepted; None for each that may not. Where this run has accepted an
    audit, and another file is loaded since, nothing is accepted, and the log says so: the run was cleared, and judges
    that file as any other does. Raises NotAccepted, and psycopg.Error; after any of them nothing was accepted.
    """
    with Warehouse(conninfo, schema) as warehouse:
        loaded = f"file {logged_digest(warehouse, place_of(warehouse, dataset.monthly, month))}"
        for name in asked.audits:
            values = (asked.asked_at, asked.asked_by, asked.reason, month.ds, audits.get(name) or "", loaded)
            if warehouse.execute(ACCEPT, values=values):
                log.warning("%s %s: %s is accepted for the %s: “%s”", dataset.name, month, name, loaded, asked.reason)
            else:
                _require_accepted(warehouse, dataset, month, name, asked, audits, loaded)
        warehouse.commit()


def _require_accepted(
    warehouse: Warehouse,
    dataset: Dataset,
    month: Month,
    name: str,
    asked: Acceptance,
    audits: Mapping[str, str | None],
    loaded: str,
) -> None:
    """Raises NotAccepted unless the audit was accepted before: for this file, or by this run."""
    known = [OfFile(*row) for row in warehouse.execute(OF_FILES, values=(month.ds, name))]
    of_file = next((each for each in known if each.inputs == loaded and each.audit == audits.get(name)), None)
    if of_file and of_file.reason:
        by, at = of_file.accepted_by or "somebody", _instant(of_file.judged_at)
        log.info("%s was accepted for the %s already, by %s %s: “%s”", name, loaded, by, at, of_file.reason)
        return
    if earlier := next((each for each in known if each.reason and each.judged_at == asked.asked_at), None):
        log.warning(
            "%s: this run has accepted %s for the %s (%s). The %s is loaded now, and is judged like any other",
            *(month, name, earlier.inputs, earlier.audit, loaded),
        )
        return
    raise NotAccepted(
        f"{dataset.name} {month}: {name} {_why_not(name, asked, audits, loaded, of_file)} Nothing was changed."
    )


def _why_not(
    name: str, asked: Acceptance, audits: Mapping[str, str | None], loaded: str, of_file: OfFile | None
) -> str:
    to_accept = ", ".join(sorted(each for each, id in audits.items() if id)) or "none"
    if name not in audits:
        return f"is no audit. Those that may be accepted: {to_accept}. Trigger the DAG anew with one of them."
    if audits[name] is None:
        return (
            "may not be accepted, as it guards the tables themselves, and not what is plausible. RUNBOOK.md, An audit "
            f"fails, says what to do. Those that may be accepted: {to_accept}."
        )
    if of_file and not of_file.passed:
        return (
            f"failed on the {loaded}, which is loaded, {_instant(of_file.judged_at)}, after this run was triggered, "
            f"{_instant(asked.asked_at)}. Look at this file, and if it is right, trigger the DAG anew."
        )
    return (
        f"has not failed on the {loaded}, which is loaded: there is nothing to accept. Where another file was judged, "
        "or an earlier version of the project has judged it, clear the audit's task, and look at what it says now."
    )


def _instant(time: datetime) -> str:
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
