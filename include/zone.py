"""The zone that months begin in."""

from __future__ import annotations

from datetime import tzinfo

from airflow.sdk import timezone


def default_zone() -> tzinfo:
    """Airflow's own, `[core] default_timezone`: a bare date on its command line is a midnight of this zone.

    So `airflow backfill create --from-date 2024-05-01` means May 2024 wherever Airflow runs. Every process must have
    the same; `month_of` fails where one has not.
    """
    return timezone.datetime(2013, 8, 1).tzinfo
