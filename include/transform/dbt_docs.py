"""Makes dbt's docs: one HTML file of all models, columns, tests and their lineage.

`python -m include docs` calls it. It connects to nothing. Airflow shows the file behind its login (include/ledger).
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from include.datasets import default_dataset
from include.settings import DBT_DOCS
from include.transform.manifest import replace_by_dbt


def make_docs(file: Path = DBT_DOCS) -> bool:
    """Replaces the file in one step. If dbt refuses the project: False, and the file stays.

    Schema names are generic: no month's name is in them.
    """
    published = default_dataset().published_schema()
    os.environ |= {"PG_SCHEMA": published, "PG_RUN_SCHEMA": f"{published}_YYYYMMDD"}
    # --no-compile: compiled SQL is that of one month. The docs are then made from the manifest that `parse` writes.
    generate = ["docs", "generate", "--static", "--no-compile", "--empty-catalog"]
    return replace_by_dbt(file, "static_index.html", ["parse"], generate, finish=_show_types)


def _show_types(page: Path) -> None:
    """Puts each column's type, from its model's contract, into the catalog of the page, where dbt shows types from.

    dbt takes its catalog from a database, and this one was made without any.
    """
    text = page.with_name("catalog.json").read_text(encoding="utf-8")
    nodes = json.loads(page.with_name("manifest.json").read_text(encoding="utf-8"))["nodes"]
    catalog = json.loads(text)
    catalog["nodes"] = {id: _catalog_of(node) for id, node in nodes.items() if node.get("contract", {}).get("enforced")}
    page.write_text(page.read_text(encoding="utf-8").replace(text, json.dumps(catalog)), encoding="utf-8")


def _catalog_of(node: dict[str, Any]) -> dict[str, Any]:
    columns = {
        name: {"type": column["data_type"], "index": place, "name": name, "comment": None}
        for place, (name, column) in enumerate(node["columns"].items(), start=1)
    }
    of_table = {"type": "BASE TABLE", "comment": None, "owner": None}
    return {
        "unique_id": node["unique_id"],
        "metadata": of_table | {name: node[name] for name in ("database", "schema", "name")},
        "columns": columns,
        "stats": {"has_stats": {"id": "has_stats", "label": "Has Stats?", "value": False, "include": False}},
    }
