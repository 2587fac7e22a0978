"""Describes what a dbt task reads and makes, with the library that dbt-ol and Cosmos use: its names and its facets.

Only a process that sends events imports this module.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from dbt.version import __version__ as dbt_version
from dbt_common.invocation import get_invocation_id
from openlineage.client.event_v2 import Dataset
from openlineage.client.facet_v2 import JobFacet, column_lineage_dataset
from openlineage.common.provider.dbt.facets import DbtNodeJobFacet, DbtRunRunFacet
from openlineage.common.provider.dbt.processor import DbtArtifactProcessor, DbtEvents, ModelNode

from include.openlineage.columns import Schema, column_lineage, columns_of
from include.openlineage.dbt import NodeOfTask
from include.openlineage.names import Database, run_schema
from include.settings import DBT_MANIFEST
from include.support.fingerprint import State, state_of

# The statements that write the rows, by materialization. The first publication of a month ends in another one.
WRITES = {"table": "SELECT", "incremental": "INSERT"}


class DbtTask(DbtArtifactProcessor):  # type: ignore[misc]  # the library has no types
    """A task that runs one model, or tests. `schema`: the published one."""

    def __init__(self, node: NodeOfTask, database: Database, schema: str) -> None:
        super().__init__(producer="", job_namespace="", skip_errors=True)
        self._id, self._command, self._dataset = node.unique_id, node.command, node.dataset
        self._database, self._schema = database, schema
        self._results: list[dict[str, Any]] = []
        self.dataset_namespace = database.namespace

    def inputs(self) -> list[Dataset]:
        """The tables that the task reads, by name alone."""
        tests_of_table = self._command == "test" and not self._id.startswith("test.")
        return [self._named(each) for each in ([self._id] if tests_of_table else self._parents(self._id))]

    def outputs(self) -> list[Dataset]:
        """The table that a model makes, by name alone."""
        return [self._named(self._id)] if self._command == "run" else []

    def job_facets(self) -> dict[str, JobFacet]:
        node = self._node(self._id)
        named = {name: node.get(name) for name in ("original_file_path", "database", "schema", "alias", "unique_id")}
        return {"dbt_node": DbtNodeJobFacet(**named)}

    def events(self, results: Sequence[Any]) -> DbtEvents:
        """What dbt-ol would send. `results`: dbt's own, of each node that ran."""
        self._results = [
            {
                "unique_id": each.node.unique_id,
                "status": str(each.status),
                "timing": [],
                "adapter_response": _figures(each),
                "failures": each.failures,
                "compiled_code": each.node.compiled_code,
            }
            for each in results
        ]
        return self.parse()

    # ---------- what the library asks for

    def get_dbt_metadata(self) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any], None]:
        """The part of the manifest that the results need, with this project's names; the results; the profile."""
        ran = [each["unique_id"] for each in self._results]
        parents = {each: self._parents(each) for each in ran}
        nodes = {each: self._node(each) for each in {*ran, *(parent for found in parents.values() for parent in found)}}
        for each in self._results:
            nodes[each["unique_id"]] |= {"compiled_code": each["compiled_code"], "columns": self._columns()}
        manifest = {
            "metadata": project()["metadata"],
            "nodes": {id: node for id, node in nodes.items() if not id.startswith("source.")},
            "sources": {id: node for id, node in nodes.items() if id.startswith("source.")},
            "parent_map": parents,
        }
        results = {
            "metadata": {"dbt_version": dbt_version},
            "args": {"which": self._command},
            "results": self._results,
        }
        return manifest, results, {"type": "postgres", "host": self._database.host, "port": self._database.port}, None

    def dbt_run_run_facet(self) -> dict[str, DbtRunRunFacet]:
        return {"dbt_run": DbtRunRunFacet(invocation_id=get_invocation_id(), project_name="taxi", dbt_runtime="core")}

    def node_to_dataset(self, node: ModelNode, has_facets: bool = False) -> Dataset:
        """An input, by name alone: the task that made it has sent its columns."""
        found: Dataset = super().node_to_dataset(node)
        return found

    def extract_dataset_data(self, *args: Any, **kwargs: Any) -> Any:
        namespace, name, facets, input_facets = super().extract_dataset_data(*args, **kwargs)
        if found := facets.get("schema"):
            facets["schema"] = Schema(found.fields)
        return namespace, name, facets, input_facets

    def get_column_lineage(
        self, namespace: str, compiled_sql: str
    ) -> column_lineage_dataset.ColumnLineageDatasetFacet | None:
        """From the project's own lineage: the library's parser knows neither types nor what a condition reads."""
        del namespace, compiled_sql
        return column_lineage(self._dataset, project_node(self._id)["name"], self._place)

    # ---------- nodes

    def _named(self, unique_id: str) -> Dataset:
        return self.node_to_dataset(ModelNode(type=unique_id.split(".")[0], metadata_node=self._node(unique_id)))

    def _node(self, unique_id: str) -> dict[str, Any]:
        """The manifest's node, in the database and schema of this dataset."""
        node = project_node(unique_id)
        return node | {"database": self._database.name, "schema": self._schema_of(node)}

    def _columns(self) -> dict[str, dict[str, str | None]]:
        """Every column that is known of the table that the task makes."""
        node = project_node(self._id)
        return {
            name: {
                "name": name,
                "data_type": column.get("data_type") or column.get("type"),
                "description": column.get("description") or None,
            }
            for name, column in (columns_of(self._dataset, node["name"]) or node["columns"]).items()
        }

    def _schema_of(self, node: Mapping[str, Any]) -> str:
        is_published = node["resource_type"] == "source" or "marts" in node["fqn"]
        return self._schema if is_published else run_schema(self._schema)

    def _place(self, table: str) -> tuple[str, str]:
        """Namespace and name of the table that lineage calls so."""
        nodes = project()["nodes"] | project()["sources"]
        node = next(each for each in nodes.values() if each["name"] == table)
        return self._database.namespace, self._database.table(self._schema_of(node), table)

    def _parents(self, unique_id: str) -> list[str]:
        """What the node's rows come from. The library notes a test's result at the last one.

        A mart refers to every audited model, as it waits for their audits; its rows come from its `slice` alone.
        """
        node = project_node(unique_id)
        parents: list[str] = node["depends_on"]["nodes"]
        if made_from := node["config"]["meta"].get("slice"):
            return [each for each in parents if project_node(each)["name"] == made_from]
        return sorted(parents, key=lambda each: each == node.get("attached_node"))


def project_node(unique_id: str) -> dict[str, Any]:
    found: dict[str, Any] = project()["nodes"].get(unique_id) or project()["sources"][unique_id]
    return found


def project() -> dict[str, Any]:
    """dbt's manifest. A task's process inherits it from the one that it was forked from."""
    return _project(state_of(DBT_MANIFEST))


@lru_cache(maxsize=1)
def _project(state: State) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads(DBT_MANIFEST.read_bytes())
    return manifest


def _figures(result: Any) -> dict[str, Any]:
    """Postgres' answer to the last statement, where that one has written the rows of the node; else nothing."""
    response: dict[str, Any] = result.adapter_response
    return response if response.get("code") == WRITES.get(result.node.config.materialized) else {}
