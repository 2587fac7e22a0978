"""What every task's process would otherwise do anew, done once in the process all of them are forked from."""

from __future__ import annotations

import inspect
import os
import runpy
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Any

# what a dbt task imports when it runs, and no parse does
import cosmos.profiles  # noqa: F401
import dbt.task.run
import dbt.task.test  # noqa: F401
import dbt_common.clients.agate_helper  # noqa: F401
import openlineage.common.provider.dbt.local  # noqa: F401
import sqlparse
from dbt.artifacts.resources import Hook

from include.parse_cache import parse_project
from include.settings import ROOT

PG_VARIABLES = ("PG_HOST", "PG_PORT", "PG_USER", "PG_PASSWORD", "PG_DBNAME")


def warm_up() -> None:
    """Parses the dbt project and reads the DAG files, for what this leaves behind in memory.

    A dbt task takes 1.7 s of CPU without and 0.4 s with (medians, in forked processes; the warming takes some 5 s).
    What stays are dbt's JSON schemas and (de)serializers, which mashumaro writes when they are first needed, the
    compiled macros, what the DAG files import, Airflow's plugins, and `inspect`'s table of modules. Neither the parsed
    project nor the DAGs are used. One that cannot be read is no error here: the DAG processor, and the tasks, say so.
    """
    with tempfile.TemporaryDirectory() as target:
        for _ in range(2):  # the second reads what the first one wrote
            # the static parser is Rust with threads of its own: a fork of a process that used it hangs when it does
            parsed = parse_project(Path(target), dict.fromkeys(PG_VARIABLES, "1"), "--no-static-parser")
    if parsed.success:
        manifest = parsed.result
        _compile(manifest.macros.values())
        for node in chain(manifest.nodes.values(), manifest.sources.values(), manifest.unit_tests.values()):
            node.to_dict(omit_none=True)  # as every run does, to sum up its graph
    # a run, and no parse, checks its hooks and needs the lexer of sqlparse
    Hook.validate({"sql": ""})
    sqlparse.parse("")
    read_dag_files()
    # Dbt asks for the source of its callers; the first time, that is the real path of each module that was loaded since
    # the last time. Before the fork: Airflow loads another 500 after this.
    os.register_at_fork(before=inspect.stack)


def read_dag_files() -> None:
    """The part of it that a process which runs no tasks, but reads DAG files in forks, has a use for."""
    for file in sorted((ROOT / "dags").glob("*.py")):
        with suppress(Exception):
            runpy.run_path(str(file))


def _compile(macros: Iterable[Any]) -> None:
    """Has dbt compile its macros, 500 with its own, of which a task needs some 40 and spends 0.1 s of CPU on them.

    Dbt keeps what it compiled in dbt-common, and documents neither: where that is no more, each task compiles.
    """
    with suppress(ImportError, AttributeError):
        from dbt_common.clients.jinja import template_cache

        for macro in macros:
            template_cache.get_node_template(macro)
