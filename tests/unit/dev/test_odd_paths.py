"""`make` works in a clone whatever its path is named, or says in one line why it does not."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from include.settings import ROOT

ODD = {
    "a blank": "my project",
    "an apostrophe": "it's",
    "what the shell reads": "a & b; (c) | d > e # f * ? ~",
    "what make reads": "100% = x",
    "brackets": "[abc]{d}",
    "letters of other scripts": "données 数据",
    "a dash in front": "-n",
    "more than a socket's address may have": f"{'x' * 100}/{'y' * 100}",
    "a line break": "a\nb",
}
# In the place of the environment's Python: it says what it was called with, and where it takes modules from.
PYTHON = '#!/bin/sh\nprintf "%s\\n" "$PYTHONPATH" "$*" >> calls\n'


def clone(folder: Path) -> Path:
    """As much of a clone as make looks at, with an environment that needs no installation."""
    for part in ("dev", ".local/venv/bin", "dbt/manifest", "dbt/site"):
        (folder / part).mkdir(parents=True)
    for file in ("Makefile", "dev/requirements.lock", "dev/celery.lock"):
        shutil.copy(ROOT / file, folder / file)
    python = folder / ".local/venv/bin/python"
    python.write_text(PYTHON)
    python.chmod(0o755)
    shutil.copy(ROOT / "dev/requirements.lock", folder / ".local/venv/.locked")
    return folder


def make(folder: Path, *targets: str) -> subprocess.CompletedProcess[str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    own |= {"PYTHON": ".local/venv/bin/python", "PWD": str(folder)}
    return subprocess.run(["make", *targets], cwd=folder, env=own, capture_output=True, text=True)


@pytest.mark.parametrize("name", ODD.values(), ids=ODD)
def test_every_kind_of_command_is_called_with_the_clones_own_path(tmp_path: Path, name: str):
    folder = clone(tmp_path / name)
    done = make(folder, "install", "up", "dbt", "lint", "test-unit", "celery")
    assert (done.returncode, done.stderr) == (0, "")
    calls = (folder / "calls").read_text()
    assert calls.count(f"{folder}\n") == len(calls.split(f"{folder}\n")) - 1 > 8
    for called in ("-m venv", "-m dev up", "-m dev dbt", "-m ruff", "-m sqlfluff", "-m mkdocs", "-m pytest"):
        assert f"{folder}\n{called}" in calls


@pytest.mark.parametrize("name", ["a:b", 'my "project"', "a $HOME b", "a `exit 1` b", "a\\b"])
def test_what_python_airflow_or_postgres_would_misread_is_refused_in_a_line(tmp_path: Path, name: str):
    done = make(clone(tmp_path / name), "up")
    assert done.returncode
    [line] = done.stderr.splitlines()
    [refused, *_] = re.findall(r"[^ \w]", name)
    assert f"{tmp_path / name}, has {refused} in it" in line
    assert line.endswith("Move the clone.  Stop.")
