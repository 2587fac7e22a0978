"""Bare `make` says what there is, and starts nothing."""

from __future__ import annotations

import os
import shutil
import subprocess

from dev.__main__ import COMMANDS
from include.settings import ROOT


def made(*words: str) -> str:
    """What make prints, in a clone without an environment: nothing may be installed for it.

    A make that started the tests hands its options on, and has its children name their folders.
    """
    make = shutil.which("make")
    assert make
    own = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    done = subprocess.run([make, *words], cwd=ROOT, env=own, capture_output=True, text=True, check=True)
    return done.stdout


def test_bare_make_prints_every_command_from_the_makefile_s_own_comments():
    said = made()
    assert said == made("help")
    for command in COMMANDS:
        assert f"make {command} " in said or f"/ {command} " in said, command
    assert all(len(line) <= 125 for line in said.splitlines())
    assert made("--dry-run").startswith("sed "), "nothing else is done"
