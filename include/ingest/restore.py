"""Puts a kept version of a month back into the raw tables, as a whole or not at all."""

from __future__ import annotations

import logging
from typing import Any

from psycopg.sql import SQL, Identifier

from include.datasets import Dataset
from include.ingest.load import refuse_another_months_file
from include.ingest.raw_tables import log_load, logged_digest, place_of
from include.ingest.source_checks import settle_loaded_file
from include.ingest.versions import KeptVersion, keep_version, kept_versions
from include.month import Month
from include.warehouse.session import Warehouse

log = logging.getLogger(__name__)


class VersionNotKept(Exception):
    """The version is not kept, or not any more. The message says which are."""


def restore_month(
    dataset: Dataset, month: Month, version: str, conninfo: str, schema: str, dag_run: str
) -> list[dict[str, Any]]:
    """Replaces the month's rows by those of a kept version. The version that is loaded is kept in turn.

    `version`: the first digits of its file's SHA-256. If it is loaded already, its rows stay, or are written anew. The
    source is not asked, and the dataset's other files are not touched. Returns what load_log now says of the month's
    file; an empty list if its rows stay. Raises VersionNotKept, what `refuse_another_months_file` raises, and
    psycopg.Error; after any of them the tables are as they were.
    """
    table = dataset.monthly.table
    with Warehouse(conninfo, schema) as warehouse:
        place = place_of(warehouse, dataset.monthly, month)
        for kept in kept_versions(warehouse, table, month.ds, version):
            warehouse.rollback()
            refuse_another_months_file(warehouse, table, month, kept)
        # a load takes its locks in the same order: this one after that above, and before those of kept versions
        warehouse.lock(table, month.ds)
        found = kept_versions(warehouse, table, month.ds, version)
        loaded = logged_digest(warehouse, place) if warehouse.exists(schema, "load_log") else None
        if len(found) != 1:
            if not found and loaded and loaded.startswith(version):
                log.info("%s: %s is loaded already, and kept nowhere else", month, loaded)
                return []
            raise VersionNotKept(_not_kept(dataset, month, version, kept_versions(warehouse, table, month.ds)))
        [kept] = found
        if loaded not in (None, kept.sha256):
            keep_version(warehouse, place)
            settle_loaded_file(warehouse, place)
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
    return [{"table": table, **facts, "unknown_columns": kept.unknown_columns, "restated": loaded != kept.sha256}]


def _not_kept(dataset: Dataset, month: Month, version: str, kept: list[KeptVersion]) -> str:
    there = ", ".join(str(each) for each in kept if not each.is_loaded) or "none"
    return (
        f"No version {version} of {dataset.name} {month} is kept. Kept of this month: {there}. Nothing was changed. A "
        f"version is kept for {dataset.keep_versions().days} days after another file has replaced it, as long as "
        "PIPELINE_KEEP_VERSIONS_MEBIBYTES has room; Months in Airflow's navigation shows them. What the source has is "
        "loaded by a run of the month without version."
    )
