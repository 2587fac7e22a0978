"""Bare `make` says what there is, and starts nothing."""

from __future__ import annotations

import shutil
import subprocess

from dev.__main__ import COMMANDS
from include.settings import ROOT


def made(*words: str) -> str:
    """What make prints, in a clone without an environment: nothing may be installed for it."""
    make = shutil.which("make")
    assert make
    done = subprocess.run([make, *words], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout


def test_bare_make_prints_every_command_from_the_makefile_s_own_comments():
    said = made()
    assert said == made("help")
    for command in COMMANDS:
        assert f"make {command} " in said or f"/ {command} " in said, command
    assert all(len(line) <= 125 for line in said.splitlines())
    assert made("--dry-run").startswith("sed "), "nothing else is done"
