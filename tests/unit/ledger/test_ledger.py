"""The state of a month, judged by its tasks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from fastapi import HTTPException
from hypothesis import given
from hypothesis import strategies as st

from include.ledger import app
from include.ledger.months import Judged, TaskOfMonth, judge
from tests.support.documents import shows

WAIT, MODEL, TEST, MART = "wait_for_month", "build.int_zones.run", "build.int_zones.test", "publish.fct_months.run"


def at(minute: int | None) -> datetime | None:
    return None if minute is None else datetime(2024, 3, 1, tzinfo=UTC) + timedelta(minutes=minute)


def run(run_id: str, state: str, begun: int, **tasks: str | None) -> list[TaskOfMonth]:
    """A run whose tasks began a minute after each other; those without a state have not begun."""
    names = {"wait": WAIT, "model": MODEL, "test": TEST, "mart": MART}
    return [
        TaskOfMonth(run_id, state, names[task], found, at(found and begun + place))
        for place, (task, found) in enumerate(tasks.items())
    ]


GREEN = {"wait": "success", "model": "success", "test": "success", "mart": "success"}
CASES = {
    "nobody ran it": ([], False, ("never", None, None)),
    "plain dbt published it": ([], True, ("published", None, None)),
    "it was run and published": (run("a", "success", 0, **GREEN), True, ("published", "a", None)),
    "its rows were taken out since": (run("a", "success", 0, **GREEN), False, ("never", "a", None)),
    "no table says whether it is published": (run("a", "success", 0, **GREEN), None, ("published", "a", None)),
    "it waits for its file": (
        run("a", "running", 0, wait="up_for_reschedule", model=None),
        False,
        ("waiting", "a", None),
    ),
    "it is queued": (run("a", "queued", 0, wait=None, model=None), False, ("waiting", "a", None)),
    "it runs": (run("a", "running", 0, wait="success", model="running", test=None), False, ("running", "a", None)),
    "it is tried again": (run("a", "running", 0, wait="success", model="up_for_retry"), False, ("running", "a", None)),
    "it runs anew while it is published": (
        run("a", "running", 0, wait="success", model="queued"),
        True,
        ("running", "a", None),
    ),
    "a model failed": (
        run("a", "failed", 0, wait="success", model="failed", test="upstream_failed", mart="upstream_failed"),
        False,
        ("failed", "a", MODEL),
    ),
    "a model failed while others still run": (
        run("a", "running", 0, wait="success", model="failed", test="running"),
        False,
        ("failed", "a", MODEL),
    ),
    "a red model under a green run": (
        run("a", "success", 0, **GREEN | {"model": "failed"}),
        True,
        ("failed", "a", MODEL),
    ),
    "it failed in one run, and a later one went through": (
        run("a", "failed", 0, **GREEN | {"test": "failed"}) + run("b", "success", 10, **GREEN),
        True,
        ("published", "b", None),
    ),
    "a task of an earlier run, cleared since, failed": (
        run("b", "success", 10, **GREEN) + run("a", "success", 0, **GREEN) + run("a", "success", 30, test="failed"),
        True,
        ("failed", "a", TEST),
    ),
    "what failed in one run has yet to begin in another": (
        run("a", "failed", 0, **GREEN | {"test": "failed"}) + run("b", "running", 10, wait="success", test=None),
        False,
        ("running", "b", None),
    ),
    "its run was marked as failed": (
        run("a", "failed", 0, wait="success", model="skipped"),
        False,
        ("failed", "a", None),
    ),
}


@pytest.mark.parametrize(("tasks", "is_published", "expected"), CASES.values(), ids=CASES)
def test_a_month_is_judged_by_its_tasks(tasks: list[TaskOfMonth], is_published: bool | None, expected: tuple):
    found = judge(tasks, is_published)
    assert (found.state, found.run_id, found.task and found.task.task_id) == expected


def test_a_month_that_nobody_ran_waits_until_its_file_may_be_there():
    failed = run("a", "failed", 0, wait="failed")
    for is_due, unpublished in ((False, "waiting"), (True, "never")):
        assert judge([], False, is_due) == Judged(unpublished)
        assert judge([], True, is_due) == Judged("published")
        assert judge(failed, False, is_due).state == "failed"


def test_a_published_month_whose_file_has_changed_at_the_source_says_so_and_no_other_does():
    for tasks, is_published, _ in CASES.values():
        state = judge(tasks, is_published).state
        found = judge(tasks, is_published, is_restated=True).state
        assert found == ("restated" if state == "published" else state)


STATES = st.sampled_from([None, "queued", "running", "success", "failed", "upstream_failed", "up_for_retry", "skipped"])


@given(
    st.lists(
        st.builds(
            TaskOfMonth,
            st.sampled_from("ab"),
            st.just("success"),
            st.sampled_from([WAIT, MODEL, TEST, MART]),
            STATES,
            st.integers(0, 1000).map(at),
        ),
        unique_by=lambda task: task.since,
    ),
    st.randoms(),
)
def test_the_order_in_which_tasks_are_read_does_not_matter(tasks: list[TaskOfMonth], random):
    shuffled = random.sample(tasks, len(tasks))
    found = judge(tasks, True)
    assert judge(shuffled, True) == found
    latest = {task.task_id: task for task in sorted(tasks, key=lambda task: task.since)}
    assert (found.state == "failed") == any(task.state == "failed" for task in latest.values())
    assert isinstance(found, Judged)


def test_a_warehouse_that_cannot_be_read_is_told_without_its_address(monkeypatch: pytest.MonkeyPatch):
    def fail(*_: object) -> None:
        raise psycopg.OperationalError('connection to server at "10.0.0.7", user "pipeline", password=secret failed')

    monkeypatch.setattr(app, "ledger_of", fail)
    monkeypatch.setattr(app, "may", lambda *_: True)
    with pytest.raises(HTTPException) as failure:
        app.months(user=None, session=None)
    assert failure.value.status_code == 503
    assert failure.value.detail == "The warehouse cannot be read (OperationalError). The api-server's log says why."
    words = "The ledger answers 503: The warehouse cannot be read"
    shows("*Months* or *dbt docs* shows no page", words, f"The ledger answers 503: {failure.value.detail}")
