"""Read by every Airflow process when it starts."""

from __future__ import annotations

import sys

# Only for the processes that fork one for each task, or for each DAG file. Three months side by side took 147 s when
# every dbt task imported dbt itself, and 48 s when it inherited the imports (2 cores).
if {"scheduler", "celery", "standalone"}.intersection(sys.argv[1:3]):
    from include.warm_up import warm_up

    warm_up()
elif "dag-processor" in sys.argv[1:3]:
    from include.warm_up import read_dag_files

    read_dag_files()
