"""Read by every Airflow process when it starts."""

from __future__ import annotations

import gc
import os
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
elif "triggerer" in COMMAND:
    # It forks once, for the process that runs triggers. A collection of garbage writes to each object that it looks at,
    # and so to its memory page, of which the other process then has a copy. None looks at what is frozen.
    os.register_at_fork(before=gc.freeze)
    os.register_at_fork(before=gc.collect)  # what is registered last is called first
elif COMMAND == ["tasks", "test"] or "airflow.sdk.execution_time.execute_workload" in sys.orig_argv:
    # One task in a process that inherits nothing; the second is how a Kubernetes pod runs one. It allocates half a
    # million objects that live as long as it does, those of Airflow's and dbt's modules. Collections that find no
    # garbage took 0.7 s of 5.7, and 1.4 s of 12.4.
    gc.set_threshold(100_000)
