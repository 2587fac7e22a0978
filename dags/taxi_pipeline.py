"""One month of NYC TLC green-taxi trips, from TLC's parquet file to published tables.

`wait_for_month` waits for TLC's file, `load_month` replaces the month's raw rows, `build` makes and audits the
month in a schema of its own, `publish` replaces the month in the tables analysts read. Any task may be cleared, at
any time, in any order, alone or with what follows it: the result is the same. For a month of your choice, trigger
the DAG with the `month` parameter.

**Woken up by this?** A red audit keeps the month out of the published tables, where the previous version stays
readable; nothing else waits for it. RUNBOOK.md has the steps for each failure.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.sdk import DAG, CronDataIntervalTimetable, Param, PokeReturnValue, Variable, task

from include.assets import mark_month, table_asset
from include.availability import OVERDUE_AFTER, month_is_available
from include.connection import warehouse_fields
from include.dag_run import macros, month_of, refuse_date_of_today
from include.drawn_settings import require_drawn_settings, settings_tags
from include.load import load_month as load
from include.month import FIRST_MONTH, PATTERN, TLC_CDN
from include.retry import RETRIES, RetryWhatHeals, first_delay
from include.settings import BASE_URL_VARIABLE, DAG_ID, poll_interval, published_schema
from include.transform import dbt_task_group
from include.warehouse import connection_string
from include.zone import default_zone

ZONE = default_zone()
FORM_TEXT = """
*Single Run*: the month of TLC's file, `YYYY-MM`, for example `2024-01`. Fill it in: the logical date, which this form
sets to the present time, is in a month that is not available yet.

*Backfill*: leave it empty. Each run loads the month of its own logical date.
"""
RAW_TABLES = [table_asset("raw_trips"), table_asset("raw_zones")]

with DAG(
    dag_id=DAG_ID,
    description="A month of NYC green-taxi trips: load, build, audit, publish",
    doc_md=__doc__,
    tags=["tlc", "dbt", "monthly", *settings_tags()],
    # written out: a bare "@monthly" means, in Airflow 3, a run for the month that is just beginning
    schedule=CronDataIntervalTimetable("@monthly", timezone=ZONE),
    # a run dated before the start date ends green without having run a task: so the dataset's first month
    start_date=FIRST_MONTH.start_in(ZONE),
    catchup=False,
    max_active_runs=16,
    params={
        "month": Param(
            None,
            type=["null", "string"],
            pattern=f"^{PATTERN}$",
            title="Month to load",
            description_md=FORM_TEXT,
        )
    },
    default_args={
        "owner": "data-engineering",
        "retries": RETRIES,
        "retry_policy": RetryWhatHeals(),
        "retry_delay": first_delay(),
        "pre_execute": require_drawn_settings,
        "execution_timeout": timedelta(hours=2),
    },
    user_defined_macros=macros(ZONE),
):

    @task.sensor(
        mode="reschedule",  # holds no worker slot between two checks
        poke_interval=poll_interval().total_seconds(),
        timeout=(OVERDUE_AFTER + timedelta(days=62)).total_seconds(),
    )
    def wait_for_month(dag_run=None, params=None) -> PokeReturnValue:
        now, base_url = datetime.now(ZONE), Variable.get(BASE_URL_VARIABLE, default=TLC_CDN)
        refuse_date_of_today(dag_run, params, now)
        return PokeReturnValue(month_is_available(month_of(dag_run, params, ZONE), base_url, now))

    @task(outlets=RAW_TABLES)
    def load_month(dag_run=None, params=None, **context) -> list[dict]:
        mark_month({**context, "dag_run": dag_run, "params": params}, RAW_TABLES)
        return load(
            month_of(dag_run, params, ZONE),
            base_url=Variable.get(BASE_URL_VARIABLE, default=TLC_CDN),
            conninfo=connection_string(warehouse_fields()),
            schema=published_schema(),
            dag_run=dag_run.run_id,
        )

    build = dbt_task_group("build", models=["staging", "intermediate"])
    publish = dbt_task_group("publish", models=["marts"])

    wait_for_month() >> load_month() >> build >> publish
