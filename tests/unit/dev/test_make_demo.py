"""What `make demo` does in a new clone, one after the other and side by side, and what it leaves out in an old one."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from include.settings import ROOT

# In the place of Python: it notes what it was called with.
# The manifest and the database each wait for the other to have begun, and Airflow waits for the docs.
PYTHON = """#!/bin/sh
echo "$*" >> calls
await() { for _ in $(seq 100); do grep -q -e "$1" calls && return; sleep 0.1; done; echo "$1 did not begin"; exit 1; }
case "$*" in
    "-c import pip") exit "$NO_PIP" ;;
    *fault*) test -e dbt/manifest/manifest.json ;;
    *"-m venv"*) mkdir -p .local/venv/bin && cp python .local/venv/bin ;;
    "-m include manifest") await "-m dev database"; mkdir -p dbt/manifest; touch dbt/manifest/manifest.json ;;
    "-m dev database") await "-m include manifest"
        test "$DOCS_END" = 0 || { await "-m include docs"; sleep 0.5; }  # docs that fail do so before Airflow begins
        mkdir -p .local/airflow; touch .local/airflow/migrated-airflow ;;
    "-m include docs") mkdir -p dbt/site; touch dbt/site/index.html; exit "$DOCS_END" ;;
    "-m dev demo") test -e dbt/site/index.html || await "-m include docs"; echo "months" ;;
esac
"""


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    (tmp_path / "dev").mkdir()
    for file in ("Makefile", "dev/requirements.lock"):
        shutil.copy(ROOT / file, tmp_path / file)
    (tmp_path / "python").write_text(PYTHON)
    (tmp_path / "python").chmod(0o755)
    return tmp_path


def demo(clone: Path, no_pip: int = 0, docs: int = 0) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """`make demo`, and what it called Python with. `no_pip`, `docs`: how `import pip` and the docs end."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    own |= {"PYTHON": "./python", "PWD": str(clone), "NO_PIP": str(no_pip), "DOCS_END": str(docs)}
    (clone / "calls").write_text("")
    done = subprocess.run(["make", "demo"], cwd=clone, env=own, capture_output=True, text=True, timeout=60)
    return done, (clone / "calls").read_text().splitlines()


def test_a_new_clone_makes_manifest_and_database_side_by_side_then_airflow_starts_beside_the_docs(clone: Path):
    done, calls = demo(clone)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    *_, first, second, third, fourth = (call for call in calls if not call.startswith("-c"))
    assert {first, second} == {"-m include manifest", "-m dev database"}
    assert {third, fourth} == {"-m include docs", "-m dev demo"}


def test_a_stack_that_has_its_tables_is_not_asked_for_them_first(clone: Path):
    demo(clone)
    done, calls = demo(clone)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "-m dev demo" in calls
    assert "-m dev database" not in calls


def test_docs_that_cannot_be_made_are_a_failure_that_comes_after_the_months(clone: Path):
    done, _ = demo(clone, docs=1)
    assert done.returncode
    assert "months" in done.stdout
    assert "docs" in done.stderr


@pytest.mark.parametrize("no_pip", [0, 1])
def test_the_users_pip_installs_uv_and_where_there_is_none_python_brings_one(clone: Path, no_pip: int):
    done, calls = demo(clone, no_pip)
    assert done.returncode == 0, done.stdout + done.stderr
    [venv] = [call for call in calls if call.startswith("-m venv")]
    assert ("--without-pip" in venv) == (not no_pip)
    [pip] = [call for call in calls if call.startswith("-m pip")]
    assert pip.startswith("-m pip install" if no_pip else "-m pip --python .local/venv/bin/python install")
    assert ("uv==" in pip, pip.endswith(" pip")) == (True, not no_pip)
