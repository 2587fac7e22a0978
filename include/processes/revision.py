"""Which version of the project a process works with: its Python code, and the dbt project its DAGs are drawn from."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Any

import orjson

from include.settings import DBT_MANIFEST, ROOT
from include.support.fingerprint import State, digest_of, state_of

CODE = ("dags", "include")
# what dbt writes anew each time, and what depends on the environment of `python -m include manifest`
NOT_OF_THE_PROJECT = {"created_at", "database", "schema", "relation_name", "metadata"}


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
    """`written`: the state of the file, for the cache, which a task's process inherits: reading takes 16 ms."""
    content = orjson.loads(DBT_MANIFEST.read_bytes())
    return hashlib.sha256(orjson.dumps(_lasting(content), option=orjson.OPT_SORT_KEYS)).digest()


def _lasting(content: Any) -> Any:
    if isinstance(content, dict):
        return {key: _lasting(value) for key, value in content.items() if key not in NOT_OF_THE_PROJECT}
    return [_lasting(each) for each in content] if isinstance(content, list) else content


# Of the files as they were when this process, or the one that it was forked from, imported this module: what it runs.
_CODE = _of_code()
