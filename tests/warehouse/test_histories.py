"""Whatever happened to the months on the way: the published tables are those of one clean serial load."""

from __future__ import annotations

from pathlib import Path

from dev.postgres import EmbeddedPostgres
from tests.support.cutting_proxy import CuttingProxy
from tests.support.histories import run_histories


def test_any_history_ends_in_the_tables_of_one_clean_serial_load(
    postgres: EmbeddedPostgres, proxy: CuttingProxy, tmp_path: Path
):
    run_histories(postgres, proxy, tmp_path, examples=4, steps=6, derandomize=True)
