"""The tables other DAGs can be triggered by, month by month."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow.sdk import Asset

from include.dag_run import month_of
from include.settings import WAREHOUSE_CONNECTION
from include.zone import default_zone


def table_asset(schema: str, table: str) -> Asset:
    """The asset of a shared table. The connection's id stands for the host, so that the URI is the same everywhere."""
    return Asset(name=f"{schema}.{table}", uri=f"postgres://{WAREHOUSE_CONNECTION}/warehouse/{schema}/{table}")


def mark_month(context: Mapping[str, Any], outlets: list[Asset]) -> None:
    """Marks the events this task will emit with the run's month, `YYYY-MM`, as partition."""
    month = month_of(context["dag_run"], context["params"], default_zone())
    for asset in outlets:
        context["outlet_events"][asset].add_partitions(str(month))
