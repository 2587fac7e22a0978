"""dbt's docs: made without a database, and yet with the types of published columns."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

from include.transform.dbt_docs import make_docs
from tests.support.helpers import ends_well, fork


def test_published_columns_have_their_contracts_types(tmp_path: Path):
    page = tmp_path / "site" / "index.html"

    def make() -> None:
        for name in ("PG_HOST", "PG_PORT", "PG_USER", "PG_PASSWORD", "PG_DBNAME"):
            os.environ.pop(name, None)
        assert make_docs(page)

    ends_well(fork(make))
    [start] = re.finditer(r'\{"metadata": \{"dbt_schema_version": "[^"]*/catalog/', page.read_text())
    catalog, _ = json.JSONDecoder().raw_decode(page.read_text()[start.start() :])
    months = catalog["nodes"]["model.taxi.fct_months"]
    assert months["columns"]["total_amount_accepted"]["type"] == "numeric(14, 2)"
    assert months["columns"]["published_at"]["type"] == "timestamp with time zone"
    assert months["metadata"]["schema"] == "airflow_default"
    assert {id for id in catalog["nodes"] if not id.startswith(("model.taxi.fct_", "model.taxi.dim_"))} == set()
