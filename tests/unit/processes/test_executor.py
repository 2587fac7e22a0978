"""The local stack's executor, with real workers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from airflow.utils.state import TaskInstanceState

from include.processes import executor
from include.processes.executor import RestingLocalExecutor


class Work(SimpleNamespace):
    """Of no kind that Airflow knows: after half a second its worker says that it has failed, as of a task."""

    @property
    def running_state(self) -> None:
        time.sleep(0.5)


WORK = Work(key="a task", failure_state=TaskInstanceState.FAILED, ti=SimpleNamespace(priority_weight=1))


@pytest.fixture
def local(monkeypatch: pytest.MonkeyPatch) -> Iterator[RestingLocalExecutor]:
    monkeypatch.setattr(executor, "WAIT_SECONDS", 60)
    local = RestingLocalExecutor(parallelism=1)
    local.start()
    yield local
    local.end()


def send(local: RestingLocalExecutor) -> None:
    """As a loop of the scheduler does that has queued a task."""
    local.queued_tasks[WORK.key] = WORK
    local.heartbeat()


def test_the_scheduler_hears_of_a_tasks_end_in_the_loop_in_which_it_ends(local: RestingLocalExecutor):
    send(local)
    local.heartbeat()
    assert list(local.event_buffer) == [WORK.key]


def test_a_loop_that_sends_a_task_goes_on_at_once(local: RestingLocalExecutor, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(executor, "LOOK_SECONDS", -1)  # refused by sleep()
    send(local)
