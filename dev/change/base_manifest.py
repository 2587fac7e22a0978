"""dbt's manifest of another revision of this project, and dbt's `--state` for one month of production."""

import io
import json
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from dev.errors import StackError
from dev.system.programs import run
from include.settings import ROOT
from include.transform.code_version import variables_of
from include.transform.manifest import places

# The first that there is: what others have of it, then this clone's own.
MAIN_BRANCHES = ("origin/HEAD", "origin/main", "origin/master", "main", "master")


def commit_of(revision: str) -> str:
    """The full name of git's commit. Raises StackError where there is none of that name."""
    done = _git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    if done.returncode:
        why = done.stderr.decode().strip() or "git knows no such commit here"
        raise StackError(f"BASE={revision}: {why}. Give a branch, tag or commit, or STATE=<folder of a manifest.json>.")
    return done.stdout.decode().strip()


def branch_point() -> tuple[str, str]:
    """The commit where the present branch left the main one, and its name.

    Raises StackError where git knows no main branch here.
    """
    for main in MAIN_BRANCHES:
        if (done := _git("merge-base", "HEAD", main)).returncode == 0:
            commit = done.stdout.decode().strip()
            return commit, f"{main} ({commit[:12]}, where this branch left it)"
    raise StackError(
        f"git knows no main branch here ({', '.join(MAIN_BRANCHES)}): set BASE=<the revision that production runs>, or "
        "STATE=<folder of the deployment's manifest.json>."
    )


def project_differs(commit: str) -> bool:
    """Whether a file of the dbt project or of its profile was changed, added or removed since the commit."""
    of_project = ("--", "dbt", "profiles")
    new = _git("ls-files", "--others", "--exclude-standard", *of_project)
    return bool(_git("diff", "--quiet", commit, *of_project).returncode or new.stdout)


@contextmanager
def dbt_project_of(commit: str) -> Iterator[Path]:
    """A temporary folder with `dbt` and `profiles` as of the commit."""
    archive = _git("archive", "--format=tar", commit, "dbt", "profiles")
    if archive.returncode:
        raise StackError(f"{commit[:12]} has no dbt project: {archive.stderr.decode().strip()}")
    with tempfile.TemporaryDirectory() as folder, tarfile.open(fileobj=io.BytesIO(archive.stdout)) as files:
        files.extractall(folder, filter="data")
        yield Path(folder)


def base_manifest(commit: str, cache: Path) -> dict[str, Any]:
    """The manifest of the project as of the commit. It is parsed once (some 5 s); the folder `cache` holds it then."""
    file = cache / f"{commit}-noted-dbt-{version('dbt-core')}.json"
    if not file.exists():
        with dbt_project_of(commit) as project:
            words = ["parse", "--quiet", *places(project / "target", project / "dbt", project / "profiles")]
            done = run("dbt", *words, environment={"PG_SCHEMA": "airflow_default"}, capture=True)
            if done.returncode:
                raise StackError(f"dbt cannot parse the project as of {commit[:12]}:\n{done.stdout}")
            cache.mkdir(parents=True, exist_ok=True)
            draft = file.with_suffix(".draft")
            manifest = json.loads((project / "target" / "manifest.json").read_bytes())
            manifest["metadata"]["env"] |= variables_of(project / "dbt")
            draft.write_text(json.dumps(manifest))
            draft.replace(file)
    return read_manifest(file)


def read_manifest(file: Path) -> dict[str, Any]:
    """Raises StackError where the file is not dbt's manifest."""
    try:
        manifest: dict[str, Any] = json.loads(file.read_bytes())
        manifest["nodes"], manifest["sources"]
        return manifest
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StackError(f"{file} is not a manifest of dbt's ({type(error).__name__}: {error}).") from None


def write_state(manifest: dict[str, Any], folder: Path, database: str, published: str, run_schema: str) -> None:
    """Writes dbt's `--state`: the manifest, with its models and sources in production's database and schemas."""
    for node in (*manifest["nodes"].values(), *manifest["sources"].values()):
        if node["resource_type"] in ("model", "source"):
            of_run = node["resource_type"] == "model" and node["config"].get("schema") != "published"
            schema = run_schema if of_run else published
            name = node.get("alias") or node["identifier"]
            node |= {"database": database, "schema": schema, "relation_name": f'"{database}"."{schema}"."{name}"'}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "manifest.json").write_text(json.dumps(manifest))


def _git(*words: str) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(["git", *words], cwd=ROOT, capture_output=True)
    except FileNotFoundError:
        raise StackError("git is not installed: give STATE=<folder of the deployment's manifest.json>.") from None
