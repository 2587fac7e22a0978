"""Makes the dbt manifest that the DAGs are drawn from, and says whether it is whole and fresh.

`python -m include manifest` makes it, and connects to nothing. It is where no dbt command writes, and `dbt clean` does
not reach: commands such as `dbt compile` and `dbt docs generate` rewrite dbt's own manifest, in `dbt/target`, and a DAG
drawn from that would change each time. `metadata.env`, dbt's place for notes of a deployment, says which files it was
made from, and what code_version.py needs.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

from include.settings import DBT_MANIFEST, DBT_PROFILES, DBT_PROJECT, ROOT, SettingError
from include.support.fingerprint import State, state_of
from include.transform.code_version import notes_of
from include.transform.project_files import Record, changes_since, record_of_files

MADE_FROM = "MADE_FROM"  # in metadata.env: a Record as JSON text, as dbt takes no other values there
MOST_CHANGES = 3  # that a message names


def make_manifest(file: Path = DBT_MANIFEST) -> bool:
    """Parses the dbt project, and replaces the file in one step. If dbt refuses it: False, and the file stays."""
    made_from = record_of_files()  # before dbt reads them: if one is changed meanwhile, the manifest is stale
    return replace_by_dbt(file, "manifest.json", ["parse"], finish=lambda made: _note(made_from, made))


def _note(made_from: Record, made: Path) -> None:
    content = json.loads(made.read_bytes())
    content["metadata"]["env"] |= {MADE_FROM: json.dumps(made_from), **notes_of(DBT_PROJECT)}
    made.write_text(json.dumps(content))


def replace_by_dbt(
    file: Path, made: str, *commands: list[str], finish: Callable[[Path], None] = lambda made: None
) -> bool:
    """Runs dbt's commands one after the other, and replaces the file by `made` from their target folder, in one step.

    If one of them fails: False, and the file stays. dbt itself writes in place; here no reader sees half a file, and a
    killed process leaves none. `finish` gets the new file before it takes the old one's place.
    """
    from dbt.cli.main import dbtRunner  # 0.7 s, and only needed here

    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=file.parent, prefix=".making-") as target:
        for command in commands:
            done = dbtRunner().invoke(arguments(target, *command))
            if done.exception:
                print(done.exception, file=sys.stderr)
            if not done.success:
                return False
        finish(Path(target) / made)
        (Path(target) / made).replace(file)
    return True


def arguments(target: Path | str, *command: str) -> list[str]:
    """dbt's arguments for a command that writes into the folder and nowhere else."""
    return [*command, "--quiet", *places(target)]


def places(target: Path | str, project: Path | None = None, profiles: Path | None = None) -> list[str]:
    """dbt's options for any command: the folders of the project and its profile, and the one folder to write into."""
    read = ["--project-dir", project or DBT_PROJECT, "--profiles-dir", profiles or DBT_PROFILES.parent]
    return [str(word) for word in (*read, "--target-path", target, "--log-path", target, "--log-level-file", "none")]


def is_whole(file: Path = DBT_MANIFEST) -> bool:
    """Whether the file is there and holds the models of a dbt project."""
    try:
        nodes = json.loads(file.read_bytes())["nodes"]
        return isinstance(nodes, dict) and bool(nodes)
    except (OSError, ValueError, TypeError, KeyError):
        return False


def fault() -> str | None:
    """What is wrong with the manifest, `is missing` or `is damaged`; None where it is whole."""
    if is_whole(DBT_MANIFEST):
        return None
    return "is damaged" if DBT_MANIFEST.exists() else "is missing"


def stale(*, by_content: bool = False) -> str | None:
    """`is stale`, and what was done to the project's files since the manifest was made; None where they are the same.

    None too where the manifest is not whole, which `fault` tells. `by_content`: see changes_since.
    """
    if (state := state_of(DBT_MANIFEST)) is None or (found := _made_from(state)) is None:
        return None
    if not found:
        return "is stale: it does not say which files it was made from, as the manifests of this version do"
    if not (changes := changes_since(found, by_content=by_content)):
        return None
    more = f" and {len(changes) - MOST_CHANGES} more" if len(changes) > MOST_CHANGES else ""
    return f"is stale: since it was made, {', '.join(changes[:MOST_CHANGES])}{more}"


@lru_cache(maxsize=1)
def _made_from(written: State) -> dict[str, Any] | None:
    """The record of the files that the manifest was made from; empty where it has none, None where it cannot be read.

    `written`: the manifest's state, for the cache, which a process forked from this one inherits.
    """
    try:
        content = json.loads(DBT_MANIFEST.read_bytes())
        return dict(json.loads(content["metadata"]["env"].get(MADE_FROM, "{}"))) if content["nodes"] else None
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def require_fresh() -> None:
    """Raises SettingError where the manifest is stale."""
    if why := stale():
        raise unusable(why)


def unusable(why: str) -> SettingError:
    """The error for what is wrong with the manifest, such as `is missing`."""
    return SettingError(
        f"{DBT_MANIFEST} {why}, and the DAG is drawn from it. Make it anew, in {ROOT}: python -m include manifest"
    )
