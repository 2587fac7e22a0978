"""What Astro's CLI looks for in a clone, and what it takes into the image."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from pathspec import GitIgnoreSpec

from include.settings import ROOT

INTEGRITY = ROOT / ".astro" / "test_dag_integrity_default.py"
# What the CLI mounts or makes below .astro on one machine.
OF_ONE_MACHINE = (".astro/standalone/airflow.db", ".astro/worktrees/feature/config.yaml")
# What an image is built of: by deploy/Dockerfile, and packages.txt by Astro's.
CONTEXT = {"config", "dags", "dbt", "include", "plugins", "profiles", "packages.txt", "requirements.txt"}


def is_ignored(path: str) -> bool:
    """Whether the project's .gitignore keeps the file out of a commit. An image has no git to ask."""
    return GitIgnoreSpec.from_lines((ROOT / ".gitignore").read_text().splitlines()).match_file(path)


def test_a_clone_is_an_astro_project():
    config = yaml.safe_load((ROOT / ".astro/config.yaml").read_text())
    assert config["project"]["name"] == "taxi-pipeline"
    assert not is_ignored(".astro/config.yaml")
    assert not is_ignored(".astro/test_dag_integrity_default.py")
    assert [path for path in OF_ONE_MACHINE if not is_ignored(path)] == []
    assert is_ignored(".env"), "it holds the password"


def test_no_file_that_goes_into_the_image_asks_for_a_password():
    """Astro's CLI reads connections from airflow_settings.yaml, which it scaffolds, tracks and takes into the image."""
    assert not (ROOT / "airflow_settings.yaml").exists()
    documents = [ROOT / "README.md", ROOT / "RUNBOOK.md", ROOT / ".env.example", *(ROOT / "docs").rglob("*.md")]
    assert [file for file in documents if "airflow_settings.yaml" in file.read_text()] == []


def test_the_image_is_built_of_what_is_named_and_nothing_else():
    """A folder that somebody makes in their clone, with whatever it holds, does not go into an image."""
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert lines[0] == "*"
    taken = {line.removeprefix("!") for line in lines if line.startswith("!")}
    assert {path for path in taken if not path.startswith("deploy/")} == CONTEXT
    copied = re.findall(r"^COPY (?:--\S+ )*(\S+) \S+$", (ROOT / "deploy/Dockerfile").read_text(), re.MULTILINE)
    assert {path for path in taken if path.startswith("deploy/")} == {path for path in copied if "/" in path}
    assert [path for path in taken if not (ROOT / path).exists()] == []
    left_out = {line for line in lines[1:] if not line.startswith("!")}
    assert {"dbt/logs", "dbt/manifest", "dbt/site", "dbt/target", "**/__pycache__"} <= left_out


@pytest.mark.long
@pytest.mark.parametrize("broken", [False, True])
def test_the_cli_s_check_of_the_dags_passes_on_them_and_names_a_file_that_cannot_be_imported(
    tmp_path: Path, broken: bool
):
    folder = ROOT / "dags"
    if broken:
        folder = tmp_path
        (folder / "broken.py").write_text("from airflow.sdk import DAG\nimport nowhere\n")
    environment = os.environ | {"AIRFLOW__CORE__DAGS_FOLDER": str(folder)}
    words = [sys.executable, "-m", "pytest", "--noconftest", "-p", "no:cacheprovider", str(INTEGRITY)]
    done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == int(broken), done.stdout
    assert ("broken.py" in done.stdout and "nowhere" in done.stdout) == broken
