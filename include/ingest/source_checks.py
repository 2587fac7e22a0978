"""Records the source's ETag and length of each loaded month's file, and finds restated months by them.

A month is restated if the source has another file for it than the one that is loaded. A server's ETag names a version
of a file. Last-Modified does not: TLC's host changes it for files that stay the same. If one of the two answers has no
ETag, or came from another address, the lengths alone are compared. Where bytes were compared, what is recorded is their
outcome (include/ingest/restatements.py).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.sql import SQL, Composable, Literal

from include.datasets import Dataset
from include.ingest.raw_tables import FilePlace, create_tables_beside_load_log
from include.month import Month
from include.runs.month_of_run import SOURCE
from include.source.download import FileVersion
from include.support.counted import counted
from include.warehouse.session import Warehouse

# Of source_checks joined with load_log. The ledger's query has the condition, too.
IS_RESTATED = """
    coalesce(
        case
            when source_checks.etag is not null and load_log.etag is not null then source_checks.etag <> load_log.etag
            else source_checks.bytes <> load_log.bytes
        end,
        false
    )
"""
VERSION = "coalesce(source_checks.etag, source_checks.bytes || ' bytes')"

NOTE = """
    insert into {schema}.source_checks as known (source_month, etag, bytes, since, checked_at)
    select source_month::date, etag, bytes, {asked_at}, {asked_at}
    from jsonb_to_recordset($1::text::jsonb) as answer (source_month text, etag text, bytes bigint)
    order by 1
    on conflict (source_month) do update set
        since = case
            when (known.etag, known.bytes) is distinct from (excluded.etag, excluded.bytes) then excluded.since
            else known.since
        end,
        etag = excluded.etag, bytes = excluded.bytes, checked_at = excluded.checked_at
    where known.checked_at <= excluded.checked_at
"""


@dataclass(frozen=True)
class LoadedMonth:
    """A month whose file is loaded, the address it came from, and what was loaded."""

    month: Month
    url: str
    etag: str | None
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Restated:
    """A month for which the source has another file: ETag and bytes of that file, and of the one that is loaded.

    `pinned`: an earlier version was put back, so that the file is not to be loaded. `settled`: this was the file in
    whose place it was put back.
    """

    month: Month
    version: str
    etag: str | None
    bytes: int | None
    etag_loaded: str | None
    bytes_loaded: int
    since: datetime
    pinned: bool
    settled: bool

    def __str__(self) -> str:
        return (
            f"{counted(self.bytes, 'byte')}, ETag {self.etag or 'none'}, where {counted(self.bytes_loaded, 'byte')}, "
            f"ETag {self.etag_loaded or 'none'}, are loaded"
        )


def loaded_months(warehouse: Warehouse, dataset: Dataset) -> tuple[datetime, list[LoadedMonth]]:
    """The database's time now, and the loaded months, in order. Creates and commits the tables that the check needs."""
    rows = []
    if warehouse.exists(warehouse.schema, "load_log"):
        create_tables_beside_load_log(warehouse)
        rows = warehouse.execute(
            "select source_month, url, etag, bytes, sha256 from {schema}.load_log where table_name = $1 order by 1",
            values=(dataset.monthly.table,),
        )
    [[now]] = warehouse.execute("select now()")
    warehouse.commit()
    return now, [LoadedMonth(Month(month), *facts) for month, *facts in rows]


def note_load(warehouse: Warehouse, place: FilePlace, file: FileVersion) -> None:
    """Records that the source has the file that is being loaded, in the current transaction."""
    _note(warehouse, {str(place.ds): (file.etag, file.bytes)}, asked_at=SQL("now()"))


def note_answers(
    warehouse: Warehouse, answers: Mapping[Month, tuple[str | None, int | None]], asked_at: datetime
) -> None:
    """Records each month's ETag and length, asked for at that time or later. What a load has recorded since stays."""
    _note(warehouse, {month.ds: answer for month, answer in answers.items()}, Literal(asked_at))


def restated_months(warehouse: Warehouse, dataset: Dataset) -> list[Restated]:
    """The restated months, in order."""
    rows = warehouse.execute(
        f"select load_log.source_month, {VERSION}, source_checks.etag, source_checks.bytes, "
        f"load_log.etag, load_log.bytes, since, "
        f"chosen.source_month is not null, coalesce(instead_of = {VERSION}, false) "
        f"from {{schema}}.source_checks join {{schema}}.load_log using (source_month) "
        f"left join {{schema}}.chosen_versions as chosen on chosen.source_month = load_log.source_month "
        f"and version <> '{SOURCE}' "
        f"where table_name = $1 and {IS_RESTATED} order by 1",
        values=(dataset.monthly.table,),
    )
    return [Restated(Month(month), *facts) for month, *facts in rows]


def note_loaded_file(warehouse: Warehouse, place: FilePlace) -> None:
    """Records the loaded file as the source's, where no answer of the source is known. In the current transaction."""
    warehouse.execute(
        "insert into {schema}.source_checks (source_month, etag, bytes, since, checked_at) "
        "select source_month, etag, bytes, loaded_at, loaded_at "
        "from {schema}.load_log where table_name = $1 and source_month = $2::text::date on conflict do nothing",
        values=(place.table, place.ds),
    )


def _note(warehouse: Warehouse, answers: Mapping[str, tuple[Any, Any]], asked_at: Composable) -> None:
    answered = [{"source_month": ds, "etag": etag, "bytes": bytes} for ds, (etag, bytes) in answers.items()]
    warehouse.execute(NOTE, values=(json.dumps(answered),), asked_at=asked_at)
