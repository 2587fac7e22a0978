"""The project's pages below a path of Airflow's host: they lead to each other, and their buttons reach the API."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from include.datasets import GREEN
from tests.support.stack.below_a_path import below_a_path
from tests.support.stack.browser import AirflowInBrowser, airflow_in_browser, launched
from tests.support.stack.pipeline import Pipeline

pytestmark = pytest.mark.long

MONTH = "2020-05"


@pytest.fixture
def airflow(pipeline: Pipeline, tmp_path: Path) -> Iterator[AirflowInBrowser]:
    with (
        below_a_path(pipeline.stack, tmp_path) as url,
        launched() as browser,
        airflow_in_browser(browser, url, tmp_path) as airflow,
    ):
        airflow.log_in(*pipeline.stack.login)
        yield airflow


def test_months_its_buttons_reports_runs_and_dbts_docs_work_behind_nginx(airflow: AirflowInBrowser, pipeline: Pipeline):
    pipeline.publish_file(MONTH)
    airflow.open_plugin("Months")
    airflow.unfold("green")
    airflow.square("green", MONTH).click()
    airflow.frame.get_by_role("button", name="Mark for a backfill").click()
    airflow.frame.get_by_role("button", name="Backfill", exact=True).click()
    expect(airflow.frame.get_by_text(f"The backfill of {MONTH} was created.")).to_be_visible()
    assert pipeline.wait(pipeline.run_of(MONTH)) == "success"
    pipeline.wait_for_report(MONTH)

    airflow.page.reload()  # at the address that the UI has made of it
    expect(airflow.page).to_have_url(re.compile(r"/team/plugin/months/team/ledger/"))
    airflow.square("green", MONTH).click()
    airflow.frame.get_by_role("link", name="Its report").click()
    expect(airflow.frame.get_by_text("Accepted trips per day")).to_be_visible()
    airflow.page.go_back()
    airflow.frame.get_by_role("link", name="dbt docs").click()
    expect(airflow.frame.get_by_text("A month's models are built in a schema of the run's own")).to_be_visible()
    airflow.page.go_back()
    airflow.frame.get_by_role("link", name="Its latest run").click()
    expect(airflow.page).to_have_url(re.compile(rf"/team/dags/{GREEN.dag_id}/runs/"))

    airflow.open(f"/dags/{GREEN.dag_id}/plugin/months-of-dag")
    expect(airflow.square("green", MONTH)).to_be_visible()
    airflow.open_plugin("dbt docs")
    expect(airflow.frame.get_by_text("A month's models are built in a schema of the run's own")).to_be_visible()


def test_the_lineage_works_behind_nginx_and_leads_to_dbts_docs_and_to_tasks(airflow: AirflowInBrowser):
    airflow.open("/plugin/lineage#green/fct_zone_days/total_amount")
    frame = airflow.frame
    expect(frame.get_by_role("heading", name="fct_zone_days.total_amount")).to_be_visible()
    frame.get_by_role("link", name="int_zone_days", exact=True).click()
    expect(frame.get_by_role("heading", name="int_zone_days", exact=True)).to_be_visible()
    airflow.page.reload()  # at the address that the UI and the page have made of it
    expect(airflow.page).to_have_url(re.compile(r"/team/plugin/lineage/team/lineage/#green/int_zone_days$"))
    expect(frame.get_by_role("heading", name="int_zone_days", exact=True)).to_be_visible()
    task = frame.get_by_role("link", name="Its task in the latest run")
    expect(task).to_have_attribute("href", re.compile("/tasks/"))
    task.click()
    expect(airflow.page).to_have_url(re.compile(r"/team/dags/taxi_pipeline/.*tasks/build.int_zone_days.run$"))
    airflow.open("/lineage/#green/int_zone_days")
    airflow.page.get_by_role("link", name="In dbt's docs").click()
    airflow.page.get_by_role("link", name="green", exact=True).first.click()
    expect(airflow.page).to_have_url(re.compile(r"/team/lineage/#green/int_zone_days$"))
    expect(airflow.page.get_by_role("link", name="pickup_zone_id").first).to_be_visible()
