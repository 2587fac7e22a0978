"""Names the version of the project that a process runs: its Python code, and the dbt project of its DAGs."""

from __future__ import annotations

import hashlib
import importlib
import os
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

import orjson

from include.settings import DBT_MANIFEST, ROOT
from include.support.fingerprint import State, digest_of, state_of

CODE = ("dags", "include")
PACKAGE = "include"  # that of the modules; Airflow reads a DAG file anew each time
# fields that dbt writes anew each time, or that depend on the environment of `python -m include manifest`
CHANGING_FIELDS = {"created_at", "database", "schema", "relation_name", "metadata"}


def revision() -> str:
    """12 hexadecimal digits, the same wherever the project's files are the same. `unknown` without a whole manifest."""
    try:
        return hashlib.sha256(_CODE + _of_manifest(state_of(DBT_MANIFEST))).hexdigest()[:12]
    except (OSError, ValueError):
        return "unknown"


def forget_replaced_code() -> None:
    """Forgets the project's modules if its files were replaced since this process imported this module.

    The next import reads the new files. Where nothing was replaced it takes 1 ms. Call it by a fresh import, as it
    forgets its own module too.
    """
    if _states() != _STATES and _of_code() != _CODE:
        for name in [name for name in sys.modules if name.partition(".")[0] == PACKAGE]:
            del sys.modules[name]
        importlib.invalidate_caches()


def _of_code() -> bytes:
    return digest_of(_files())


def _states() -> dict[Path, State]:
    return {file: state_of(file) for file in _files()}


def _files() -> list[Path]:
    return [
        Path(folder, name)
        for each in CODE
        for folder, _, names in os.walk(ROOT / each)
        for name in names
        if name.endswith((".py", ".html"))
    ]


@lru_cache(maxsize=1)
def _of_manifest(written: State) -> bytes:
    """The digest of the manifest. `written`: its state, for the cache, which a task's process inherits. Takes 16 ms."""
    content = orjson.loads(DBT_MANIFEST.read_bytes())
    return hashlib.sha256(orjson.dumps(_without_changing_fields(content), option=orjson.OPT_SORT_KEYS)).digest()


def _without_changing_fields(content: Any) -> Any:
    if isinstance(content, dict):
        return {key: _without_changing_fields(each) for key, each in content.items() if key not in CHANGING_FIELDS}
    return [_without_changing_fields(each) for each in content] if isinstance(content, list) else content


# The files as they were when this process, or the one it was forked from, imported this module: the code that runs.
_STATES, _CODE = _states(), _of_code()
