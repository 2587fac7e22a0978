"""Keeps the versions of months that another file has replaced, for a while, so that they can be put back."""

from __future__ import annotations

import logging
from dataclasses import dataclass, fields
from datetime import datetime, timedelta

from psycopg.sql import Identifier

from include.ingest.raw_tables import FilePlace, create_tables_beside_load_log, logged_digest
from include.source.download import FileVersion
from include.warehouse.session import Warehouse

log = logging.getLogger(__name__)

# A version that was replaced before may be kept already: then only its time changes.
LOG_KEPT_VERSION = """
    insert into {schema}.kept_versions
    select load_log.*, now(), $3::text from {schema}.load_log where table_name = $1 and source_month = $2::text::date
    on conflict (table_name, source_month, sha256) do update set kept_at = excluded.kept_at
    returning kept_as
"""
VERSIONS_OF_MONTH = """
    select
        kept.url, kept.etag, kept.sha256, kept.bytes, kept.rows, kept.unknown_columns, kept.loaded_at,
        kept_at, kept_as, loaded.sha256 is not null
    from {schema}.kept_versions as kept
    left join {schema}.load_log as loaded using (table_name, source_month, sha256)
    where table_name = $1 and source_month = $2::text::date and starts_with(kept.sha256, $3)
    order by kept_at desc
    for share of kept
"""
# `size_with_newer`: the version's size, and that of every version that was kept later. Beyond the most are the oldest.
# A version that a month stays at is not dropped: its rows may have to be written anew.
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
    where (kept_at < now() - $2::text::interval or size_with_newer > $3)
        and (source_month, sha256) not in (select source_month, version from {schema}.chosen_versions)
    order by kept_at
"""


@dataclass(frozen=True, kw_only=True)
class KeptVersion(FileVersion):
    """A version whose rows are in the table `kept_as`, among the partitions. `kept_at`: when it was last replaced.

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
    """Keeps the rows and the line in load_log of the version that is loaded, in the current transaction."""
    name = f"{place.relation[1]}_kept_{(logged_digest(warehouse, place) or '')[:12]}"
    [[kept_as]] = warehouse.execute(LOG_KEPT_VERSION, values=(place.table, place.ds, name))
    if not warehouse.exists(warehouse.partitions, kept_as):
        kept = Identifier(kept_as)
        # a copy: detaching the partition would wait for every reader of every month, and hold up those that come after
        warehouse.execute(
            "create table {partitions}.{kept} as select * from {place}", kept=kept, place=Identifier(*place.relation)
        )
        warehouse.execute("alter table {partitions}.{kept} replica identity full", kept=kept)
    log.info("%s: the version that is replaced is kept as %s.%s", place.table, warehouse.partitions, kept_as)


def kept_versions(warehouse: Warehouse, table: str, ds: str, version: str = "") -> list[KeptVersion]:
    """The month's kept versions whose SHA-256 has this prefix, the latest first. One that was put back is among them.

    None of them is dropped before the transaction ends.
    """
    if not warehouse.exists(warehouse.schema, "kept_versions"):
        return []
    found = warehouse.execute(VERSIONS_OF_MONTH, values=(table, ds, version))
    names = [each.name for each in fields(KeptVersion)]
    return [KeptVersion(**dict(zip(names, row, strict=True))) for row in found]


def drop_kept_versions(
    warehouse: Warehouse, most_mebibytes: int, older_than: timedelta = timedelta(days=100 * 366)
) -> dict[str, int]:
    """Drops versions that were replaced longer ago, and the oldest beyond the most. Returns sizes in bytes, by table.

    Commits after each. A version that is being read, or put back, stays until the next time. Raises psycopg.Error for
    other trouble.
    """
    if not warehouse.exists(warehouse.schema, "kept_versions"):
        return {}
    create_tables_beside_load_log(warehouse)
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
    """Drops the version, unless it was replaced once more since; says whether it did."""

    def drop() -> bool:
        deleted = warehouse.execute(
            "delete from {schema}.kept_versions where kept_as = $1 and kept_at = $2 returning true",
            values=(kept_as, kept_at),
        )
        if deleted:
            warehouse.execute("drop table if exists {partitions}.{kept}", kept=Identifier(kept_as))
        return bool(deleted)

    dropped = warehouse.commit_unless_in_use(drop)
    if dropped is None:
        log.info("the kept version %s is in use; left for the next time", kept_as)
    return dropped is True
