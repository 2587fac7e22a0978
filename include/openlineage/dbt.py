"""The lineage of a task that runs dbt, for Airflow's OpenLineage provider."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from include.datasets import Dataset
from include.month import Month
from include.openlineage.month import month_facets
from include.openlineage.names import Database

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage


@dataclass(frozen=True)
class NodeOfTask:
    """What a task runs. `command`: `run` or `test`.

    `unique_id`: dbt's id of the model, of the model or source whose tests run, or of the one test that runs.
    """

    command: str
    unique_id: str
    dataset: Dataset


def lineage_of_dbt(
    node: NodeOfTask, database: Database, schema: str, month: Month, results: Sequence[Any]
) -> OperatorLineage[Any, Any]:
    """The tables that the task reads and makes.

    `schema`: the published one. `results`: dbt's own, of each node that ran. Without them the
    tables have their names alone; with them, columns, figures, and the results of tests.
    """
    from airflow.providers.openlineage.extractors import OperatorLineage

    from include.openlineage.processor import DbtTask

    task = DbtTask(node, database, schema)
    inputs, outputs = task.inputs(), task.outputs()
    run_facets, job_facets = month_facets(month), task.job_facets()
    if results:
        events = task.events(results)
        for event in (*events.completes, *events.fails):
            inputs, outputs = [*inputs, *event.inputs], [*outputs, *event.outputs]
            run_facets, job_facets = event.run.facets | run_facets, event.job.facets | job_facets
    return OperatorLineage(
        # of those with one name, the last
        inputs=list({each.name: each for each in inputs}.values()),
        outputs=list({each.name: each for each in outputs}.values()),
        run_facets=run_facets,
        job_facets=job_facets,
    )
