"""An odd month, from the red audit to the next file: an operator looks at it, and accepts it in the ledger."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

import dev.__main__ as commands
from dev.tlc.sample_months import file_of
from include.settings import ROOT
from tests.support.helpers import spoil
from tests.support.stack.browser import AirflowInBrowser, airflow_in_browser
from tests.support.stack.logins import login_of
from tests.support.stack.mailbox import Mailbox
from tests.support.stack.pipeline import Pipeline

pytestmark = pytest.mark.long

MONTH, TASK, AUDIT = "2016-05", "build.int_trips_judged.test", "reject_share_is_plausible"
REASON = 'flood in the <b>Bronx</b>, as "TLC" says'
FAILED, ODD = rf"green {MONTH}: failed in {re.escape(TASK)}", f"green {MONTH}: published, 400 rows, odd, and accepted"


def page_of(browser: Browser, pipeline: Pipeline) -> Any:
    """A page of Airflow's: a context manager."""
    return airflow_in_browser(browser, pipeline.stack.airflow.url, ROOT / ".local" / "tests" / "images")


def open_month(airflow: AirflowInBrowser, pipeline: Pipeline, role: str) -> None:
    airflow.log_in_by_cookie(login_of(pipeline.stack, role))
    airflow.open(f"/ledger/?dataset=green&month={MONTH}")


def run_odd_file(pipeline: Pipeline, version: int) -> str:
    """Another file of the month comes, with too many odometers, and a run loads it: its id."""
    pipeline.publish_file(MONTH, version)
    spoil(file_of(pipeline.tlc.folder, pipeline.dataset, MONTH))
    run_id = pipeline.trigger(month=MONTH)
    assert pipeline.wait(run_id) == "failed"
    assert [task for task, state in pipeline.states(run_id).items() if state == "failed"] == [TASK]
    return run_id


def test_an_odd_month_is_accepted_in_the_ledger_for_its_file_and_the_next_one_is_red_again(
    browser: Browser, pipeline: Pipeline, mails: Mailbox, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    run_odd_file(pipeline, version=1)
    assert len(mails.about(f"taxi_pipeline {MONTH}: an audit failed")) == 1
    [line] = [each for each in pipeline.ledger() if each["month"] == MONTH]
    assert (line["state"], line["is_published"], line["may_accept"]) == ("failed", False, [AUDIT])

    with page_of(browser, pipeline) as airflow:
        open_month(airflow, pipeline, "viewer")
        expect(airflow.page.locator("#month").get_by_text(f"{AUDIT}: 4")).to_be_visible()
        expect(airflow.page.locator("#month").get_by_role("button", name="Accept…")).to_have_count(0)
        expect(airflow.on_top("failed", "green", MONTH)).to_be_visible()
        expect(airflow.on_top("failed", "green", MONTH).get_by_role("button", name="Accept…")).to_have_count(0)

    with page_of(browser, pipeline) as airflow:
        open_month(airflow, pipeline, "admin")
        square = airflow.page.locator(f'[data-key="green {MONTH}"]')
        expect(square).to_have_accessible_name(re.compile(FAILED))
        # by keyboard alone
        airflow.page.locator("#month").get_by_role("button", name="Accept…").focus()
        airflow.page.keyboard.press("Enter")
        dialog = airflow.page.get_by_role("dialog", name=f"Accept green {MONTH}")
        expect(dialog.get_by_role("checkbox", name=AUDIT)).to_be_checked()
        expect(dialog.get_by_role("textbox", name="Why the month is right")).to_be_focused()
        assert airflow.violations() == ""
        airflow.page.keyboard.type("   ")
        dialog.get_by_role("button", name="Accept").click()
        expect(dialog.get_by_role("alert")).to_have_text("Give a reason.")
        airflow.page.keyboard.press("Escape")
        expect(dialog).to_be_hidden()
        airflow.on_top("failed", "green", MONTH).get_by_role("button", name="Accept…").click()
        airflow.page.keyboard.type(REASON)
        airflow.page.evaluate("draw()")  # as it does when a month has changed
        expect(dialog.get_by_role("textbox")).to_have_value(REASON)
        airflow.page.keyboard.press("Tab")
        airflow.page.keyboard.press("Enter")
        expect(airflow.page.get_by_role("status")).to_have_text("The run that accepts it was created.")
        expect(dialog).to_be_hidden()
        expect(square).to_have_accessible_name(ODD, timeout=240_000)
        told = f"the audit {AUDIT} failed, which somebody has accepted"
        shown = airflow.page.locator("p.accepted")
        expect(shown).to_have_text(re.compile(rf"The month is odd: {told} .* UTC: “{re.escape(REASON)}”"))
        expect(airflow.on_top("accepted", "green", MONTH)).to_contain_text(f"has accepted: “{REASON}”nothing does")
        expect(airflow.page.locator("#month").get_by_role("button", name="Accept…")).to_have_count(0)
        expect(airflow.on_top("failed", "green", MONTH)).to_have_count(0)
        assert airflow.violations() == ""

        [run_id] = [
            run["dag_run_id"]
            for run in pipeline.stack.api.pages(pipeline.paths.runs, "dag_runs")
            if run["dag_run_id"].startswith(f"accept__{MONTH}__")
        ]
        assert pipeline.wait(run_id) == "success"
        for task in (TASK, "publish.fct_trips.run"):
            log = pipeline.log(run_id, task)
            assert f"{AUDIT}: accepted by somebody on " in log, task
        assert "why: 4" in pipeline.log(run_id, TASK)
        pipeline.wait_for_report(MONTH)
        airflow.open(f"/ledger/reports/green/{MONTH}")
        for words in (f"The month is odd: {told} on", f"UTC: “{REASON}”."):
            expect(airflow.page.locator("p.odd")).to_contain_text(words)
        assert airflow.violations() == ""
        published = pipeline.content(MONTH)

        # a run without a reason, and one that accepts what guards the tables, change nothing
        for asks, says in (
            ({"accept": AUDIT}, "and gives no reason"),
            ({"accept": "every_raw_row_is_judged", "reason": "x"}, "may not be accepted"),
        ):
            refused = pipeline.trigger(month=MONTH, conf=asks)
            assert pipeline.wait(refused) == "failed"
            [task] = [name for name, state in pipeline.states(refused).items() if state == "failed"]
            assert pipeline.tasks(refused)[task]["try_number"] == 1
            assert says in pipeline.log(refused, task)
            pipeline.stack.api.call("DELETE", pipeline.paths.run(refused))

        run_odd_file(pipeline, version=2)
        open_month(airflow, pipeline, "admin")
        earlier = "an earlier version is published, odd, and accepted"
        expect(square).to_have_accessible_name(re.compile(f"{FAILED}, {earlier}"))
        expect(airflow.on_top("failed", "green", MONTH).get_by_role("button", name="Accept…")).to_be_visible()
    assert pipeline.content(MONTH) == published
    # the run that has accepted the first file does not accept this one, and does not fail for that
    pipeline.clear(run_id, "load_month", downstream=True)
    assert pipeline.wait(run_id) == "failed"
    assert [task for task, state in pipeline.states(run_id).items() if state == "failed"] == [TASK]
    assert f"this run has accepted {AUDIT} for the file " in pipeline.log(run_id, "load_month", 2)
    assert pipeline.content(MONTH) == published

    monkeypatch.setenv("DATASET", "green")
    assert commands.ledger(pipeline.stack) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert f"green {MONTH}: {AUDIT} failed, which somebody accepted " in said
    assert "docs/how-to/accept-a-month.md" in said
