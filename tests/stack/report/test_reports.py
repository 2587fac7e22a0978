"""Reports on the running stack: one for each month that is published, or published again."""

from __future__ import annotations

import pytest

from tests.support.postgres.warehouse_content import query
from tests.support.stack.logins import asked_by
from tests.support.stack.pipeline import Pipeline

MONTHS = ("2017-07", "2017-08", "2017-09")
FILES = "select to_char(source_month, 'YYYY-MM'), file_sha256 from airflow_default.fct_months"


def reports(pipeline: Pipeline) -> dict[str, str]:
    """The pages by month, as somebody who may look gets them."""
    found = {month: asked_by(pipeline.stack, "viewer", f"/ledger/reports/green/{month}") for month in MONTHS}
    for answer in found.values():
        answer.raise_for_status()
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'"), "no script would run"
    return {month: answer.text for month, answer in found.items()}


def run_again(pipeline: Pipeline, month: str) -> None:
    run_id = pipeline.run_of(month)
    pipeline.clear_run(run_id)
    assert pipeline.wait(run_id) == "success"


@pytest.mark.long
def test_three_months_side_by_side_have_three_reports_each_of_the_right_month(pipeline: Pipeline):
    for month in MONTHS:
        pipeline.publish_file(month)
    pipeline.wait_for_backfills_to_close()
    pipeline.backfill(*MONTHS)
    for month in MONTHS:
        pipeline.wait_for_report(month)
    pages, files = reports(pipeline), dict(query(pipeline.dsn, FILES))
    for month, page in pages.items():
        assert f"<h1>NYC TLC green-taxi trips, {month}</h1>" in page
        assert files[month] in page
    events = pipeline.stack.api.pages("/assets/events", "asset_events")
    linked = {each["partition_key"]: each["extra"]["report"] for each in events if "report" in each["extra"]}
    assert {month: linked[month] for month in MONTHS} == {month: f"/ledger/reports/green/{month}" for month in MONTHS}

    # the same month again: another run, the same pages
    run_again(pipeline, MONTHS[0])
    pipeline.wait_for_report(MONTHS[0], runs=2)
    assert reports(pipeline) == pages

    # with another file: another page, also of the next month, which compares itself with it
    pipeline.publish_file(MONTHS[0], version=2)
    run_again(pipeline, MONTHS[0])
    pipeline.wait_for_report(MONTHS[0], runs=3)
    changed = {month for month, page in reports(pipeline).items() if page != pages[month]}
    assert changed == {MONTHS[0], MONTHS[1]}
