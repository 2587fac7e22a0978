"""The columns of a table, and the columns that each of them is made of, as facets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from openlineage.client.facet_v2 import column_lineage_dataset as facet
from openlineage.client.facet_v2 import schema_dataset

from include.datasets import POSTGRES_TYPES, Dataset
from include.lineage.graph import read

# The provider looks for secrets in each value of an event, which took 30 of the 40 ms of an event with 44 columns. In
# these facets is what the project's files say, and nothing of a connection or of a run.


class Schema(schema_dataset.SchemaDatasetFacet):
    """The columns of a table."""

    _additional_skip_redact: ClassVar[list[str]] = ["fields"]


class ColumnLineage(facet.ColumnLineageDatasetFacet):
    """The inputs of the columns of a table."""

    _additional_skip_redact: ClassVar[list[str]] = ["fields"]


def columns_of(dataset: Dataset, table: str) -> Mapping[str, Mapping[str, Any]]:
    """The columns of a table or file with `type` and `description`, by name; empty where they are not known."""
    try:
        columns = read()[dataset.name][table]["columns"]
    except (OSError, ValueError, KeyError):
        return {}
    declared = next((file.raw_columns for file in dataset.files if file.table == table), ())
    in_postgres = {column.name: {"type": POSTGRES_TYPES[column.type]} for column in declared}
    return {name: column | in_postgres.get(name, {}) for name, column in columns.items()}


def column_lineage(dataset: Dataset, table: str, place: Callable[[str], tuple[str, str]]) -> ColumnLineage | None:
    """The facet of the table; None where the inputs of its columns are not known.

    `place`: namespace and name of a table that lineage names. OpenLineage's inputs are columns, so it is left out that
    a column counts the rows of a table.
    """
    fields = {}
    for name, column in columns_of(dataset, table).items():
        found = [
            facet.InputField(
                *place(each["table"]),
                each["column"],
                [facet.Transformation(each["type"], each["subtype"], masking=False)],
            )
            for each in column["inputs"]
            if each["column"]
        ]
        if found:
            fields[name] = facet.Fields(found)
    return ColumnLineage(fields) if fields else None
