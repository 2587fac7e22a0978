"""The dbt manifest that the DAG is drawn from. `python -m include.manifest` makes it; it connects to nothing.

It lies where no dbt command writes and `dbt clean` does not reach: dbt's own, in `dbt/target`, is rewritten by whatever
runs last (`dbt docs generate`, `dbt compile`), and would change the DAG with it.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from include.settings import DBT_MANIFEST, DBT_PROFILES, DBT_PROJECT


def make_manifest(file: Path = DBT_MANIFEST) -> bool:
    """Parse the dbt project and replace the file in one step; False, and the file as it was, if dbt has refused.

    A reader never sees half of it, and a process that is killed leaves none: dbt itself writes in place.
    """
    from dbt.cli.main import dbtRunner  # 0.7 s, and only needed here

    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=file.parent, prefix=".making-") as target:
        done = dbtRunner().invoke(parse_arguments(target))
        if done.exception:
            print(done.exception, file=sys.stderr)
        if not done.success:
            return False
        (Path(target) / "manifest.json").replace(file)
    return True


def parse_arguments(target: Path | str) -> list[str]:
    """dbt's, to parse the project into a folder and write nothing elsewhere."""
    places = ["--project-dir", DBT_PROJECT, "--profiles-dir", DBT_PROFILES.parent, "--target-path", target]
    return ["--quiet", "--log-level-file", "none", "--log-path", str(target), "parse", *map(str, places)]


def is_whole(file: Path = DBT_MANIFEST) -> bool:
    """Whether the file is there and holds the models of a dbt project."""
    try:
        nodes = json.loads(file.read_bytes())["nodes"]
        return isinstance(nodes, dict) and bool(nodes)
    except (OSError, ValueError, TypeError, KeyError):
        return False


if __name__ == "__main__":
    sys.exit(not make_manifest())
