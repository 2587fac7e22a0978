"""Loads the files of one month into the raw tables, as a whole or not at all."""

from __future__ import annotations

import logging
from contextlib import ExitStack
from typing import Any

from psycopg.sql import Identifier

from include.datasets import POSTGRES_TYPES, Dataset, SourceFile
from include.ingest.choices import ChoiceChanged, choice_of_month, require_choice, write_down
from include.ingest.duplicates import refuse_another_months_file
from include.ingest.raw_tables import (
    FilePlace,
    create_raw_tables,
    describe_rows,
    log_load,
    logged_digest,
    other_columns,
    place_of,
    rows_held,
)
from include.ingest.restore import restore_month
from include.ingest.source_checks import note_load
from include.ingest.versions import drop_kept_versions, keep_version
from include.month import Month
from include.runs.month_of_run import Choice
from include.settings import KEEP_MEBIBYTES
from include.source.address import Address
from include.source.download import Download, FileVersion, download, require_unchanged
from include.source.json_columns import jsonb_key
from include.source.reader import FileContentError, Table, read_file
from include.warehouse.libpq import is_english
from include.warehouse.session import Warehouse

log = logging.getLogger(__name__)


def load_month(
    dataset: Dataset,
    month: Month,
    base_url: Address,
    conninfo: str,
    schema: str,
    dag_run: str,
    asked: Choice | None = None,
) -> list[dict[str, Any]]:
    """Replaces the month's rows by the version that counts: what the source has, or what was put back.

    `asked`: the version that this run is to choose. Loading again, at any time, leaves one copy. If the month's file
    has changed, the version that it replaces is kept (include/ingest/versions.py). The dataset's other files are loaded
    beside the source's file, and left alone beside one that was put back. Returns what load_log now says of each file
    that was loaded. Raises what `download`, `require_unchanged`, `read_file`, `refuse_other_columns`,
    `refuse_another_months_file` and `restore_month` raise, and psycopg.Error; after any of them the tables are as they
    were.
    """
    while True:
        choice = choice_of_month(conninfo, schema, month, asked)
        try:
            if choice and choice.pins:
                return restore_month(dataset, month, choice, base_url, conninfo, schema, dag_run)
            return _load_from_source(dataset, month, base_url, conninfo, schema, dag_run, choice)
        except ChoiceChanged as changed:
            log.warning("%s. It is loaded anew", changed)


def _load_from_source(
    dataset: Dataset, month: Month, base_url: Address, conninfo: str, schema: str, dag_run: str, choice: Choice | None
) -> list[dict[str, Any]]:
    with ExitStack() as downloads:
        addresses = [base_url.below(file.path.format(month=month)) for file in dataset.files]
        files = [downloads.enter_context(download(address)) for address in addresses]
        tables = [read_file(file, declared, month) for file, declared in zip(files, dataset.files, strict=True)]
        with Warehouse(conninfo, schema) as warehouse:
            _warn_of_another_language(warehouse)
            create_raw_tables(warehouse, dataset, month)
            drop_kept_versions(warehouse, most_mebibytes=KEEP_MEBIBYTES.value())
            for declared, file in zip(dataset.files, files, strict=True):
                refuse_other_columns(warehouse, declared, file)
            refuse_another_months_file(warehouse, dataset.monthly.table, month, files[0], base_url)
            warehouse.lock(dataset.monthly.table, month.ds)
            require_choice(warehouse, month, choice)
            loaded = [
                _replace(warehouse, place_of(warehouse, declared, month), file, table, dag_run)
                for declared, file, table in zip(dataset.files, files, tables, strict=True)
            ]
            if choice:
                write_down(warehouse, month, choice, choice.version)
            warehouse.commit()
    return loaded


def _warn_of_another_language(warehouse: Warehouse) -> None:
    """Warns where the server's messages are not in English.

    Where an error has no SQLSTATE, include.failures.retry recognises it by its English text.
    """
    [[language]] = warehouse.execute("select current_setting('lc_messages')")
    if not is_english(language):
        log.warning(
            "Postgres speaks %s: failures that pass by themselves are not recognised where it gives no SQLSTATE, and "
            "not tried again. Have the server speak English, to all, as some come before a login: alter system set "
            "lc_messages = 'C'; select pg_reload_conf()",
            language,
        )


def refuse_other_columns(warehouse: Warehouse, declared: SourceFile, file: FileVersion) -> None:
    """Raises FileContentError if the raw table was made with other columns than are declared now."""
    types = {column.name: POSTGRES_TYPES[column.type] for column in declared.columns}
    for name, type in other_columns(warehouse, declared).items():
        has = f"has {type} there" if type else "lacks it"
        change = f"alter column {name} type {types[name]}" if type else f"add column {name} {types[name]}"
        raise FileContentError(
            f"{file.url}: column {name} is declared as {types[name]} (include/datasets.py), and the table "
            f"{warehouse.schema}.{declared.table}, which was made before, {has}. Correct the declaration, or change "
            f"the table: alter table {warehouse.schema}.{declared.table} {change}. Then clear this task."
        )


def _replace(warehouse: Warehouse, place: FilePlace, file: Download, content: Table, dag_run: str) -> dict[str, Any]:
    """Replaces one file's rows and its line in load_log, in the current transaction."""
    warehouse.lock(*filter(None, (place.table, place.ds)))
    # a load that held the lock before may have had a newer file than this one
    require_unchanged(file)
    previous = logged_digest(warehouse, place)
    rows = rows_held(warehouse, place, file, content.schema)
    if rows is not None:
        log.info("%s: the rows of this file are there already, every one as it was loaded", place.table)
    else:
        if place.ds and previous not in (None, file.sha256) and KEEP_MEBIBYTES.value():
            keep_version(warehouse, place)
        # delete, not truncate: truncated rows also vanish for a query that began before the commit
        warehouse.execute("delete from {place}", place=Identifier(*place.relation))
        rows = warehouse.ingest(*place.relation, content.schema, content.batches)
        if previous == file.sha256:  # may come again: reading 3.5 million rows for this takes 5 s, loading them 20 s
            describe_rows(warehouse, place, file, content.schema)
    unknown = [jsonb_key(name) for name in content.unknown_columns]
    log_load(warehouse, place, file, rows, unknown, dag_run)
    if place.ds:
        note_load(warehouse, place, file)

    log.info("%s: %s rows from %s (sha256 %s)", place.table, f"{rows:,}", file.url, file.sha256)
    if unknown:
        log.warning(
            "%s: %s has columns this project does not know, kept in extra_columns: %s", place.table, file.url, unknown
        )
    if restated := previous not in (None, file.sha256):
        log.warning("%s: %s was restated: its sha256 was %s at the last load", place.table, file.url, previous)
    facts = {"url": file.url, "etag": file.etag, "sha256": file.sha256, "bytes": file.bytes, "rows": rows}
    return {"table": place.table, **facts, "unknown_columns": unknown, "restated": restated}
