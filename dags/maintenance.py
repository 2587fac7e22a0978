"""Drops the schemas of runs whose month was published a while ago, and versions of months replaced a while ago.

Sends the messages that could not be sent before (PIPELINE_NOTIFY).

RUN_SCHEMA_KEEP_SECONDS and PIPELINE_KEEP_VERSIONS_SECONDS say how long they are kept, else each dataset does;
PIPELINE_KEEP_VERSIONS_MEBIBYTES says how much is kept.

It is safe beside running months: it leaves a schema that is in use, or whose month is not published with its newest
file, and a version that is being put back. A model that is cleared after its schema is gone fails and says so;
then clear its whole month.
**Failed?** Clear the task, or wait for the next day.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, CronTriggerTimetable, task

from include.alerts.outbox import send_pending
from include.datasets import DATASETS
from include.failures.task_defaults import task_arguments
from include.ingest.versions import drop_kept_versions
from include.processes.drift import settings_tag
from include.settings import KEEP_MEBIBYTES
from include.warehouse.connection import warehouse_dsn
from include.warehouse.run_schemas import drop_run_schemas
from include.warehouse.session import Warehouse

with DAG(
    dag_id="taxi_maintenance",
    description="Drops the run schemas of months published a while ago, and versions replaced a while ago",
    doc_md=__doc__,
    tags=["tlc", "maintenance", settings_tag()],
    schedule=CronTriggerTimetable("@daily", timezone="UTC"),
    start_date=min(dataset.first_month for dataset in DATASETS.values()).start,
    catchup=False,
    max_active_runs=1,
    default_args=task_arguments(execution_timeout=timedelta(hours=1)),
):

    @task(task_id="drop_run_schemas")
    def drop() -> dict[str, int]:
        conninfo = warehouse_dsn()
        dropped: dict[str, int] = {}
        for dataset in DATASETS.values():
            dropped |= drop_run_schemas(dataset, conninfo, dataset.published_schema(), dataset.keep_run_schemas())
        return dropped

    @task(task_id="drop_kept_versions")
    def drop_versions() -> dict[str, int]:
        conninfo = warehouse_dsn()
        dropped: dict[str, int] = {}
        for dataset in DATASETS.values():
            with Warehouse(conninfo, dataset.published_schema()) as warehouse:
                dropped |= drop_kept_versions(warehouse, KEEP_MEBIBYTES.value(), dataset.keep_versions())
        return dropped

    @task
    def send_pending_messages() -> None:
        for dataset in DATASETS.values():
            send_pending(dataset)

    drop()
    drop_versions()
    send_pending_messages()
