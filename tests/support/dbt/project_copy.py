"""A copy of the project, for tests that change its files."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dev.stack.stack import Stack
from include.settings import ROOT
from tests.support.dbt.project import Done

IS_FRESH = "import sys; from include.transform.manifest import fault, stale; sys.exit(bool(fault() or stale()))"
LEFT_OUT = shutil.ignore_patterns(".local", ".git", "target", "logs", "manifest", "__pycache__", ".*_cache")


@dataclass(frozen=True)
class ProjectCopy:
    """The project's files in another folder, without a manifest; `make` works on a stack of its own there."""

    folder: Path

    @property
    def manifest(self) -> Path:
        return self.folder / "dbt" / "manifest" / "manifest.json"

    @property
    def stack(self) -> Stack:
        return Stack(self.folder / ".local")

    def run(self, *words: str, **environment: str) -> str:
        """A module of the copy, `python -m`, which must succeed; its output."""
        done = self.try_to_run(*words, **environment)
        assert done.returncode == 0, done.output
        return done.output

    def ensure_manifest(self) -> None:
        """As `make manifest` does: looking takes 0.6 s of CPU, making it anew 5 s."""
        if self._python("-c", IS_FRESH).returncode:
            self.run("include", "manifest")

    def try_to_run(self, *words: str, **environment: str) -> Done:
        return self._python("-m", *words, **environment)

    def _python(self, *words: str, **environment: str) -> Done:
        inherited = {name: each for name, each in os.environ.items() if not name.startswith(("PG", "DBT_", "AIRFLOW"))}
        done = subprocess.run(
            [sys.executable, *words],
            cwd=self.folder,
            env=inherited | {"PYTHONPATH": str(self.folder)} | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        return Done(done.returncode, done.stdout)


@contextmanager
def project_copy(folder: Path) -> Iterator[ProjectCopy]:
    """A copy in this folder, which is not there yet; what runs in it is stopped afterwards."""
    shutil.copytree(ROOT, folder, ignore=LEFT_OUT)
    copy = ProjectCopy(folder)
    try:
        yield copy
    finally:
        copy.run("dev", "down")
