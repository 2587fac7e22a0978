"""Does the work that each task's process would repeat, once, in the process that tasks are forked from."""

from __future__ import annotations

import inspect
import os
import runpy
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import cache
from importlib import import_module
from itertools import chain
from pathlib import Path
from typing import Any

from include.openlineage.switch import sends_events
from include.processes.dag_cache import cache_dags, renew_dags
from include.processes.revision import forget_replaced_code
from include.settings import ROOT
from include.transform.parse_cache import cache_parse, renewed_parse

# Modules that a task imports when it runs. Neither the DAG files nor, of dbt, a parse import them: the DAG processor
# shares this module, and needs none of them.
RUN_BY_TASKS = (
    *("dbt.task.run", "dbt.task.test", "dbt_common.clients.agate_helper"),
    *("include.report.write", "airflow.sdk.execution_time.supervisor"),
)


def warm_up() -> None:
    """Parses the dbt project and reads the DAG files, so that processes forked later find the results in memory.

    docs/explanation/decisions/warm-up.md says what that saves. The warm-up itself takes some 5 s. Tasks inherit the
    parse; dbt's JSON schemas and (de)serializers, which mashumaro generates when they are first needed; the compiled
    macros; the DAGs, and the modules that they import; Airflow's plugins; and `inspect`'s table of modules. A project
    or DAG file that cannot be read raises nothing here: the DAG processor and the tasks report it.
    Where a file of dbt, or of the project's code, is changed later, each process that forks tasks reads it once more,
    instead of each task. The process that warmed up, which forks those, does so too, as it forks them anew after a
    rest; but it keeps the code that it has.
    """
    read_once()
    look_at_modules_before_each_fork()
    before_each_fork("renew", keeps_code=os.getpid())


def look_at_modules_before_each_fork() -> None:
    """Calls inspect.stack() before a fork of this process, not of its descendants, if a module was loaded since.

    dbt calls it, and it resolves the real path of each module loaded since the last call. One call in the warm-up would
    not be enough, as Airflow loads some 500 modules after that. But a call looks at every module, and so writes to all
    their reference counts: the memory pages of these, 23 MiB, are then no longer shared with what was forked before. So
    the workers are forked after one call, and make none when they fork tasks.
    """
    warm, looked_at = os.getpid(), 0

    def look() -> None:
        nonlocal looked_at
        if os.getpid() == warm and len(sys.modules) != looked_at:
            inspect.stack()
            looked_at = len(sys.modules)

    os.register_at_fork(before=look)


def before_each_fork(name: str, keeps_code: int | None = None) -> None:
    """Calls this module's function before each fork of this process and of its descendants.

    By its name: where a deployment has replaced the project's files since, they are imported anew, and the new function
    is called. Otherwise a process that lives long would hand on old code for ever. Not in the process `keeps_code`: the
    scheduler's own work goes on with the classes that it has.
    """

    def call() -> None:
        if os.getpid() != keeps_code:
            import_module(forget_replaced_code.__module__).forget_replaced_code()
        getattr(import_module(__name__), name)()

    os.register_at_fork(before=call)


def renew() -> None:
    """Reads again what was changed since, in the process that forks a task: the tasks after it inherit that."""
    read_once()
    if changed := renewed_parse():
        _compile(changed.macros.values())
    _for_each_dag_file(renew_dags)


@cache
def read_once() -> None:
    """Reads all that tasks inherit."""
    _import_what_tasks_import()
    if manifest := cache_parse():
        _compile(manifest.macros.values())
        for node in chain(manifest.nodes.values(), manifest.sources.values(), manifest.unit_tests.values()):
            node.to_dict(omit_none=True)  # every dbt run does this, for its summary of the graph
    # a dbt run validates its hooks and uses the lexer of sqlparse; a parse does neither
    import_module("dbt.artifacts.resources.v1.config").Hook.validate({"sql": ""})
    import_module("sqlparse").parse("")
    _for_each_dag_file(cache_dags)
    if sends_events():
        read_lineage()


def read_lineage() -> None:
    """Loads what a task needs for its OpenLineage events: modules, the dbt manifest, the lineage of columns."""
    from include.lineage.graph import read
    from include.openlineage.processor import project

    project()
    with suppress(OSError, ValueError):  # no column has a lineage then
        read()


def _import_what_tasks_import() -> None:
    """Imports the modules that a task imports when it runs, and the DAG files and a parse do not."""
    for name in RUN_BY_TASKS:
        import_module(name)


def warm_up_celery_results() -> None:
    """Loads the models of a Celery worker's result tables before the worker forks its pool.

    With them SQLAlchemy maps Airflow's own models, which takes 0.5 s of CPU; each process of the pool would do it for
    its first result. Celery's signal calls it, as Airflow is not loaded completely before.
    """

    def map_tables(**_: object) -> None:
        with suppress(ImportError):  # another result backend than a database has no tables
            import_module("celery.backends.database.models")
            import_module("sqlalchemy.orm").configure_mappers()

    import_module("celery.signals").worker_init.connect(map_tables, weak=False)


@cache
def read_dag_files() -> None:
    """Runs each DAG file once, so that its imports are loaded.

    The DAG processor needs no more, as its forks run no tasks. It draws the DAGs anew each time, as their forms offer
    the months that there are by then.
    """
    _for_each_dag_file(lambda file: runpy.run_path(str(file)))


def _for_each_dag_file(action: Callable[[Path], object]) -> None:
    for file in sorted((ROOT / "dags").glob("*.py")):
        with suppress(Exception):
            action(file)


def _compile(macros: Iterable[Any]) -> None:
    """Compiles all macros, the project's and dbt's own: some 500.

    A task needs about 40 of them, and takes 0.1 s of CPU to compile them itself. Compiled macros are in a cache of
    dbt-common that dbt does not document. If a release has no such cache, each task compiles for itself.
    """
    with suppress(ImportError, AttributeError):
        from dbt_common.clients.jinja import template_cache

        for macro in macros:
            template_cache.get_node_template(macro)
