"""Read by every Airflow process when it starts."""

from __future__ import annotations

import sys

from airflow.configuration import conf

COMMAND = sys.argv[1:3]

# Only processes that fork another for each task, or for each DAG file, warm up. Three months side by side took 147 s
# when every dbt task imported dbt itself, and 48 s when it inherited the imports (2 cores). A scheduler forks tasks
# under Airflow's local executor only.
if COMMAND == ["celery", "worker"]:
    from include.processes.check import end_unfit_worker
    from include.processes.warm_up import warm_up, warm_up_celery_results

    end_unfit_worker()
    warm_up()
    warm_up_celery_results()
elif "scheduler" in COMMAND and "LocalExecutor" in conf.get("core", "executor"):
    from include.processes.warm_up import warm_up

    warm_up()
elif "dag-processor" in COMMAND:
    from include.processes.warm_up import before_each_fork, read_dag_files

    read_dag_files()
    before_each_fork("read_dag_files")
