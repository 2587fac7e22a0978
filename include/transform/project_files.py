"""Records the files that dbt parses, and says which of them have changed since a manifest was made from them.

Importable without Airflow and dbt.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from include.settings import DBT_DOCS, DBT_MANIFEST, DBT_PROFILES, DBT_PROJECT, ROOT
from include.support.fingerprint import State, state_of

NO_PART_OF_THE_PROJECT = {"target", "logs", DBT_MANIFEST.parent.name, DBT_DOCS.parent.name}
# The files that dbt 1.11 reads (dbt/parser/read_files.py), and the first letters of names, such as those of an editor's
# own files, that it passes over (dbt/parser/search.py).
READ_BY_DBT = {".sql", ".py", ".csv", ".md", ".yml", ".yaml"}
PASSED_OVER = (".", "#", "~")

Files = dict[Path, State]
# By their names below the project's folder: nanosecond of the last write, size in bytes, SHA-256 in hexadecimal.
Record = dict[str, tuple[int, int, str]]


def files_of(project: Path, profiles: Path) -> Files:
    """The state of each file of a dbt project and its profile, without the folders that commands write."""
    found = {profiles: state_of(profiles)}
    for folder, folders, names in os.walk(project):
        if Path(folder) == project:
            folders[:] = [each for each in folders if each not in NO_PART_OF_THE_PROJECT]
        found |= {file: state_of(file) for file in (Path(folder, name) for name in names)}
    return found


def parsed_files() -> Files:
    """The state of each file of this project that dbt reads. 60 files took 0.8 ms."""
    return {
        file: state
        for file, state in files_of(DBT_PROJECT, DBT_PROFILES).items()
        if state and file.suffix in READ_BY_DBT and not file.name.startswith(PASSED_OVER)
    }


def record_of_files() -> Record:
    """A record of the files that dbt reads, as they are now."""
    found: Record = {}
    for file, state in parsed_files().items():
        if state and (digest := _digest(file, state)):
            found[_name(file)] = (*state, digest)
    return found


def changes_since(recorded: Mapping[str, object], *, by_content: bool = False) -> list[str]:
    """What was done to the files since they were recorded, such as `dbt/selectors.yml was changed`; empty for nothing.

    A file with the recorded time and size counts as the same. Others are read, once for each state: a process forked
    from this one knows what this one has read. With `by_content` all are read.
    """
    present = {_name(file): (file, state) for file, state in parsed_files().items()}
    changes = []
    for name in sorted(present.keys() | recorded.keys()):
        if name not in recorded:
            changes.append(f"{name} was added")
        elif name not in present:
            changes.append(f"{name} was removed")
        elif not _is_same(*present[name], recorded[name], by_content):
            changes.append(f"{name} was changed")
    return changes


def _is_same(file: Path, state: State, recorded: object, by_content: bool) -> bool:
    match recorded:
        case [int(written), int(size), str(digest)]:
            return (not by_content and state == (written, size)) or _digest(file, state) == digest
    return False


@lru_cache(maxsize=4096)
def _digest(file: Path, state: State) -> str | None:
    """The file's SHA-256 in hexadecimal; None for a file that is gone. `state`: the file's, for the cache."""
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except FileNotFoundError:
        return None


def _name(file: Path) -> str:
    return file.relative_to(ROOT).as_posix()
