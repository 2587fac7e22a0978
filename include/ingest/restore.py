"""Puts a kept version of a month back into the raw tables, as a whole or not at all."""

from __future__ import annotations

import logging
from typing import Any

from psycopg.sql import SQL, Identifier

from include.datasets import Dataset
from include.ingest.choices import require_choice, write_down
from include.ingest.duplicates import refuse_another_months_file
from include.ingest.raw_tables import bring_up_to_date, log_load, logged_digest, place_of
from include.ingest.source_checks import note_loaded_file
from include.ingest.versions import KeptVersion, keep_version, kept_versions
from include.month import Month
from include.runs.month_of_run import SOURCE, Choice
from include.source.address import Address
from include.support.counted import counted
from include.warehouse.session import Warehouse

log = logging.getLogger(__name__)


class VersionNotKept(Exception):
    """The version is not kept, or not any more. The message says which are."""


def restore_month(
    dataset: Dataset, month: Month, choice: Choice, base_url: Address, conninfo: str, schema: str, dag_run: str
) -> list[dict[str, Any]]:
    """Replaces the month's rows by those of a kept version, at which the month then stays.

    The version that is loaded is kept in turn. `choice`: the version, chosen by this run or by an earlier one. If it is
    loaded already, its rows stay, or are written anew. Of the source only another month with the same bytes is asked
    for, and the dataset's other files are not touched. Returns what load_log now says of the month's file; an empty
    list if its rows stay. Raises VersionNotKept, ChoiceChanged, what `refuse_another_months_file` raises, and
    psycopg.Error; after any of them the tables are as they were.
    """
    if choice.dag_run != dag_run:
        log.warning(
            "%s %s stays at the version with SHA-256 %s, which %s put back (dag run %s of %s). The source is not "
            "asked. To let what it has count again: make release DATASET=%s MONTH=%s, or the page Months",
            *(dataset.name, month, choice.version, choice.asked_by or "somebody"),
            *(choice.dag_run, f"{choice.asked_at:%Y-%m-%d %H:%M}", dataset.name, month),
        )
    table = dataset.monthly.table
    with Warehouse(conninfo, schema) as warehouse:
        if warehouse.exists(schema, "load_log"):
            bring_up_to_date(warehouse)
        place = place_of(warehouse, dataset.monthly, month)
        for kept in kept_versions(warehouse, table, month.ds, choice.version):
            warehouse.rollback()
            refuse_another_months_file(warehouse, table, month, kept, base_url)
        # a load takes its locks in the same order: this one after that above, and before those of kept versions
        warehouse.lock(table, month.ds)
        require_choice(warehouse, month, choice)
        found = kept_versions(warehouse, table, month.ds, choice.version)
        loaded = logged_digest(warehouse, place) if warehouse.exists(schema, "load_log") else None
        if len(found) > 1 or (not found and not (loaded and loaded.startswith(choice.version))):
            raise VersionNotKept(_not_kept(dataset, month, choice, kept_versions(warehouse, table, month.ds)))
        note_loaded_file(warehouse, place)
        write_down(warehouse, month, choice, found[0].sha256 if found else str(loaded))
        if not found:
            warehouse.commit()
            log.info("%s: %s is loaded already, and kept nowhere else", month, loaded)
            return []
        [kept] = found
        if loaded not in (None, kept.sha256):
            keep_version(warehouse, place)
        # as the loader does: delete, not truncate
        warehouse.execute("delete from {place}", place=Identifier(*place.relation))
        warehouse.execute(
            "insert into {place} ({columns}) select {columns} from {partitions}.{kept}",
            place=Identifier(*place.relation),
            columns=SQL(", ").join(map(Identifier, dataset.monthly.raw_columns.names)),
            kept=Identifier(kept.kept_as),
        )
        log_load(warehouse, place, kept, kept.rows, kept.unknown_columns, dag_run)
        warehouse.commit()
    log.warning("%s: %s rows of %s put back (sha256 %s)", table, f"{kept.rows:,}", month, kept.sha256)
    facts = {"url": kept.url, "etag": kept.etag, "sha256": kept.sha256, "bytes": kept.bytes, "rows": kept.rows}
    return [
        {
            "table": table,
            **facts,
            "unknown_columns": kept.unknown_columns,
            "restated": loaded not in (None, kept.sha256),
        }
    ]


def _not_kept(dataset: Dataset, month: Month, choice: Choice, kept: list[KeptVersion]) -> str:
    there = ", ".join(str(each) for each in kept if not each.is_loaded) or "none"
    return (
        f"No version {choice.version} of {dataset.name} {month} is kept. Kept of this month: {there}. Nothing was "
        f"changed. A version is kept for {counted(dataset.keep_versions().days, 'day')} after another file has "
        "replaced it, as long as PIPELINE_KEEP_VERSIONS_MEBIBYTES has room; Months in Airflow's navigation shows them. "
        f"What the source has is loaded by a run of the month with version {SOURCE}."
    )
