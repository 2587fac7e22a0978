"""Makes the dbt manifest that the DAGs are drawn from, and says whether it is whole and fresh.

`python -m include manifest` makes it, and connects to nothing. It is where no dbt command writes, and `dbt clean` does
not reach: commands such as `dbt compile` and `dbt docs generate` rewrite dbt's own manifest, in `dbt/target`, and a DAG
drawn from that would change each time. `metadata.env`, dbt's place for notes of a deployment, says which files it was
made from and which versions made it, and what code_version.py needs.
"""

from __future__ import annotations

import json
import platform
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from include.settings import DBT_MANIFEST, DBT_PROFILES, DBT_PROJECT, ROOT, SettingError
from include.support.fingerprint import State, state_of
from include.transform.code_version import notes_of
from include.transform.project_files import changes_since, record_of_files

MADE_FROM = "MADE_FROM"  # in metadata.env: a Record as JSON text, as dbt takes no other values there
VERSIONS = "VERSIONS"  # in metadata.env: versions() as JSON text
# What a parse depends on, beside the project's files: dbt's own macros are in it too.
PARSED_BY = ("dbt-core", "dbt-adapters", "dbt-common", "dbt-postgres", "mashumaro")
MOST_CHANGES = 3  # that a message names


def make_manifest(file: Path = DBT_MANIFEST) -> bool:
    """Parses the dbt project, and replaces the file in one step. If dbt refuses it: False, and the file stays."""
    made_from = record_of_files()  # before dbt reads them: if one is changed meanwhile, the manifest is stale
    with folder_beside(file) as target:
        if run_dbt(target, "parse") is None:
            return False
        made = target / "manifest.json"
        content = json.loads(made.read_bytes())
        notes = {MADE_FROM: json.dumps(made_from), VERSIONS: json.dumps(versions())}
        content["metadata"]["env"] |= notes | notes_of(DBT_PROJECT)
        made.write_text(json.dumps(content))
        made.replace(file)
    return True


def versions() -> dict[str, str]:
    """The versions of Python and of the packages that parse the project, by name."""
    return {"python": platform.python_version()} | {name: version(name) for name in PARSED_BY}


@contextmanager
def folder_beside(file: Path) -> Iterator[Path]:
    """A temporary folder on the file's own disk, for what will replace the file in one step.

    dbt itself writes in place; here no reader sees half a file, and a killed process leaves none.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=file.parent, prefix=".making-") as target:
        yield Path(target)


def run_dbt(target: Path, *command: str, parse: Any = None) -> Any:
    """Runs a dbt command, which writes into the folder alone, and returns its result; None if dbt refuses it.

    `parse`: the result of `parse`, which the command then need not do again.
    """
    from dbt.cli.main import dbtRunner  # 0.7 s, and only needed here

    done = dbtRunner(parse).invoke(arguments(target, *command))
    if done.exception:
        print(done.exception, file=sys.stderr)
    return done.result if done.success else None


def compiled_sql(target: Path, parse: Any, folder: str, ds: str) -> dict[str, str] | None:
    """The SQL of the models in this folder (below staging, intermediate and marts) for a month, by unique_id.

    None if dbt refuses them. It connects to nothing. PG_SCHEMA says which dataset it is for.
    """
    models = [f"resource_type:model,path:models/{layer}/{folder}" for layer in ("staging", "intermediate", "marts")]
    options = ["--no-introspect", "--no-populate-cache", "--no-write-json", "--indirect-selection", "empty"]
    words = ["compile", *options, "--select", *models, "--vars", json.dumps({"ds": ds})]
    done = run_dbt(target, *words, parse=parse)
    return None if done is None else {each.node.unique_id: each.node.compiled_code for each in done.results}


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
