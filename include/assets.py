"""The files and tables that other DAGs can be triggered by, month by month, and that Airflow draws lineage from."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from decimal import Decimal
from typing import Any

import psycopg
from airflow.sdk import Asset
from psycopg.rows import dict_row
from psycopg.sql import SQL, Identifier, Literal

from include.connection import warehouse_fields
from include.dag_run import month_of, run_schema_of
from include.datasets import Dataset, SourceFile
from include.month import Month
from include.settings import WAREHOUSE_CONNECTION
from include.warehouse import connection_string
from include.zone import default_zone

# What the event of a published table says of its month, from the run's own table of months.
FIGURES = ("rows_in_file", "rows_accepted", "rows_rejected", "total_amount_accepted")


def file_asset(dataset: Dataset, file: SourceFile) -> Asset:
    """The file of a host; of a monthly one the files of all its months, under `YYYY-MM`."""
    name = file.path.rsplit("/", 1)[-1].format(month="YYYY-MM")
    return Asset(name=name, uri=f"{dataset.host.address}/{file.path.format(month='YYYY-MM')}", group=dataset.models)


def table_asset(schema: str, table: str) -> Asset:
    """The asset of a shared table. The connection's id stands for the host, so that the URI is the same everywhere."""
    return Asset(
        name=f"{schema}.{table}",
        uri=f"postgres://{WAREHOUSE_CONNECTION}/warehouse/{schema}/{table}",
        group="warehouse",
    )


def raw_assets(dataset: Dataset, tables: Collection[str] | None = None) -> list[Asset]:
    """Those of the tables named, or of all that the dataset's files are loaded into."""
    schema = dataset.published_schema()
    return [table_asset(schema, file.table) for file in dataset.files if tables is None or file.table in tables]


def report_asset(dataset: Dataset) -> Asset:
    """The pages of the dataset's months."""
    return Asset(name=f"{dataset.published_schema()}.reports", group="reports")


def report_path(dataset: Dataset, month: Month) -> str:
    """Of a month's page, below Airflow's address."""
    return f"/ledger/reports/{dataset.name}/{month}"


def mark_events(context: Mapping[str, Any], assets: Iterable[Asset], month: Month, **extra: Any) -> None:
    """Marks the events this task will emit with the month, `YYYY-MM`, as partition and in their `extra`."""
    for asset in assets:
        event = context["outlet_events"][asset]
        event.add_partitions(str(month))
        event.extra |= {"month": str(month), **extra}


def figures_of_run(dataset: Dataset, context: Mapping[str, Any]) -> dict[str, Any]:
    """The month's FIGURES, and its file's `sha256`, as the run audited them. Money as text, which keeps the cents."""
    month = month_of(context["dag_run"], context["params"], default_zone())
    run_schema = run_schema_of(context["dag_run"], context["params"], dataset.published_schema(), default_zone())
    names = {
        "log": Identifier(dataset.published_schema(), "load_log"),
        "table": Literal(dataset.monthly.table),
        "month": Literal(month.first_day),
    }
    query = "select rows as rows_in_file, sha256 from {log} where table_name = {table} and source_month = {month}"
    if dataset.months_table:
        names["audited"] = Identifier(run_schema, dataset.audited_months)
        query = (
            "select audited.*, log.sha256 from {audited} as audited "
            "join {log} as log on log.file_id = audited.file_id and log.table_name = {table}"
        )
    with psycopg.connect(connection_string(warehouse_fields()), row_factory=dict_row) as connection:
        found = connection.execute(SQL(query).format(**names)).fetchone() or {}
    plain = {name: str(value) if isinstance(value, Decimal) else value for name, value in found.items()}
    return {name: plain[name] for name in (*FIGURES, "sha256") if name in plain}
