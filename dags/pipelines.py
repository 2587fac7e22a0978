"""One month of a dataset, from its file to published tables: a DAG for each dataset of include.datasets."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from typing import Any

from airflow.sdk import DAG, PokeReturnValue, task

try:
    import include  # noqa: F401
except ModuleNotFoundError as error:  # else a task's log names the module alone, and not where it should come from
    raise ImportError(
        "PYTHONPATH must name the project's folder and its config: /opt/airflow:/opt/airflow/config"
    ) from error

from include.alerts.month_alerts import tell_if_late, tell_of_restated
from include.datasets import DATASETS, Dataset
from include.failures.listener import tell_of_a_killed_task
from include.failures.task_defaults import task_arguments
from include.ingest.acceptances import accept
from include.ingest.choices import choice_of_month
from include.ingest.load import load_month as load
from include.ingest.rebuild import loaded_files
from include.openlineage.functions import described_task, lineage_of_load
from include.processes.dag_cache import cached_dags
from include.processes.drift import settings_tag
from include.runs.acceptance import acceptance_of
from include.runs.assets import file_asset, mark_events, raw_assets
from include.runs.month_of_run import choice_of, is_rebuild, macros, month_of, refuse_unended_month
from include.runs.params import accept_params, month_param, rebuild_param, version_param
from include.runs.timetable import MonthlyOncePublished
from include.settings import POLL, SCHEDULE_FROM
from include.source.availability import month_is_available
from include.source.base_url import base_url
from include.support.timezone import default_timezone
from include.transform.acceptable import audits_of
from include.transform.task_groups import dbt_task_group
from include.warehouse.connection import warehouse_dsn

TIMEZONE = default_timezone()
DAG_TEXT = """One month of {dataset.title}, from its file to published tables.

`wait_for_month` waits for the source's file, `load_month` replaces the month's raw rows, `build` makes and audits the
month in a schema of its own, and `publish` replaces the month in the tables that analysts read. Each model is a task,
and each model's tests are one task; a test that reads several models has a task of its own. Any task may be cleared,
at any time, in any order, alone or with the tasks after it: the result is the same. For a month of your choice, trigger
the DAG with the `month` parameter. With `version` too, `load_month` puts a kept version of the month back, and does not
ask the source. The month then stays at it in every run, until one asks for the version `source`. With `rebuild` it
leaves the rows that are loaded, and does not ask the source either. With `accept` and `reason` it does the same, and
the audits that are named may fail on this file.

**Woken up by this?** A red audit keeps the month out of the published tables, where the previous version stays
readable; nothing else waits for it. RUNBOOK.md has the steps for each failure.
"""
FORM_TEXT = """
*Single Run*: the month of the file, `YYYY-MM`, for example `2024-01`. Fill it in: the logical date, which this form
sets to the present time, is in a month that is not available yet.

*Backfill*: leave it empty. Each run loads the month of its own logical date.
"""


def pipeline(dataset: Dataset) -> DAG:
    schema = dataset.published_schema()
    files, raw_tables = [file_asset(dataset, file) for file in dataset.files], raw_assets(dataset)
    with DAG(
        dag_id=dataset.dag_id,
        description=f"A month of {dataset.title}: load, build, audit, publish",
        doc_md=DAG_TEXT.format(dataset=dataset),
        tags=[dataset.models, dataset.name, "dbt", "monthly", settings_tag()],
        schedule=MonthlyOncePublished(dataset.published_after, SCHEDULE_FROM.value()),
        # the dataset's first month, as a run that is dated before the start date ends green and runs no task
        start_date=dataset.first_month.start_in(TIMEZONE),
        catchup=False,
        max_active_runs=16,
        params={
            "month": month_param(dataset, "Month to load", FORM_TEXT),
            "version": version_param(),
            "rebuild": rebuild_param(),
            **accept_params(),
        },
        default_args=task_arguments(execution_timeout=timedelta(hours=2)),
        user_defined_macros=macros(schema, TIMEZONE),
        on_failure_callback=tell_of_a_killed_task,
    ) as dag:

        @task.sensor(
            mode="reschedule",  # holds no worker slot between two checks
            poke_interval=POLL.value().total_seconds(),
            timeout=(dataset.overdue_after + timedelta(days=62)).total_seconds(),
            outlets=files[:1],
        )
        def wait_for_month(dag_run: Any = None, params: Any = None, **context: Any) -> PokeReturnValue:
            now = datetime.now(TIMEZONE)
            refuse_unended_month(dag_run, params, now)
            month = month_of(dag_run, params, TIMEZONE)
            mark_events(context, files[:1], month)
            acceptance_of(dag_run, params)  # one that is not whole is refused at once
            if is_rebuild(params):  # its rows are in the warehouse
                return PokeReturnValue(True)
            choice = choice_of_month(warehouse_dsn(), schema, month, choice_of(dag_run, params))
            if choice and choice.pins:  # so are its rows
                return PokeReturnValue(True)
            if not (is_there := month_is_available(dataset, month, base_url(dataset), now)):
                tell_if_late(dataset, month, now)
            return PokeReturnValue(is_there)

        @described_task(
            month="{{ month_of(dag_run, params) }}",
            lineage=partial(lineage_of_load, dataset),
            inlets=files,
            outlets=raw_tables,
        )
        def load_month(dag_run: Any = None, params: Any = None, **context: Any) -> list[dict[str, Any]]:
            month = month_of(dag_run, params, TIMEZONE)
            mark_events(context, raw_tables, month)
            conninfo = warehouse_dsn()
            accepted = acceptance_of(dag_run, params)
            if is_rebuild(params):
                loaded = loaded_files(dataset, month, conninfo, schema)
                if accepted:
                    accept(dataset, month, conninfo, schema, accepted, audits_of(dataset.models))
                return loaded
            asked = choice_of(dag_run, params)
            loaded = load(
                dataset,
                month,
                base_url=base_url(dataset),
                conninfo=conninfo,
                schema=schema,
                dag_run=dag_run.run_id,
                asked=asked,
            )
            if not (asked and asked.pins):  # else whoever asked for it knows
                tell_of_restated(dataset, month, loaded)
            return loaded

        build = dbt_task_group("build", dataset, layers=["staging", "intermediate"])
        publish = dbt_task_group("publish", dataset, layers=["marts"])

        wait_for_month() >> load_month() >> build >> publish
    return dag


# Airflow finds DAGs among a file's names
globals().update(cached_dags(__file__) or {dataset.dag_id: pipeline(dataset) for dataset in DATASETS.values()})
