"""What tells one state of files from another. Importable without Airflow and dbt."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from include.settings import ROOT

State = tuple[int, int] | None


def state_of(file: Path) -> State:
    """The nanosecond in which it was last written, and its size in bytes.

    None for one that is not there: just taken away, or the dangling link by which an editor locks a file.
    """
    try:
        state = file.stat()
    except FileNotFoundError:
        return None
    return state.st_mtime_ns, state.st_size


def digest_of(files: Iterable[Path]) -> bytes:
    """SHA-256 of their names below the project's folder and of their contents, in any order they are given in.

    Folders count for nothing, nor does bytecode, which running processes write.
    """
    digest = hashlib.sha256()
    for file in sorted(files):
        if file.is_file() and "__pycache__" not in file.parts:
            digest.update(str(file.relative_to(ROOT)).encode() + file.read_bytes())
    return digest.digest()
