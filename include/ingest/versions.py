"""Versions of months that another file has replaced: kept for a while, so that they can be put back."""

from __future__ import annotations

import logging
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any

from psycopg.sql import Identifier

from include.ingest.raw_tables import FilePlace
from include.source.download import FileVersion
from include.warehouse.session import Warehouse

log = logging.getLogger(__name__)

# Of a version whose rows are kept already, from when the month was replaced once before, only the time is new.
LOG_THE_KEPT = """
    insert into {schema}.kept_versions
    select load_log.*, now(), $3::text from {schema}.load_log where table_name = $1 and source_month = $2::text::date
    on conflict (table_name, source_month, sha256) do update set kept_at = excluded.kept_at
    returning kept_as = $3::text
"""
OF_MONTH = """
    select
        kept.url, kept.etag, kept.sha256, kept.bytes, kept.rows, kept.unknown_columns, kept.loaded_at,
        kept_at, kept_as, loaded.sha256 is not null
    from {schema}.kept_versions as kept
    left join {schema}.load_log as loaded using (table_name, source_month, sha256)
    where table_name = $1 and source_month = $2::text::date and starts_with(kept.sha256, $3)
    order by kept_at desc
    for share of kept
"""
# Sizes are of what is kept before, the newest first: so the oldest are beyond the most.
TO_DROP = """
    select kept_as, kept_at, source_month, sha256, size
    from (
        select
            *,
            sum(size) over (order by kept_at desc, kept_as) as size_with_newer
        from (
            select
                *,
                coalesce(pg_total_relation_size(to_regclass(format('%I.%I', $1::text, kept_as))), 0)::bigint as size
            from {schema}.kept_versions
        ) as with_sizes
    ) as in_order
    where kept_at < now() - $2::text::interval or size_with_newer > $3
    order by kept_at
"""


@dataclass(frozen=True, kw_only=True)
class KeptVersion(FileVersion):
    """A version whose rows are in the table `kept_as`, beside the partitions. `kept_at`: since when it is replaced.

    `is_loaded`: it was put back since.
    """

    rows: int
    unknown_columns: list[str]
    loaded_at: datetime
    kept_at: datetime
    kept_as: str
    is_loaded: bool

    def __str__(self) -> str:
        return f"{self.sha256[:12]} (loaded {self.loaded_at:%Y-%m-%d})"


def keep_version(warehouse: Warehouse, place: FilePlace) -> None:
    """Keeps the rows and the line in load_log of what is loaded now, in the warehouse's current transaction."""
    [[file_id]] = warehouse.execute(
        "select file_id from {schema}.load_log where table_name = $1 and source_month = $2::text::date",
        values=(place.table, place.ds),
    )
    kept_as = f"{place.relation[1]}_kept_{file_id}"
    [[is_new]] = warehouse.execute(LOG_THE_KEPT, values=(place.table, place.ds, kept_as))
    if is_new:
        # a copy: to detach the partition instead would wait for every reader of every month, and hold up those behind
        warehouse.execute(
            "create table {partitions}.{kept} as select * from {place}",
            kept=Identifier(kept_as),
            place=Identifier(*place.relation),
        )
    log.info("%s: the version that is replaced is kept as %s.%s", place.table, warehouse.partitions, kept_as)


def kept_versions(warehouse: Warehouse, table: str, ds: str, version: str = "") -> list[KeptVersion]:
    """Those of the month whose SHA-256 begins so, the one replaced last first; what is loaded now may be among them.

    None of them is dropped before the transaction ends.
    """
    if not warehouse.exists(warehouse.schema, "kept_versions"):
        return []
    found = warehouse.execute(OF_MONTH, values=(table, ds, version))
    names = [each.name for each in fields(KeptVersion)]
    return [KeptVersion(**dict(zip(names, row, strict=True))) for row in found]


def drop_kept_versions(
    warehouse: Warehouse, most_mebibytes: int, older_than: timedelta = timedelta(days=100 * 366)
) -> dict[str, int]:
    """Drops what was replaced longer ago than that, and the oldest beyond the most; returns their sizes in bytes.

    Commits after each. One that is being read, or put back, is left for the next time. Raises psycopg.Error for other
    trouble.
    """
    if not warehouse.exists(warehouse.schema, "kept_versions"):
        return {}
    seconds = f"{older_than.total_seconds()} seconds"
    found = warehouse.execute(TO_DROP, values=(warehouse.partitions, seconds, most_mebibytes * 2**20))
    warehouse.commit()
    dropped = {}
    for kept_as, kept_at, month, sha256, size in found:
        if _drop(warehouse, kept_as, kept_at):
            dropped[kept_as] = size
            log.info("dropped the kept version %s of %s, %s MiB", sha256[:12], f"{month:%Y-%m}", f"{size / 2**20:,.1f}")
    return dropped


def _drop(warehouse: Warehouse, kept_as: str, kept_at: datetime) -> bool:
    """Not one that was replaced once more since."""
    deleted: list[tuple[Any, ...]] = []

    def drop() -> None:
        deleted[:] = warehouse.execute(
            "delete from {schema}.kept_versions where kept_as = $1 and kept_at = $2 returning true",
            values=(kept_as, kept_at),
        )
        if deleted:
            warehouse.execute("drop table if exists {partitions}.{kept}", kept=Identifier(kept_as))

    if not warehouse.commit_unless_in_use(drop):
        log.info("the kept version %s is in use; left for the next time", kept_as)
        return False
    return bool(deleted)
