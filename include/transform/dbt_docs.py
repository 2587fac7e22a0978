"""dbt's docs: one HTML file of all models, columns, tests and their lineage.

`python -m include docs` makes it, and connects to nothing. Airflow shows it behind its login (include/ledger).
"""

from __future__ import annotations

import os
from pathlib import Path

from include.datasets import GREEN
from include.settings import DBT_DOCS
from include.transform.manifest import replace_by_dbt


def make_docs(file: Path = DBT_DOCS) -> bool:
    """Replaces the file in one step. If dbt refuses the project: False, and the file stays.

    The names of schemas in it are the published one's and the pattern of a run's, not those of a month.
    """
    published = GREEN.published_schema()
    os.environ |= {"PG_SCHEMA": published, "PG_RUN_SCHEMA": f"{published}_YYYYMMDD"}
    # Without compiling, docs are made of the manifest that the first command writes. What is compiled is of one month.
    generate = ["docs", "generate", "--static", "--no-compile", "--empty-catalog"]
    return replace_by_dbt(file, "static_index.html", ["parse"], generate)
