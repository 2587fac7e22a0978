"""Finds out whether files have changed: by time and size, or by content. Importable without Airflow and dbt."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from include.settings import ROOT

State = tuple[int, int] | None


def state_of(file: Path) -> State:
    """When the file was last written, in nanoseconds since 1970, and its size in bytes.

    None for a file that is not there: it was just removed, or is the dangling link by which an editor locks a file.
    """
    try:
        state = file.stat()
    except FileNotFoundError:
        return None
    return state.st_mtime_ns, state.st_size


def digest_of(files: Iterable[Path]) -> bytes:
    """SHA-256 of the files' names below the project's folder, and of their contents. Their order does not matter.

    Folders are left out, and so is bytecode, which running processes write.
    """
    digest = hashlib.sha256()
    for file in sorted(files):
        if file.is_file() and "__pycache__" not in file.parts:
            digest.update(str(file.relative_to(ROOT)).encode() + file.read_bytes())
    return digest.digest()
