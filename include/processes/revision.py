"""Names the version of the project that a process runs: its Python code, and the dbt project of its DAGs."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Any

import orjson

from include.settings import DBT_MANIFEST, ROOT
from include.support.fingerprint import State, digest_of, state_of

CODE = ("dags", "include")
# fields that dbt writes anew each time, or that depend on the environment of `python -m include manifest`
CHANGING_FIELDS = {"created_at", "database", "schema", "relation_name", "metadata"}


def revision() -> str:
    """12 hexadecimal digits, the same wherever the project's files are the same. `unknown` without a whole manifest."""
    try:
        return hashlib.sha256(_CODE + _of_manifest(state_of(DBT_MANIFEST))).hexdigest()[:12]
    except (OSError, ValueError):
        return "unknown"


def _of_code() -> bytes:
    files = (file for folder in CODE for file in (ROOT / folder).rglob("*"))
    return digest_of(file for file in files if file.suffix in (".py", ".html"))


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
_CODE = _of_code()
