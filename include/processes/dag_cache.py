"""Draws the DAGs of a DAG file once, in the process that tasks are forked from, for all of them.

Each task's process reads the DAG file. Most of that time goes into drawing the DAGs, and most of the drawing into
Cosmos, which reads dbt's manifest. The DAGs stay the same as long as the DAG file and the manifest do.
"""

from __future__ import annotations

import runpy
from pathlib import Path

from airflow.sdk import DAG

from include.settings import DBT_MANIFEST
from include.support.fingerprint import State, state_of

_cached: dict[Path, tuple[list[State], dict[str, DAG]]] = {}


def cache_dags(file: Path) -> None:
    """Runs the DAG file, and caches its DAGs for the processes that are forked from this one. Raises what it raises."""
    drawn_from = _states(file)
    _cached[file.resolve()] = (drawn_from, {})  # a file that cannot be read is not tried again until it is changed
    names = runpy.run_path(str(file))
    _cached[file.resolve()] = (drawn_from, {each.dag_id: each for each in names.values() if isinstance(each, DAG)})


def renew_dags(file: Path) -> None:
    """Caches the DAGs anew where the file or the manifest was changed since. Raises what the file raises."""
    if file.resolve() in _cached and _cached[file.resolve()][0] != _states(file):
        cache_dags(file)


def cached_dags(file: str) -> dict[str, DAG]:
    """The DAGs of the file, by id; empty where none were cached, or where a file was changed since."""
    drawn_from, dags = _cached.get(Path(file).resolve(), ([], {}))
    return dags if drawn_from == _states(Path(file)) else {}


def _states(file: Path) -> list[State]:
    return [state_of(file), state_of(DBT_MANIFEST)]
