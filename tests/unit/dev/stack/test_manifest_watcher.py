"""The process that looks at the dbt project all the time, and the one that it starts when a file is changed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from include.settings import ROOT
from tests.support.dbt.project_copy import ProjectCopy, project_copy
from tests.support.until import until

# They took 100 MiB of the watcher, all of what it starts.
HEAVY = ("dbt", "airflow", "requests", "psycopg", "numpy")
IMPORTED = f"import dev.stack.manifest_watcher, sys; print(*(name for name in {HEAVY} if name in sys.modules))"
STAYS_SECONDS = 30  # longer than an edit takes on a busy machine
WATCH = f"import dev.stack.manifest_watcher as m, pathlib; m.watch(pathlib.Path('.local'), stays={STAYS_SECONDS})"


def test_what_looks_at_the_files_imports_nothing_heavy():
    done = subprocess.run([sys.executable, "-c", IMPORTED], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


@pytest.fixture
def project(tmp_path: Path) -> Iterator[ProjectCopy]:
    with project_copy(tmp_path / "project") as copy:
        copy.ensure_manifest()
        yield copy


@pytest.fixture
def watcher(project: ProjectCopy) -> Iterator[psutil.Process]:
    """The watcher of the copy, which has no stack."""
    with subprocess.Popen([sys.executable, "-c", WATCH], cwd=project.folder) as process:
        try:
            yield psutil.Process(process.pid)
        finally:
            process.kill()


@pytest.mark.long
def test_a_process_that_holds_dbt_runs_while_somebody_edits(project: ProjectCopy, watcher: psutil.Process):
    model, edits = project.folder / "dbt/models/marts/tlc/fct_trips.sql", iter(range(9))

    def edited_and_made_anew() -> psutil.Process:
        before = project.manifest.stat().st_mtime_ns
        model.write_text(f"{model.read_text()}\n-- {next(edits)}\n")
        until(lambda: project.manifest.stat().st_mtime_ns, lambda written: written != before, seconds=60)
        return watcher.children()[0]

    assert watcher.children() == []
    maker = edited_and_made_anew()
    assert edited_and_made_anew() == maker
    maker.kill()
    maker = edited_and_made_anew()
    until(watcher.children, lambda found: not found, seconds=60)
    maker = edited_and_made_anew()
    watcher.kill()
    until(maker.is_running, lambda runs: not runs, seconds=60)
