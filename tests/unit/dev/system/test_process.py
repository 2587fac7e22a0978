"""A process of the stack has the settings that it was given, and none of the terminal's that starts it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from dev.system.process import BackgroundProcess, inherited_environment
from dev.tlc.mirror import TlcMirror
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


@pytest.mark.parametrize(
    ("given", "direct"),
    [
        ({}, "localhost,127.0.0.1,::1"),
        ({"NO_PROXY": "a.example"}, "a.example,localhost,127.0.0.1,::1"),
        ({"no_proxy": "b.example", "NO_PROXY": "a.example"}, "b.example,localhost,127.0.0.1,::1"),
        ({"NO_PROXY": "*"}, "*"),
    ],
)
def test_the_stack_s_own_servers_are_asked_by_no_proxy_of_the_user_s(monkeypatch, given: dict[str, str], direct: str):
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name, text in (given | {"HTTP_PROXY": "http://127.0.0.1:9", "ALL_PROXY": "http://127.0.0.1:9"}).items():
        monkeypatch.setenv(name, text)
    environment = inherited_environment()
    assert environment["NO_PROXY"] == environment["no_proxy"] == direct
    assert environment["HTTP_PROXY"] == "http://127.0.0.1:9"


def test_airflow_s_tasks_reach_loopback_past_a_proxy_of_the_user_s(monkeypatch, tlc: TlcMirror):
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    with pytest.raises(httpx.ConnectError):
        httpx.get(tlc.url)
    for name, text in inherited_environment().items():
        monkeypatch.setenv(name, text)
    assert httpx.get(tlc.url).status_code == 403  # the mirror's answer: there is no such file


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
