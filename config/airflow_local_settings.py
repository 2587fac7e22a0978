"""Read by every Airflow process when it starts."""

from __future__ import annotations

import sys

# Those that fork a process for each task, or for each DAG file. Three months side by side took 147 s with every dbt
# task importing dbt for itself, and 48 s with the imports inherited (2 cores).
if {"scheduler", "dag-processor", "celery", "standalone"}.intersection(sys.argv[1:3]):
    import include.load
    import include.retry  # noqa: F401
    from include.warm_up import warm_up

    warm_up()
