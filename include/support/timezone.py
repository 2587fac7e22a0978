"""The time zone in which months begin."""

from __future__ import annotations

from airflow.sdk import timezone
from pendulum import FixedTimezone, Timezone


def default_timezone() -> Timezone | FixedTimezone:
    """`[core] default_timezone`, in which Airflow's command line reads a bare date.

    So `airflow backfill create --from-date 2024-05-01` means May 2024 wherever Airflow runs. Every process must have
    the same; `month_of` raises SettingError in one that has another.
    """
    # Airflow has not annotated this function
    default: Timezone | FixedTimezone = timezone.datetime(2013, 8, 1).tzinfo  # type: ignore[no-untyped-call]
    return default
