"""The dbt manifest that the DAG is drawn from. `python -m include.manifest` makes it; it connects to nothing.

It lies where no dbt command writes and `dbt clean` does not reach. dbt's own manifest, in `dbt/target`, is rewritten by
every command such as `dbt compile` or `dbt docs generate`; a DAG drawn from it would change each time.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from include.settings import DBT_MANIFEST, DBT_PROFILES, DBT_PROJECT


def make_manifest(file: Path = DBT_MANIFEST) -> bool:
    """Parse the dbt project and replace the file in one step. If dbt refuses the project: False, and the file stays."""
    return replace_by_dbt(file, "manifest.json", ["parse"])


def replace_by_dbt(file: Path, made: str, *commands: list[str]) -> bool:
    """Runs dbt's commands, one after the other, and replaces the file by `made` of their target folder in one step.

    If one of them fails: False, and the file stays. dbt itself writes in place. Here no reader ever sees half a file,
    and a killed process leaves none.
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
        (Path(target) / made).replace(file)
    return True


def arguments(target: Path | str, *command: str) -> list[str]:
    """dbt's arguments for a command that writes into the folder and nowhere else."""
    return [*command, "--quiet", *places(target)]


def places(target: Path | str) -> list[str]:
    """dbt's options for any command: where the project is, and the one folder to write into."""
    read = ["--project-dir", DBT_PROJECT, "--profiles-dir", DBT_PROFILES.parent]
    return [str(word) for word in (*read, "--target-path", target, "--log-path", target, "--log-level-file", "none")]


def is_whole(file: Path = DBT_MANIFEST) -> bool:
    """Whether the file is there and holds the models of a dbt project."""
    try:
        nodes = json.loads(file.read_bytes())["nodes"]
        return isinstance(nodes, dict) and bool(nodes)
    except (OSError, ValueError, TypeError, KeyError):
        return False


def fault() -> str | None:
    """`is missing` or `is damaged`; None where the manifest is whole."""
    if is_whole():
        return None
    return "is damaged" if DBT_MANIFEST.exists() else "is missing"


if __name__ == "__main__":
    sys.exit(not make_manifest())
