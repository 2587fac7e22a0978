"""Writes the documentation of dbt tasks, and finds the raw tables behind a model, from dbt's manifest."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from airflow.configuration import conf

from include.datasets import Dataset
from include.settings import DBT_MANIFEST


class ManifestNodes:
    """The models, sources and tests of the project, as a dataset's tasks show them. Documentation is Markdown.

    Raises OSError for a missing manifest, and other errors for a damaged one.
    """

    def __init__(self, dataset: Dataset) -> None:
        manifest = json.loads(DBT_MANIFEST.read_bytes())
        self._nodes: dict[str, dict[str, Any]] = manifest["nodes"] | manifest["sources"]
        # Airflow, and with it the pages, may be below a path of its host
        below = urlsplit(conf.get("api", "base_url", fallback="")).path.rstrip("/")
        self._docs, self._lineage = f"{below}/ledger/docs", f"{below}/plugin/lineage#{dataset.name}"
        self._raw_tables = {file.table for file in dataset.files}
        self._tests = [node for node in self._nodes.values() if node["resource_type"] == "test"]

    def doc_of_model(self, unique_id: str) -> str:
        """The model's description, its columns, the tests that read it, and the path of its SQL."""
        node = self._nodes[unique_id]
        tests = [test for test in self._tests if unique_id in test["depends_on"]["nodes"]]
        columns = [
            f"| `{name}` | {column['data_type'] or ''} | {_line(column['description'])} |"
            for name, column in node["columns"].items()
        ]
        parts = [node["description"], f"SQL: `dbt/{node['original_file_path']}`. {self._links(unique_id)}"]
        if columns:
            parts.append("\n".join(["| column | type | |", "| --- | --- | --- |", *columns]))
        return "\n\n".join([*parts, self._table_of(tests)])

    def doc_of_tests(self, unique_id: str) -> str:
        """The tests of this model or source alone. Tests that read others too have tasks of their own."""
        tests = [test for test in self._tests if test["depends_on"]["nodes"] == [unique_id]]
        return f"{self._table_of(tests)}\n\n{self._links(unique_id)}"

    def doc_of_test(self, name: str) -> str:
        """The one test of this name."""
        [test] = [test for test in self._tests if test["name"] == name]
        return f"{self._table_of([test])}\n\n{self._in_docs(test['unique_id'])}"

    def raw_tables_behind(self, unique_id: str) -> set[str]:
        """The names of the source tables that the model's rows come from.

        A mart refers to every audited model, as it waits for their audits. Its rows come from its `slice` alone.
        """
        node = self._nodes[unique_id]
        if node["resource_type"] == "source":
            return {node["name"]}
        made_from: str | None = node["config"]["meta"].get("slice")
        parents = node["depends_on"]["nodes"]
        if made_from:
            parents = [each for each in parents if self._nodes[each]["name"] == made_from]
        return set().union(*map(self.raw_tables_behind, parents))

    def _links(self, unique_id: str) -> str:
        """To a model or source in dbt's docs, and to its columns' lineage."""
        node = self._nodes[unique_id]
        table = node.get("identifier") or node["name"]  # a source's identifier is its table's name
        if not node["columns"] and table not in self._raw_tables:  # such as audit_log, whose columns nothing lists
            return self._in_docs(unique_id)
        return f"{self._in_docs(unique_id)} · [Lineage of its columns]({self._lineage}/{table})"

    def _in_docs(self, unique_id: str) -> str:
        return f"[In dbt's docs]({self._docs}#!/{self._nodes[unique_id]['resource_type']}/{unique_id})"

    def _table_of(self, tests: Iterable[dict[str, Any]]) -> str:
        lines = [f"| `{test['name']}` | {_line(test['description'])} |" for test in tests]
        return "\n".join(["| test | |", "| --- | --- |", *lines]) if lines else ""


def _line(text: str) -> str:
    """The text in one line, for a cell of a table."""
    return " ".join(text.replace("|", "\\|").split())
