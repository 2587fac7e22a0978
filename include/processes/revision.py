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

DAGS, CODE = ROOT / "dags", ROOT / "include"
# fields that dbt writes anew each time, or that depend on the environment of `python -m include manifest`
CHANGING_FIELDS = {"created_at", "database", "schema", "relation_name", "metadata"}


def revision() -> str:
    """12 hexadecimal digits, the same wherever the project's files are the same. `unknown` without a whole manifest.

    Of the code that this process runs, and of the DAG files and the manifest as they are now: each task reads these.
    """
    try:
        made_of = _CODE + _of_dags(tuple(_states(DAGS).items())) + _of_manifest(state_of(DBT_MANIFEST))
        return hashlib.sha256(made_of).hexdigest()[:12]
    except (OSError, ValueError):
        return "unknown"


def forget_replaced_code() -> None:
    """Forgets the modules of `include` if files of it were replaced since this process imported this module.

    The next import reads the new files. Where nothing was replaced it takes 2 ms. Call it by a fresh import, as it
    forgets its own module too.
    """
    if (states := _states(CODE)) != _STATES and digest_of(states) != _CODE:
        for name in [name for name in sys.modules if name.partition(".")[0] == CODE.name]:
            del sys.modules[name]
        importlib.invalidate_caches()


def _states(folder: Path) -> dict[Path, State]:
    """The files of code and pages below the folder, in order, each with its state."""
    found = (Path(below, name) for below, _, names in os.walk(folder) for name in names)
    return {file: state_of(file) for file in sorted(found) if file.suffix in (".py", ".html")}


@lru_cache(maxsize=1)
def _of_dags(written: tuple[tuple[Path, State], ...]) -> bytes:
    """The digest of the DAG files. `written`: their states, for the cache."""
    return digest_of(file for file, _ in written)


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
_STATES = _states(CODE)
_CODE = digest_of(_STATES)
