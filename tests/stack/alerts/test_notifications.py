"""A failure as whoever is on call meets it: the mail, the link in it, and the last lines of the task's log."""

from __future__ import annotations

import re
import tempfile
from urllib.parse import unquote

import pytest
import requests

import dev.__main__ as commands
from dev.errors import StackError
from dev.runs.manual_run import print_failed_tasks
from dev.tlc.sample_months import file_of
from include.alerts import runbook
from include.failures.retry import RETRIES
from include.month import Month
from include.settings import ROOT
from tests.support.documents import shows
from tests.support.helpers import spoil, trips_path
from tests.support.postgres.warehouse_content import query
from tests.support.stack.mailbox import Mailbox, words_of
from tests.support.stack.pipeline import Pipeline
from tests.support.stack.processes import asker, kill
from tests.support.until import until

AUDITED, KILLED = Month.parse("2021-08"), Month.parse("2021-09")
AUDIT = "build.int_trips_judged.test"
TITLE = "taxi_pipeline {}: {}"


def lines(pipeline: Pipeline, run_id: str, task: str, attempt: int) -> list[tuple[str, str]]:
    """Level and text of each line of a task's log, as the UI gets them; without the marks of its groups."""
    path = f"{pipeline.paths.task(run_id, task)}/logs/{attempt}"
    answer = pipeline.stack.api.call("GET", path, params={"full_content": True})
    found = [(line.get("level", ""), line["event"]) for line in answer["content"]]
    return [line for line in found if not line[1].startswith("::")]


def test_a_red_audit_is_told_once_however_often_it_fails_and_its_log_ends_in_what_to_do(
    pipeline: Pipeline, mails: Mailbox, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    pipeline.publish_file(str(AUDITED))
    spoil(file_of(pipeline.tlc.folder, pipeline.dataset, AUDITED))
    title = TITLE.format(AUDITED, "an audit failed")
    mails.refuses = title
    run_id = pipeline.trigger(month=str(AUDITED))
    assert pipeline.wait(run_id) == "failed"
    states = pipeline.states(run_id)
    assert {name for name, state in states.items() if state == "failed"} == {AUDIT}
    assert "upstream_failed" in states.values()

    # the server took no mail; nothing but a line of the log says so
    said = lines(pipeline, run_id, AUDIT, 1)
    assert [level for level, text in said if text.startswith("Nobody could be told")] == ["warning"]
    assert mails.about(title) == []
    shows(
        "A message does not arrive",
        "Nobody could be told, which is tried again later",
        "\n".join(text for _, text in said),
    )
    shows(runbook.AUDIT.heading, "build.….test", AUDIT)
    schema = pipeline.tasks(run_id)[AUDIT]["rendered_fields"]["env"]["PG_RUN_SCHEMA"]
    assert said[-6][1].startswith("reject_share_is_plausible: Guards against a file, or a rule, gone wrong")
    assert said[-5:] == [
        ("error", "Rows that fail it, the first 1:"),
        ("error", "  rows=400, rejected=43"),
        (
            "error",
            (
                f"What failed: audit reject_share_is_plausible (1 failing row); {AUDITED} of green; task {AUDIT} of "
                "taxi_pipeline, try 1"
            ),
        ),
        ("error", said[-2][1]),
        (
            "error",
            (
                'What to do: RUNBOOK.md, "An audit fails (a task that ends in `test`, in `build`)". Shown by: '
                f"PG_RUN_SCHEMA={schema} make dbt "
                "ARGS=\"test --select reject_share_is_plausible --store-failures --vars '{ds: 2021-08-01}'\""
            ),
        ),
    ]
    assert said[-2][1].startswith(
        "Why: reject_share_is_plausible: 43 of 400 rows are rejected, 10.75 %, and at most 1 % may be; the commonest "
        "reasons: distance_impossible 4"
    )
    [line] = [each for each in pipeline.ledger() if each["month"] == str(AUDITED)]
    assert f"Why: {line['reason']}" == said[-2][1]
    print_failed_tasks(pipeline.stack.api, pipeline.paths, run_id)
    assert f"{AUDIT} failed: {line['reason']}\n" in capsys.readouterr().out
    monkeypatch.setenv("MONTH", str(AUDITED))
    assert commands.log(pipeline.stack) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].startswith(f"{AUDIT}, try 1 of run {run_id}: http://")
    assert [line[9:] for line in printed[-5:]] == [text for _, text in said[-5:]], "after the time of each"
    monkeypatch.setenv("TASK", "build.no_such_task")
    with pytest.raises(StackError, match=r"has no such task. It has .*build.int_trips_judged.test, .*load_month"):
        commands.log(pipeline.stack)
    texts = "\n".join(text for _, text in said)
    assert ("Registered adapter" in texts, "Concurrency" in texts, "\x1b" in texts) == (False, False, False)
    assert "PASS int_trips_judged_source_row_unique" in texts
    # no folder that is gone once the task has ended; the clone itself may lie below the temporary folder
    assert re.findall(rf"{tempfile.gettempdir()}/\S*", texts.replace(str(ROOT), "")) == []

    # cleared alone, it fails again, and now the mail gets through; a third time, and there is no second mail
    mails.refuses = None
    for _ in range(2):
        pipeline.clear(run_id, AUDIT)
        pipeline.wait_for_failure(run_id, AUDIT)
        until(lambda: mails.about(title), lambda found: len(found) == 1, seconds=60)
    assert pipeline.tasks(run_id)[AUDIT]["try_number"] == 3
    assert lines(pipeline, run_id, AUDIT, 3)[-3][1].endswith("try 3")
    [mail] = mails.about(title)
    words = words_of(mail)
    assert "What failed: audit reject_share_is_plausible (1 failing row)" in words
    assert said[-2][1] in words
    assert "RUNBOOK.md, An audit fails (a task that ends in `test`, in `build`)" in words
    [link] = re.findall(r'href="(.*?)"', words)
    assert requests.get(link, timeout=10).ok
    assert unquote(link).startswith(
        f"{pipeline.stack.api.url}/dags/taxi_pipeline/runs/{run_id}/tasks/{AUDIT}?try_number="
    )

    # mended, and published: what was told has healed
    pipeline.publish_file(str(AUDITED))
    pipeline.clear_run(run_id)
    assert pipeline.wait(run_id) == "success"
    healed = "select bool_and(healed_at is not null), count(*) from airflow_default.notification_log "
    assert query(pipeline.dsn, healed + "where source_month = '2021-08-01'") == [(True, 2)]
    assert len(mails.about(TITLE.format(AUDITED, "its file was restated"))) == 1
    assert mails.about(TITLE.format(AUDITED, "a task was killed")) == []  # the tasks themselves told


@pytest.mark.long
def test_a_month_whose_task_is_killed_each_time_is_told_once(pipeline: Pipeline, mails: Mailbox):
    pipeline.publish_file(str(KILLED))

    def kill_in_mid_transfer(request) -> bool | None:
        if request.command != "GET":
            return False
        kill(asker(request))
        return None

    pipeline.tlc.faults[trips_path(KILLED)] = kill_in_mid_transfer
    try:
        run_id = pipeline.trigger(month=str(KILLED))
        assert pipeline.wait(run_id) == "failed"
    finally:
        del pipeline.tlc.faults[trips_path(KILLED)]
    assert pipeline.tasks(run_id)["load_month"]["try_number"] == RETRIES + 1
    title = TITLE.format(KILLED, "a task was killed")
    until(lambda: mails.about(title), lambda found: len(found) == 1, seconds=60)
    words = words_of(mails.about(title)[0])
    assert "task load_month of taxi_pipeline, try 5" in words
    assert "RUNBOOK.md, A worker is gone (CeleryExecutor)" in words
