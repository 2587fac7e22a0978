"""Whatever happened to the months on the way: the published tables are those of one clean serial load."""

from __future__ import annotations

from pathlib import Path

import pytest

from dev.services.postgres import EmbeddedPostgres
from include.datasets import GREEN, YELLOW, Dataset
from tests.support.dbt.histories import run_histories
from tests.support.postgres.cutting_proxy import CuttingProxy


@pytest.mark.parametrize(("dataset", "examples"), [(GREEN, 4), (YELLOW, 2)], ids=["green", "yellow"])
def test_any_history_ends_in_the_tables_of_one_clean_serial_load(
    postgres: EmbeddedPostgres, proxy: CuttingProxy, tmp_path: Path, dataset: Dataset, examples: int
):
    run_histories(postgres, proxy, tmp_path, dataset, examples, steps=6, derandomize=True)
