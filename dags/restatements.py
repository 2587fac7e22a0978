"""Asks the source, daily, for the ETag and length of every loaded month, and marks months that have another file now.

*Months* in the navigation shows them as restated. The triggerer asks the source, gently, and no worker waits for it.
Where PIPELINE_RELOAD_RESTATED is `true`, such a month is loaded again, once for each new file. Else load it by hand. A
month to which an earlier version was put back is not loaded: the new file is told.

**Failed?** The published tables are not concerned. The next day's run asks again, or clear the task. RUNBOOK.md has the
steps.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import DAG, CronTriggerTimetable, task_group

from include.datasets import DATASETS, Dataset
from include.failures.task_defaults import task_arguments
from include.ingest.restatements import FindRestated
from include.processes.drift import settings_tag


def restatements(dataset: Dataset) -> None:
    @task_group(group_id=f"load_{dataset.name}_again")
    def load_again(month: str, run_id: str) -> None:
        TriggerDagRunOperator(
            task_id="load",
            trigger_dag_id=dataset.dag_id,
            trigger_run_id=run_id,
            conf={"month": month},
            logical_date=None,
            skip_when_already_exists=True,
        )

    load_again.expand_kwargs(FindRestated(task_id=f"find_restated_{dataset.name}", dataset=dataset).output)


with DAG(
    dag_id="taxi_restatements",
    description="Marks the months that the source has another file for",
    doc_md=__doc__,
    tags=["tlc", "restatements", settings_tag()],
    schedule=CronTriggerTimetable("30 6 * * *", timezone="UTC"),
    start_date=min(dataset.first_month for dataset in DATASETS.values()).start,
    catchup=False,
    max_active_runs=1,
    default_args=task_arguments(execution_timeout=timedelta(minutes=30)),
):
    for dataset in DATASETS.values():
        restatements(dataset)
