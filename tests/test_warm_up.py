"""What a task inherits from the process it is forked from."""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path

from include.parse_cache import parse_project
from include.warm_up import PG_VARIABLES, warm_up
from tests.helpers import ends_well, fork


def test_a_forked_process_inherits_compiled_macros_and_every_module_s_path(tmp_path: Path, monkeypatch):
    (tmp_path / "loaded_after_the_warm_up.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)

    def inherited() -> None:
        from dbt_common.clients.jinja import template_cache

        assert len(template_cache.file_cache) > 300  # of some 500
        assert str(tmp_path / "loaded_after_the_warm_up.py") in inspect.modulesbyfile

    def warm_then_fork() -> None:
        warm_up()
        importlib.import_module("loaded_after_the_warm_up")
        ends_well(fork(inherited))

    ends_well(fork(warm_then_fork))


def test_a_task_forked_from_a_warm_process_can_parse_the_project(tmp_path: Path):
    def parse() -> None:
        environment = dict.fromkeys(PG_VARIABLES, "1")
        assert parse_project(tmp_path / "target", environment, "--vars", "{ds: 2024-01-01}").success

    def warm_then_fork() -> None:
        warm_up()
        ends_well(fork(parse))

    ends_well(fork(warm_then_fork))
    assert (tmp_path / "target" / "partial_parse.msgpack").exists()
