"""The files and tables that other DAGs can be triggered by, month by month, and that Airflow draws lineage from."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from airflow.sdk import Asset

from include.datasets import Dataset, SourceFile
from include.month import Month
from include.settings import WAREHOUSE_CONNECTION


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
