"""Read by every Airflow process when it starts.

Those that fork a process for each task, or for each DAG file, import here, once, what all of them need. Three months
side by side took 147 s with every dbt task importing dbt for itself, and 48 s with these imports inherited (2 cores).
"""

from __future__ import annotations

import sys

if {"scheduler", "dag-processor", "celery", "standalone"}.intersection(sys.argv[1:3]):
    import dbt.adapters.postgres
    import dbt.cli.main
    import dbt.task.run
    import dbt.task.test  # noqa: F401

    import include.load
    import include.retry
    import include.transform  # noqa: F401
