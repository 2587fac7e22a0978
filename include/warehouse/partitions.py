"""Names a table's partitions, one for each month, and their schema."""

from __future__ import annotations

from include.month import Month


def partition_of(table: str, month: Month) -> str:
    """The name of a month's partition. dbt's macro partition_of names the published tables' partitions alike."""
    return f"{table}_{month.first_day:%Y%m}"


def schema_of_partitions(published: str) -> str:
    """The schema of the partitions and kept versions. dbt's macro partitions_schema names it alike."""
    return f"{published}_partitions"
