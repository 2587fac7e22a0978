"""Makes dbt's docs: one HTML file of all models, columns, tests and their lineage.

`python -m include docs` calls it. It connects to nothing. Airflow shows the file behind its login (include/ledger).
"""

from __future__ import annotations

import os
from pathlib import Path

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
    return replace_by_dbt(file, "static_index.html", ["parse"], generate)
