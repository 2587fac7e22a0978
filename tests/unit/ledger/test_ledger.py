"""The state of a month, judged by its tasks."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import psycopg
import pytest
from fastapi import HTTPException
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from dev.runs.ledger_table import as_calendars
from include.ledger import app
from include.ledger.months import Judged, TaskOfMonth, judge
from include.settings import SettingError
from include.support import access
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
    "its run is queued": (run("a", "queued", 0, wait=None, model=None), False, ("queued", "a", None)),
    "its first task is queued": (run("a", "running", 0, wait="queued", model=None), False, ("queued", "a", None)),
    "its first task runs, and has not asked yet": (
        run("a", "running", 0, wait="running", model=None),
        False,
        ("running", "a", None),
    ),
    "it asks for its file once more": (
        [replace(each, has_waited=True) for each in run("a", "running", 0, wait="running", model=None)],
        False,
        ("waiting", "a", None),
    ),
    "its file came": (
        [replace(each, has_waited=True) for each in run("a", "running", 0, wait="success", model="queued")],
        False,
        ("running", "a", None),
    ),
    "a task of a run that has ended was cleared": (
        run("a", "queued", 0, **GREEN | {"model": None}),
        True,
        ("queued", "a", None),
    ),
    "one run waits for its file, and another puts a version back": (
        run("a", "running", 0, wait="up_for_reschedule", model=None) + run("b", "queued", 5, wait=None, model=None),
        True,
        ("queued", "b", None),
    ),
    "one run runs, and another is queued": (
        run("a", "queued", 9, wait=None, model=None) + run("b", "running", 5, wait="success", model="running"),
        True,
        ("running", "b", None),
    ),
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


def test_a_month_that_nobody_ran_waits_only_if_its_run_begins_by_itself():
    failed = run("a", "failed", 0, wait="failed")
    for comes_by_itself, unpublished in ((True, "waiting"), (False, "never")):
        assert judge([], False, comes_by_itself) == Judged(unpublished)
        assert judge([], True, comes_by_itself) == Judged("published")
        assert judge(failed, False, comes_by_itself).state == "failed"


def test_what_readers_see_of_a_month_is_what_is_published_of_it():
    assert app.readers_see({"loaded_sha256": "4e2f"}) is None
    published = {"published_at": datetime(2026, 11, 29, 4, 59, tzinfo=timezone(timedelta(hours=1)))}
    assert app.readers_see(published) == "Readers see the version of 2026-11-29 03:59 UTC."
    assert app.readers_see(published | {"file_sha256": "4e2f" * 16}) == (
        "Readers see the version of 2026-11-29 03:59 UTC, of the file with SHA-256 4e2f4e2f4e2f."
    )


LINE = {
    **{"dataset": "green", "title": "Green", "month": "2024-01", "state": "failed", "failed_task": MODEL},
    **{"reason": "Its reason.", "restated": None, "readers_see": "Readers see the version of 03:59.", "pinned": None},
    **{"is_published": True, "is_outdated": False, "accepted": [], "may_accept": [], "departures": []},
}
PINNED = {"version": "4e2f" * 16, "since": "2026-11-29T05:12:00+01:00", "by": "ann", "dag_run": "manual__1"}


def test_the_terminal_counts_what_is_published_and_says_what_readers_see_and_which_months_stay():
    lines = [LINE, LINE | {"month": "2024-02", "is_published": False, "readers_see": None, "pinned": PINNED}]
    console = Console(width=200, record=True)
    console.print(as_calendars(lines))
    said = console.export_text()
    assert "Green: 1 of 2 published" in said
    assert f"green 2024-01 failed: {MODEL}. Its reason. Readers see the version of 03:59." in said
    assert f"green 2024-02 failed: {MODEL}. Its reason. Nothing of it is published." in said
    assert "green 2024-02: stays at the version 4e2f4e2f4e2f, which ann put back 2026-11-29 04:12 UTC." in said
    assert "make release DATASET=green MONTH=2024-02" in said
    assert "✗•" in said


AUDIT, OTHER = "reject_share_is_plausible", "sum_is_plausible"
ACCEPTED = {"audit": AUDIT, "reason": "a flood", "by": "ana", "at": "2026-11-29T05:12:00+01:00"}


def of_file(sha256: str, audit: str = AUDIT, reason: str | None = None) -> dict:
    """As audit_log has it."""
    return ACCEPTED | {"audit": f"test.taxi.{audit}.01234567", "sha256": sha256, "reason": reason}


def test_what_was_accepted_is_shown_of_the_file_that_is_published_alone():
    odd = [of_file("4e2f", reason="a flood"), of_file("5a5a", reason="a fire"), of_file("4e2f", OTHER)]
    assert app.accepted(odd, "4e2f") == [ACCEPTED]
    assert app.accepted(odd, "0000") == app.accepted(odd, None) == []


def test_an_audit_may_be_accepted_if_it_failed_on_the_loaded_file():
    odd, audits = [of_file("4e2f"), of_file("4e2f", OTHER)], {AUDIT: f"test.taxi.{AUDIT}.01234567", OTHER: None}
    assert app.may_accept(odd, "4e2f", audits) == [AUDIT]
    assert app.may_accept(odd, "5a5a", audits) == [], "another file is loaded"
    assert app.may_accept([of_file("4e2f", reason="a flood")], "4e2f", audits) == [], "it was accepted"
    assert app.may_accept(odd, "4e2f", {AUDIT: f"test.taxi.{AUDIT}.fedcba98"}) == [], "it has another bound"


def test_the_terminal_marks_a_month_that_was_accepted_and_says_of_which_one_may_be():
    lines = [
        LINE | {"state": "published", "accepted": [ACCEPTED]},
        LINE | {"month": "2024-02", "may_accept": [AUDIT]},
        LINE | {"month": "2024-03"},
    ]
    console = Console(width=300, record=True)
    console.print(as_calendars(lines))
    said = console.export_text()
    assert "✓~" in said
    assert f"green 2024-01: {AUDIT} failed, which ana accepted 2026-11-29 04:12 UTC: “a flood”" in said
    assert said.count("If the month is right all the same: docs/how-to/accept-a-month.md") == 1


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


UNREACHABLE = psycopg.OperationalError('connection to server at "10.0.0.7", password=secret: Connection refused')


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (UNREACHABLE, 'It heals by itself; if it does not: RUNBOOK.md, "Postgres is down".'),
        (
            psycopg.errors.ReadOnlySqlTransaction("x"),
            'It heals by itself; if it does not: RUNBOOK.md, "Postgres is read-only, full or damaged".',
        ),
        (psycopg.errors.IndexCorrupted("x"), 'RUNBOOK.md, "Postgres is read-only, full or damaged".'),
        (psycopg.errors.UndefinedColumn("x"), 'RUNBOOK.md, "A failure without an entry of its own".'),
        (SettingError("10.0.0.7"), 'RUNBOOK.md, "The connection or a setting is wrong".'),
    ],
    ids=lambda each: type(each).__name__,
)
def test_a_warehouse_that_cannot_be_read_is_told_with_what_to_do_and_without_its_address(
    error: Exception, says: str, monkeypatch: pytest.MonkeyPatch
):
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(app, "ledger_of", fail)
    monkeypatch.setattr(access, "may", lambda *_: True)
    with pytest.raises(HTTPException) as failure:
        app.months(user=None, session=None)
    assert failure.value.status_code == 503
    told = f"The warehouse cannot be read ({type(error).__name__}). {says} The api-server's log says why."
    assert failure.value.detail == told
    words = "The ledger answers 503: The warehouse cannot be read"
    shows("*Months*, *Lineage* or *dbt docs* shows no page", words, f"The ledger answers 503: {failure.value.detail}")
