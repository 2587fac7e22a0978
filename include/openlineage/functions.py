"""The tasks that are functions and read or make tables: their operator, and what they tell OpenLineage."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk import Context
from airflow.sdk.bases.decorator import DecoratedOperator, TaskDecorator, task_decorator_factory

from include.datasets import Dataset
from include.month import Month
from include.openlineage.month import month_facets
from include.openlineage.names import Database, file_name
from include.source.base_url import base_url
from include.warehouse.connection import warehouse_fields

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage

# Of the month, and of what the function has returned; None before that.
Lineage = Callable[[Month, Any], "OperatorLineage[Any, Any]"]


class DescribedTask(DecoratedOperator, PythonOperator):
    """Airflow's `@task`, with lineage. `month`: a template of the run's month."""

    custom_operator_name = "@described_task"
    template_fields: Sequence[str] = (*PythonOperator.template_fields, "month")

    def __init__(
        self,
        *,
        month: str,
        lineage: Lineage,
        python_callable: Callable[..., Any],
        op_args: Sequence[Any],
        op_kwargs: dict[str, Any],
        **kwargs: Any,
    ) -> None:
        function: dict[str, Any] = {"python_callable": python_callable, "op_args": op_args, "op_kwargs": op_kwargs}
        super().__init__(kwargs_to_upstream=function, **function, **kwargs)
        self.month, self.lineage = month, lineage
        self._returned: Any = None

    def execute(self, context: Context) -> Any:
        self._returned = super().execute(context)
        return self._returned

    def get_openlineage_facets_on_start(self) -> OperatorLineage[Any, Any]:
        """Airflow's OpenLineage provider calls it in the task's process, where a transport is set."""
        return self.lineage(Month.parse(self.month), self._returned)

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> OperatorLineage[Any, Any]:
        """It calls this one when the task has ended, or failed."""
        return self.get_openlineage_facets_on_start()


def described_task(*, month: str, lineage: Lineage, **kwargs: Any) -> TaskDecorator:
    """Makes a task of a function, as `@task` does."""
    return task_decorator_factory(decorated_operator_class=DescribedTask, month=month, lineage=lineage, **kwargs)


def lineage_of_load(
    dataset: Dataset, month: Month, loaded: Sequence[Mapping[str, Any]] | None
) -> OperatorLineage[Any, Any]:
    """From the dataset's files to the raw tables. `loaded`: what load_log says of each file that was loaded."""
    from airflow.providers.openlineage.extractors import OperatorLineage
    from openlineage.client.event_v2 import InputDataset, OutputDataset
    from openlineage.client.facet_v2 import (
        base_subset_dataset,
        dataset_version_dataset,
        input_statistics_input_dataset,
        output_statistics_output_dataset,
        schema_dataset,
    )

    from include.openlineage.columns import Schema, column_lineage, columns_of

    def schema(table: str) -> dict[str, Any]:
        found = columns_of(dataset, table)
        fields = [schema_dataset.SchemaDatasetFacetFields(name, each["type"]) for name, each in found.items()]
        return {"schema": Schema(fields)} if fields else {}

    database, address = Database.of(warehouse_fields()), base_url(dataset)
    by_table = {facts["table"]: facts for facts in loaded or ()}
    inputs, outputs = [], []
    for file in dataset.files:
        source = file_name(address, file)
        table = (database.namespace, database.table(dataset.published_schema(), file.table))
        if not (facts := by_table.get(file.table)):
            inputs.append(InputDataset(*source))
            outputs.append(OutputDataset(*table))
            continue
        version = dataset_version_dataset.DatasetVersionDatasetFacet(facts["sha256"])
        inputs.append(
            InputDataset(
                *source,
                facets=schema(file.name) | {"version": version.with_additional_properties(etag=facts["etag"])},
                inputFacets={
                    "inputStatistics": input_statistics_input_dataset.InputStatisticsInputDatasetFacet(
                        facts["rows"], facts["bytes"], 1
                    ),
                    "subset": base_subset_dataset.InputSubsetInputDatasetFacet(
                        base_subset_dataset.LocationSubsetCondition([facts["url"]])
                    ),
                },
            )
        )
        lineage = column_lineage(dataset, file.table, {file.name: source}.__getitem__)
        statistics = output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(rowCount=facts["rows"])
        outputs.append(
            OutputDataset(
                *table,
                facets=schema(file.table) | ({"columnLineage": lineage} if lineage else {}),
                outputFacets={"outputStatistics": statistics},
            )
        )
    return OperatorLineage(inputs=inputs, outputs=outputs, run_facets=month_facets(month))


def lineage_of_report(dataset: Dataset, tables: Iterable[str], month: Month) -> OperatorLineage[Any, Any]:
    """A report reads these published tables."""
    from airflow.providers.openlineage.extractors import OperatorLineage
    from openlineage.client.event_v2 import InputDataset

    database, schema = Database.of(warehouse_fields()), dataset.published_schema()
    inputs = [InputDataset(database.namespace, database.table(schema, each)) for each in tables]
    return OperatorLineage(inputs=inputs, run_facets=month_facets(month))
