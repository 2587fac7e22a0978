"""What a first `make demo` starts while the manifest is made."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from dev.stack.choices import Choices
from dev.stack.stack import Stack
from dev.stack.trip_source import Source


def test_the_database_comes_with_airflows_tables_which_are_made_once_and_without_its_processes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "tlc").mkdir()
    stack, choices = Stack(tmp_path / "state", durable=False), Choices(Source("folder", str(tmp_path / "tlc")))
    try:
        stack.prepare(choices)
        assert "creating its tables" in capsys.readouterr().out
        with psycopg.connect(stack.postgres.dsn("airflow", "airflow")) as connection:
            assert connection.execute("select count(*) from dag").fetchone() == (0,)
        assert {file.stem for file in (stack.state / "run").glob("*.json")} == {"tlc-mirror"}
        stack.prepare(choices)
        assert "creating its tables" not in capsys.readouterr().out
    finally:
        stack.down()
