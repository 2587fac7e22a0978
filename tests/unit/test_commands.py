"""`python -m include`: the commands of a deployment. What each does has tests of its own."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from include.__main__ import COMMANDS
from include.settings import ROOT, SETTINGS


def python_m_include(*words: str, options: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *options, "-m", "include", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def test_help_names_every_command_and_what_it_does():
    helped = " ".join(python_m_include("--help").stdout.split())
    for command in COMMANDS:
        assert f"{command.__name__} {' '.join(command.__doc__.split())}" in helped


@pytest.mark.parametrize("words", [(), ("manifests",)])
def test_without_a_command_or_with_an_unknown_one_it_says_which_there_are(words: tuple[str, ...]):
    done = python_m_include(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert "manifest" in done.stderr


def test_a_python_without_the_packages_is_told_which_one_has_them():
    done = python_m_include("manifest", options=("-S",))  # without site-packages
    assert (done.returncode, done.stdout) == (1, "")
    assert re.match(rf"{re.escape(sys.executable)} has no \w+, which this command needs", done.stderr)
    assert done.stderr.endswith(".local/venv/bin/python -m include manifest\n")


def test_the_settings_are_rows_of_a_table():
    lines = python_m_include("settings").stdout.splitlines()
    assert [line.split("`")[1] for line in lines] == [each.name for each in SETTINGS]
