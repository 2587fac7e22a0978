"""A process of the stack has the settings that it was given, and none of the terminal's that starts it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dev.system.process import BackgroundProcess
from tests.support.until import until

# Airflow's processes and Celery's workers give themselves a title.
TITLED = (
    "import setproctitle, sys, time; setproctitle.setproctitle('t' * 2000); print('titled', flush=True); time.sleep(99)"
)


@pytest.fixture
def process(tmp_path: Path) -> Iterator[BackgroundProcess]:
    process = BackgroundProcess(tmp_path, "scheduler")
    yield process
    process.stop()


def start(process: BackgroundProcess, **environment: str) -> bool:
    return process.ensure([sys.executable, "-c", TITLED], environment)


def test_its_environment_is_what_it_was_started_with_whatever_the_terminal_has(
    process: BackgroundProcess, monkeypatch: pytest.MonkeyPatch
):
    assert process.environment() is None
    monkeypatch.setenv("PIPELINE_POLL_SECONDS", "11")
    assert start(process, PIPELINE_NOTIFY="mail")
    until(lambda: process.log.read_text(), lambda said: "titled" in said, seconds=30)
    monkeypatch.setenv("PIPELINE_NOTIFY", "of this terminal")
    found = process.environment()
    assert found is not None
    assert {name: text for name, text in found.items() if name.startswith("PIPELINE_")} == {"PIPELINE_NOTIFY": "mail"}


def test_another_setting_restarts_it_and_the_same_one_does_not(process: BackgroundProcess):
    assert start(process, PIPELINE_NOTIFY="mail")
    first = process.pid()
    assert not start(process, PIPELINE_NOTIFY="mail")
    assert process.pid() == first
    assert start(process, PIPELINE_NOTIFY="slack")
    assert process.pid() != first
