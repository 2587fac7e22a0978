"""The zone that months begin in."""

from __future__ import annotations

from airflow.sdk import timezone
from pendulum import FixedTimezone, Timezone


def default_zone() -> Timezone | FixedTimezone:
    """Airflow's own, `[core] default_timezone`: a bare date on its command line is a midnight of this zone.

    So `airflow backfill create --from-date 2024-05-01` means May 2024 wherever Airflow runs. Every process must have
    the same; `month_of` fails where one has not.
    """
    # Airflow has not annotated this function
    zone: Timezone | FixedTimezone = timezone.datetime(2013, 8, 1).tzinfo  # type: ignore[no-untyped-call]
    return zone
