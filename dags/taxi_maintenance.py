"""Drops the schemas of runs whose month was published a while ago (RUN_SCHEMA_KEEP_SECONDS, 30 days by default).

Safe beside running months: a schema in use, or of a month that is not published with its newest file, stays. A model
cleared after its schema is gone says so; clear its whole month then. **Failed?** It may simply be cleared, or wait for
the next day.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, CronTriggerTimetable, task

from include.connection import warehouse_fields
from include.drawn_settings import require_drawn_settings, settings_tags
from include.month import FIRST_MONTH
from include.retry import RETRIES, RetryWhatHeals, first_delay
from include.run_schemas import drop_run_schemas, keep_for
from include.settings import published_schema
from include.warehouse import connection_string

with DAG(
    dag_id="taxi_maintenance",
    description="Drops the run schemas of months published a while ago",
    doc_md=__doc__,
    tags=["tlc", "maintenance", *settings_tags()],
    schedule=CronTriggerTimetable("@daily", timezone="UTC"),
    start_date=FIRST_MONTH.start,
    catchup=False,
    max_active_runs=1,
    default_args={
        "owner": "data-engineering",
        "retries": RETRIES,
        "retry_policy": RetryWhatHeals(),
        "retry_delay": first_delay(),
        "pre_execute": require_drawn_settings,
        "execution_timeout": timedelta(hours=1),
    },
):

    @task(task_id="drop_run_schemas")
    def drop() -> list[str]:
        return drop_run_schemas(connection_string(warehouse_fields()), published_schema(), keep_for())

    drop()
