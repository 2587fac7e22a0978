"""Makes dbt's docs, one HTML file of all models, columns and tests, and the lineage of columns.

`python -m include docs` calls it. It connects to nothing. Airflow shows both behind its login (include/ledger).
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from include.datasets import DATASETS, default_dataset
from include.lineage.graph import MONTH, RUN, tables_of, unresolved
from include.settings import DBT_DOCS, DBT_LINEAGE
from include.transform.manifest import compiled_sql, folder_beside, run_dbt


def make_docs(report: Mapping[str, str], docs: Path = DBT_DOCS, lineage: Path = DBT_LINEAGE) -> bool:
    """Replaces both files, each in one step. If dbt refuses the project: False, and the files stay.

    `report`: the queries of a month's report, by name, for the datasets that have one.
    Schema names are generic: no month's name is in them.
    """
    published = default_dataset().published_schema()
    os.environ |= {"PG_SCHEMA": published, "PG_RUN_SCHEMA": f"{published}_YYYYMMDD"}
    with folder_beside(docs) as target:
        if (parse := run_dbt(target, "parse")) is None:
            return False
        # --no-compile: compiled SQL is that of one month.
        if run_dbt(target, "docs", "generate", "--static", "--no-compile", "--empty-catalog", parse=parse) is None:
            return False
        page, tables = target / "static_index.html", target / "lineage.json"
        _show_types(page)
        manifest = json.loads(page.with_name("manifest.json").read_bytes())
        found = {}
        for name, dataset in DATASETS.items():
            os.environ |= {"PG_SCHEMA": dataset.published_schema(), **RUN}
            if (compiled := compiled_sql(target, parse, dataset.models, MONTH)) is None:
                return False
            found[name] = {"tables": (of_dataset := tables_of(dataset, manifest, compiled, report))}
            for each in unresolved(of_dataset):
                print(f"The lineage of {name} is not whole: {each}", file=sys.stderr)
        _lead_to_lineage(page, found)
        tables.write_text(json.dumps({"datasets": found}), encoding="utf-8")
        page.replace(docs)
        tables.replace(lineage)
    return True


def _show_types(page: Path) -> None:
    """Puts each column's type, from its model's contract, into the catalog of the page, where dbt shows types from.

    dbt takes its catalog from a database, and this one was made without any.
    """
    text = page.with_name("catalog.json").read_text(encoding="utf-8")
    nodes = json.loads(page.with_name("manifest.json").read_text(encoding="utf-8"))["nodes"]
    catalog = json.loads(text)
    catalog["nodes"] = {id: _catalog_of(node) for id, node in nodes.items() if node.get("contract", {}).get("enforced")}
    page.write_text(page.read_text(encoding="utf-8").replace(text, json.dumps(catalog)), encoding="utf-8")


def _lead_to_lineage(page: Path, lineage: Mapping[str, Any]) -> None:
    """Ends the description of each model and source with links to its lineage, for each dataset that has it.

    The page of the lineage is beside the page, as include.ledger and include.lineage serve them.
    """
    links: dict[str, list[str]] = {}
    for dataset, found in lineage.items():
        for table, about in found["tables"].items():
            links.setdefault(about["id"], []).append(f"[{dataset}](../lineage/#{dataset}/{table})")
    text = page.with_name("manifest.json").read_text(encoding="utf-8")
    manifest = json.loads(text)
    for id, node in (manifest["nodes"] | manifest["sources"]).items():
        if id in links:
            node["description"] += f"\n\nLineage of its columns: {', '.join(links[id])}"
    page.write_text(page.read_text(encoding="utf-8").replace(text, json.dumps(manifest)), encoding="utf-8")


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
