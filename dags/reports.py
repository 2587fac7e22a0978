"""A report of each published month: a DAG for each dataset that names one."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, PartitionedAssetTimetable

from include.datasets import DATASETS, Dataset
from include.failures.task_defaults import task_arguments
from include.month import Month
from include.openlineage.functions import described_task, lineage_of_report
from include.processes.drift import settings_tag
from include.report.queries import TABLES
from include.runs.assets import mark_events, report_asset, report_path, table_asset
from include.runs.month_of_run import month_of_partition
from include.runs.params import month_param
from include.warehouse.connection import warehouse_dsn

DAG_TEXT = """One HTML page for each published month of {dataset.title}, with charts, behind Airflow's login.

A run begins for each month that is published, or published again. It writes the month's page anew, and the pages of the
next month and of the same month a year later, which compare their month with this one. *Months* in the navigation links
to the pages. For a month of your choice, trigger the DAG with the `month` parameter.

**Failed?** The published tables are not concerned. Clear the task; RUNBOOK.md has the steps.
"""


def reports(dataset: Dataset, dag_id: str) -> None:
    months, report = table_asset(dataset.published_schema(), "fct_months"), report_asset(dataset)
    with DAG(
        dag_id=dag_id,
        description=f"A page for each published month of {dataset.title}",
        doc_md=DAG_TEXT.format(dataset=dataset),
        tags=[dataset.models, dataset.name, "report", settings_tag()],
        schedule=PartitionedAssetTimetable(assets=months),
        start_date=dataset.first_month.start,
        catchup=False,
        max_active_runs=16,
        params={"month": month_param(dataset, "Month to report", "A published month, `YYYY-MM`.")},
        default_args=task_arguments(execution_timeout=timedelta(minutes=30)),
    ):

        def lineage(month: Month, _: Any) -> Any:
            return lineage_of_report(dataset, TABLES, month)

        @described_task(
            month="{{ params.month or dag_run.partition_key }}",
            lineage=lineage,
            inlets=[months],
            outlets=[report],
        )
        def write_reports(dag_run: Any = None, params: Any = None, **context: Any) -> list[str]:
            from include.report.write import write_reports as write  # pandas and matplotlib, for the task alone

            month = month_of_partition(dag_run, params)
            mark_events(context, [report], month, report=report_path(dataset, month))
            return write(dataset, month, warehouse_dsn())

        write_reports()


for dataset in DATASETS.values():
    if dataset.report_dag_id:
        reports(dataset, dataset.report_dag_id)
