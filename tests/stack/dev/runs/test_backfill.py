"""Backfills as an operator meets them: one after the other, cancelled, cleared, and held up by all that can do so."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from dev.errors import StackError
from dev.runs.backfill import Backfill, Outcome, months_between
from dev.system.programs import run
from include.datasets import GREEN, YELLOW
from include.month import Month
from include.settings import ROOT
from tests.support.documents import shows
from tests.support.stack.pipeline import Pipeline
from tests.support.until import until

pytestmark = pytest.mark.long

PATIENCE = 6
DAG = f"/dags/{GREEN.dag_id}"
LAST_TASK = "publish.fct_months.test"


@pytest.fixture(scope="module")
def running(pipeline: Pipeline) -> Pipeline:
    for month in ("2021-01", "2021-02", "2021-03"):
        pipeline.publish_file(month)
    return pipeline


def backfill_of(pipeline: Pipeline, first: str, last: str | None = None) -> Backfill:
    return Backfill(pipeline.stack.api, GREEN, months_between(GREEN, first, last or first), patience=PATIENCE)


def backfills(pipeline: Pipeline) -> list[dict]:
    return list(pipeline.stack.api.pages("/backfills", "backfills", dag_id=GREEN.dag_id))


def cancel_open_backfill(pipeline: Pipeline) -> None:
    """What the button of the UI does. A run that is on its way goes on."""
    [running] = [each for each in backfills(pipeline) if not each["completed_at"]]
    pipeline.stack.api.call("PUT", f"/backfills/{running['id']}/cancel")


@contextmanager
def followed(backfill: Backfill) -> Iterator[list[Outcome]]:
    """Follows the backfill in a thread beside the test; the list holds its outcome afterwards."""
    outcome: list[Outcome] = []
    thread = threading.Thread(target=lambda: outcome.append(backfill.follow()))
    thread.start()
    yield outcome
    thread.join(240)
    assert outcome


@pytest.fixture
def wait_until_said(capsys: pytest.CaptureFixture) -> Callable[..., str]:
    """Waits until the words have been printed; returns all that was printed so far."""
    printed: list[str] = []

    def said() -> str:
        printed.append(capsys.readouterr().out)
        return "".join(printed)

    def wait(*words: str, seconds: float = 60) -> str:
        return until(
            said,
            lambda text: all(word in text for word in words),
            seconds=seconds,
            besides=lambda: f"and not {words}",
        )

    return wait


def test_a_backfill_poisons_none_before_it_and_a_run_that_a_cancel_has_poisoned_is_named_and_healed(
    running: Pipeline, wait_until_said
):
    first, second = backfill_of(running, "2021-01"), backfill_of(running, "2021-02")
    first.create()
    assert first.follow().failed == []
    second.create()  # once Airflow has closed the first, which it does every 30 s
    assert [each["is_paused"] for each in backfills(running)] == [False] * len(backfills(running))
    run_id = running.run_of("2021-02")
    running.wait_for_task(run_id, "wait_for_month", "success")
    cancel_open_backfill(running)
    assert second.follow().failed == []

    # a task of the first one's run, cleared later, and one of the cancelled one's
    running.clear(running.run_of("2021-01"), LAST_TASK)
    assert running.wait(running.run_of("2021-01")) == "success"
    running.clear(run_id, LAST_TASK)
    assert running.state(run_id) == "queued"
    began = time.monotonic()
    outcome = second.follow()
    assert time.monotonic() - began < 60
    assert (outcome.stuck, outcome.ended) == ([Month.parse("2021-02")], [])
    said = wait_until_said(f"2021-02 (dag run {run_id}) is queued for ever", "REPROCESS=failed", "72337")
    assert "nothing holds it up" not in said
    shows("A run stays queued", "is queued for ever", said)

    # healed, as it was said to be, and for good
    second.create(reprocess="failed")
    assert second.follow().succeeded == [Month.parse("2021-02")]
    running.clear(run_id, LAST_TASK)
    assert running.wait(run_id) == "success"


def test_a_backfill_that_airflow_refuses_says_airflows_own_reason(running: Pipeline):
    with pytest.raises(StackError, match=r"Airflow refuses the backfill: .*future dates"):
        Backfill(running.stack.api, GREEN, [Month.parse("2199-01")]).create()


def test_what_holds_a_backfill_up_is_said_within_a_minute(running: Pipeline, wait_until_said):
    """A pool without slots, a DAG that is paused, a scheduler that was killed; and it goes on afterwards."""
    stack, api = running.stack, running.stack.api
    backfill = backfill_of(running, "2021-03")
    backfill.create()
    with followed(backfill) as outcome, running.slots(0):
        try:
            said = wait_until_said("could run and none does", "0 of 0 slots of default_pool")
            shows("Tasks stay queued, or scheduled", "could run and none does", said)
            api.call("PATCH", DAG, json={"is_paused": True})
            wait_until_said("The DAG is paused", f"{api.url}{DAG}")
            api.call("PATCH", DAG, json={"is_paused": False})
            os.kill(running.scheduler_pid, signal.SIGKILL)
            said = wait_until_said("The scheduler gives no sign of life since", "make up")
            shows("The scheduler has ended", "The scheduler gives no sign of life", said)
        finally:
            # First of all: the killed scheduler's idle workers may hold its transaction open, and with it its locks.
            stack.up(stack.choices)
            api.call("PATCH", DAG, json={"is_paused": False})
    assert outcome[0].succeeded == [Month.parse("2021-03")]


def test_a_month_that_waits_for_tlc_is_said_to_and_one_that_waits_for_its_turn_is_not_taken_for_stuck(
    running: Pipeline, wait_until_said
):
    this = Month.containing(datetime.now(UTC))
    first, last = str(this.plus(-3)), str(this.plus(-2))  # the latest is for other tests
    backfill = backfill_of(running, first, last)
    backfill.create(parallel=1)
    with pytest.raises(StackError, match=f"A backfill of {first} to {last} is running"):
        backfill_of(running, "2021-01").create()
    with followed(backfill) as outcome:
        wait_until_said(f"{first}: not available from TLC yet", "and 1 more wait behind them")
        time.sleep(3 * PATIENCE)  # long enough for a false alarm
        said = wait_until_said()
        for month in (first, last):
            running.publish_file(month)
    assert len(outcome[0].succeeded) == 2
    for alarm in ("queued for ever", "nothing holds it up", "none does"):
        assert alarm not in said


def test_after_airflow_s_database_was_cleaned_the_ledger_is_right_and_months_load_again(pipeline: Pipeline):
    """As RUNBOOK.md has it, but for one DAG alone, and up to the present."""
    yellow, months = replace(pipeline, dataset=YELLOW), ("2021-02", "2021-03")
    for month in months:
        yellow.publish_file(month)
    yellow.backfill(*months)
    yellow.wait_for_backfills_to_close()
    for month in months:
        yellow.wait_for_report(month)
    before = {month: yellow.content(month) for month in months}, lines(yellow, months)
    [words] = re.findall(r"`make airflow ARGS=\"(db clean .*?)\"`", (ROOT / "RUNBOOK.md").read_text())
    words = re.sub(r"(?<=--clean-before-timestamp )\S+", datetime.now(UTC).isoformat(), words)
    asked = [*words.split(), "--dag-ids", YELLOW.dag_id]
    done = run("airflow", *asked, environment=pipeline.stack.environment(), capture=True)
    assert done.returncode == 0, done.stdout[-3000:]
    runs = [each["dag_run_id"] for each in pipeline.stack.api.pages(yellow.paths.runs, "dag_runs")]
    assert {run_id: yellow.tasks(run_id) for run_id in runs} == {runs[0]: {}}, "Airflow keeps the last run alone"
    assert ({month: yellow.content(month) for month in months}, lines(yellow, months)) == before
    again = Backfill(pipeline.stack.api, YELLOW, months_between(YELLOW, *months))
    again.create(parallel=16, reprocess="completed")
    for month in months:
        run_id = yellow.run_of(month)
        assert yellow.wait(run_id) == "success", yellow.states(run_id)
        assert set(yellow.states(run_id).values()) == {"success"}, month
    assert ({month: yellow.content(month) for month in months}, lines(yellow, months)) == before


def lines(pipeline: Pipeline, months: tuple[str, ...]) -> dict[str, str]:
    return {line["month"]: line["state"] for line in pipeline.ledger() if line["month"] in months}
