"""Files, tables and reports as Airflow's assets: they trigger other DAGs month by month, and Airflow draws lineage."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from airflow.sdk import Asset

from include.datasets import Dataset, SourceFile
from include.month import Month
from include.settings import WAREHOUSE_CONNECTION


def file_asset(dataset: Dataset, file: SourceFile) -> Asset:
    """The asset of a file. A monthly file is one asset for all months, with `YYYY-MM` in its name."""
    name = file.path.rsplit("/", 1)[-1].format(month="YYYY-MM")
    return Asset(name=name, uri=f"{dataset.host.address}/{file.path.format(month='YYYY-MM')}", group=dataset.models)


def table_asset(schema: str, table: str) -> Asset:
    """The asset of a table. The connection's id stands for the host, so that the URI is the same everywhere."""
    return Asset(
        name=f"{schema}.{table}",
        uri=f"postgres://{WAREHOUSE_CONNECTION}/warehouse/{schema}/{table}",
        group="warehouse",
    )


def raw_assets(dataset: Dataset, tables: Collection[str] | None = None) -> list[Asset]:
    """The assets of the dataset's raw tables: of those named, or of all."""
    schema = dataset.published_schema()
    return [table_asset(schema, file.table) for file in dataset.files if tables is None or file.table in tables]


def report_asset(dataset: Dataset) -> Asset:
    """The asset of the dataset's reports."""
    return Asset(name=f"{dataset.published_schema()}.reports", group="reports")


def report_path(dataset: Dataset, month: Month) -> str:
    """The path of a month's report, below Airflow's address."""
    return f"/ledger/reports/{dataset.name}/{month}"


def mark_events(context: Mapping[str, Any], assets: Iterable[Asset], month: Month, **extra: Any) -> None:
    """Gives the events that this task will emit the month, `YYYY-MM`, as partition and in their `extra`."""
    for asset in assets:
        event = context["outlet_events"][asset]
        event.add_partitions(str(month))
        event.extra |= {"month": str(month), **extra}
