"""Lets a month be made anew from the raw rows that are loaded. The source is not asked."""

from __future__ import annotations

import logging
from typing import Any

from include.datasets import Dataset
from include.ingest.raw_tables import bring_up_to_date
from include.month import Month
from include.warehouse.session import Warehouse

log = logging.getLogger(__name__)

FACTS = ("table_name", "url", "etag", "sha256", "bytes", "rows", "unknown_columns")
LOADED = f"""
    select {", ".join(FACTS)} from {{schema}}.load_log
    where source_month = $1::text::date or source_month is null
"""


class NothingLoaded(Exception):
    """The month cannot be made anew, as no file of it is loaded. The message names the file's table."""


def loaded_files(dataset: Dataset, month: Month, conninfo: str, schema: str) -> list[dict[str, Any]]:
    """What load_log says of the month's files, as `load_month` returns it. Rows and log stay as they are.

    Gives the tables what an earlier revision of the project did not. Raises NothingLoaded, and psycopg.Error.
    """
    with Warehouse(conninfo, schema) as warehouse:
        found: list[dict[str, Any]] = []
        if warehouse.exists(schema, "load_log"):
            bring_up_to_date(warehouse)
            found = [dict(zip(FACTS, row, strict=True)) for row in warehouse.execute(LOADED, values=(month.ds,))]
            warehouse.commit()
    by_table = {facts.pop("table_name"): facts for facts in found}
    if missing := [file.table for file in dataset.files if file.table not in by_table]:
        raise NothingLoaded(
            f"{schema}.load_log has no file of {', '.join(missing)} for {dataset.name} {month}, and a rebuild "
            "does not ask the source. Nothing was changed. Load the month: trigger the DAG with its month alone, or "
            f"make backfill DATASET={dataset.name} FROM={month} TO={month}"
        )
    for table, facts in by_table.items():
        log.info("%s: the %s rows that are loaded stay (sha256 %s)", table, f"{facts['rows']:,}", facts["sha256"])
    return [{"table": table, **facts, "restated": False} for table, facts in by_table.items()]
