"""The page of the lineage, in a real browser on the running stack, and who may see it."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import quote

import pytest
import requests
from playwright.sync_api import Browser, FrameLocator, Locator, Page, expect

from include.lineage.app import app
from include.lineage.graph import LAYERS
from tests.support.stack.browser import PICTURES, AirflowInBrowser, airflow_in_browser
from tests.support.stack.logins import asked_by, login_of
from tests.support.stack.pipeline import Pipeline

pytestmark = pytest.mark.long

MONTH = "2019-05"
ROUTES = [f"/lineage{route.path}" for route in app.routes]
# milliseconds that the browser needs for an address, until it knows where all stands
DRAW = """
(hash) => {
  history.replaceState(null, "", hash);
  const began = performance.now();
  choose();
  document.body.offsetHeight;
  return performance.now() - began;
}
"""


@pytest.fixture(scope="module")
def latest_run(pipeline: Pipeline) -> str:
    """The run that was created last: of another test, else of a month of this one."""
    if not (runs := list(pipeline.stack.api.pages(pipeline.paths.runs, "dag_runs"))):
        pipeline.publish_file(MONTH)
        pipeline.backfill(MONTH)
        runs = list(pipeline.stack.api.pages(pipeline.paths.runs, "dag_runs"))
    return str(max(runs, key=lambda run: run["queued_at"])["dag_run_id"])


def test_every_route_asks_for_a_login(pipeline: Pipeline):
    assert {"/lineage/", "/lineage/tables", "/lineage/files/{name}"} == set(ROUTES)
    for route in [*ROUTES, "/lineage/docs", "/lineage/redoc", "/lineage/openapi.json"]:
        for cookies in ({}, {"_token": "nonsense"}):
            answer = requests.get(f"{pipeline.stack.airflow.url}{route}", cookies=cookies, timeout=30)
            assert answer.status_code in (401, 403, 404), route
            assert answer.status_code != 404 or route not in ROUTES


def test_a_user_sees_the_datasets_that_the_role_allows(pipeline: Pipeline):
    assert asked_by(pipeline.stack, "", "/lineage/tables").json() == {}
    assert set(asked_by(pipeline.stack, "viewer", "/lineage/tables").json()) == {"green", "yellow"}
    for dag_id, datasets in (("taxi_pipeline_yellow", {"yellow"}), ("taxi_maintenance", set())):
        assert set(asked_by(pipeline.stack, "viewer", f"/lineage/tables?dag_id={dag_id}").json()) == datasets


def test_a_column_is_found_and_its_way_followed_by_keyboard(airflow: AirflowInBrowser, pipeline: Pipeline):
    airflow.open_plugin("Lineage")
    frame, graph = airflow.frame, airflow.frame.get_by_role("region", name="Tables and columns")
    expect(graph.get_by_role("link", name="fct_zone_days", exact=True)).to_be_visible()
    assert graph.get_by_role("link").count() == 28, "each table of green and what reads it, and no column"
    airflow.page.keyboard.press("/")  # nobody has clicked in the frame
    search = frame.get_by_role("combobox", name="Find a table or a column")
    expect(search).to_be_focused()
    search.type("zone_days total")
    tables = ("fct_zone_days", "all_zone_days", "int_zone_days")
    expect(frame.get_by_role("option")).to_have_text([f"total_amount of {table}" for table in tables])
    search.press("Enter")

    expect(frame.get_by_role("heading", name="fct_zone_days.total_amount")).to_be_visible()
    way = graph.get_by_role("link", name="total_amount", exact=True)
    expect(way).to_have_count(8)
    expect(way.nth(5)).to_be_focused()
    assert [graph.locator(f"path.{type}").count() for type in ("DIRECT", "INDIRECT")] == [7, 1]
    expect(frame.get_by_text("zone_days.total_amount = SUM(trips.total_amount)")).to_be_visible()
    expect(frame.get_by_text("It stands in the file.")).to_be_visible()
    expect(frame.get_by_role("list", name="What decides about the rows of int_zone_days")).to_have_text(
        re.compile(r"grouped by .*pickup_at AS DATE.*kept by int_trips_judged\.rejection_reason IS NULL")
    )
    expect(frame.get_by_text("zone_days_sum_to_the_trips").last).to_be_visible()
    expect(under(frame, "What is made of it")).to_have_text("all_zone_days: total_amountreport_zones: total_amount")
    expect(airflow.page).to_have_url(re.compile(r"/plugin/lineage.*#green/fct_zone_days/total_amount$"))
    airflow.save_picture("lineage")

    way.nth(5).press("ArrowLeft")
    expect(way.nth(4)).to_be_focused()
    way.nth(4).press("Enter")
    expect(frame.get_by_role("heading", name="int_zone_days.total_amount")).to_be_visible()
    expect(under(frame, "What decides about the rows of int_zone_days")).to_contain_text(
        "int_trips_judged.rejection_reason IS NULL"
    )
    expect(under(frame, "What is made of it")).to_contain_text("fct_zone_days: total_amount")
    airflow.page.keyboard.press("Escape")
    expect(frame.get_by_role("heading", name="int_zone_days", exact=True)).to_be_visible()
    expect(graph.get_by_role("link", name="pickup_zone_id")).to_be_visible()
    airflow.page.reload()
    expect(frame.get_by_role("heading", name="int_zone_days", exact=True)).to_be_visible()


def test_what_decides_about_rows_reaches_each_table_that_reads_them(airflow: AirflowInBrowser):
    airflow.open("/lineage/#green/int_trips_judged/rejection_reason")
    rows = under(airflow.page, "Which rows it decides about")
    expect(rows).to_be_visible()
    told = rows.get_by_role("link").all_inner_texts()
    assert {"int_zone_days", "fct_zone_days", "all_zone_days", "report_zones", "fct_trips"} <= set(told)
    expect(rows.get_by_text("fct_zone_days by the rows of int_zone_days", exact=True)).to_be_visible()
    edges = airflow.page.evaluate("shown().edges.map(({from, to, type}) => [from.table, to.table, to.column, type])")
    assert [edge for edge in edges if edge[:2] == ["int_zone_days", "fct_zone_days"]] == [
        ["int_zone_days", "fct_zone_days", "", "INDIRECT"]
    ]
    expect(airflow.page.locator(".box").get_by_role("link", name="fct_zone_days", exact=True)).to_be_visible()
    airflow.page.get_by_label("what only decides").uncheck()
    expect(airflow.page.locator(".box").get_by_role("link", name="fct_zone_days", exact=True)).to_have_count(0)
    airflow.open("/lineage/#green/all_zone_days/total_amount")
    expect(airflow.page.get_by_role("heading", name="No table, view or report that is shown here")).to_be_visible()
    broken = airflow.page.evaluate("readable('NOT a BETWEEN 0 AND 200 AND ' + 'b '.repeat(50))").splitlines()
    assert broken == ["NOT a BETWEEN 0 AND 200", "    AND " + "b " * 50]


def test_the_page_the_task_and_dbts_docs_lead_to_each_other(airflow: AirflowInBrowser, latest_run: str):
    airflow.open("/dags/taxi_pipeline/tasks/build.stg_tlc__zones_run")
    airflow.page.get_by_role("button", name="Documentation").click()
    link = airflow.page.get_by_role("dialog").get_by_role("link", name="Lineage of its columns")
    airflow.open(link.get_attribute("href"))
    heading = airflow.frame.get_by_role("heading", name="stg_tlc__zones", exact=True)
    expect(heading).to_be_visible()

    # without Airflow's frame: on a busy machine, quick ways there and back once left another page in it
    page = airflow.page
    airflow.open("/lineage/#green/stg_tlc__zones")
    page.get_by_role("link", name="In dbt's docs").click()
    expect(page.get_by_text("Names repeat").first).to_be_visible()
    page.get_by_role("link", name="yellow", exact=True).first.click()
    expect(page.get_by_role("link", name="yellow", exact=True)).to_have_attribute("aria-current", "page")
    page.get_by_role("link", name="green", exact=True).click()
    expect(page.get_by_role("link", name="green", exact=True)).to_have_attribute("aria-current", "page")
    task = page.get_by_role("link", name="Its task in the latest run")
    asked: list[Any] = []
    page.route("**/api/v2/dags/taxi_pipeline/tasks", lambda route: asked.append(route))
    airflow.open("/lineage/?quick#green/stg_tlc__zones")
    expect(page.get_by_role("link", name="In dbt's docs")).to_be_visible()
    expect(task).to_have_count(0)  # Airflow has not said yet where it is
    asked[0].continue_()
    task.click()
    of_task = f"/dags/taxi_pipeline/runs/{quote(latest_run, safe='')}/tasks/build.stg_tlc__zones_run"
    expect(airflow.page).to_have_url(re.compile(f"{re.escape(of_task)}$"))
    expect(airflow.page.get_by_role("heading", name="stg_tlc__zones")).to_be_visible()
    airflow.open("/dags/taxi_pipeline_yellow/plugin/lineage-of-dag")
    expect(airflow.frame.get_by_role("link", name="yellow_tripdata_{month}.parquet")).to_be_visible()
    expect(airflow.frame.get_by_role("link", name="green", exact=True)).to_have_count(0)


LOOKS = {"light": (False, 1400), "dark": (True, 1400), "narrow": (False, 420)}


@pytest.mark.parametrize(("dark", "width"), LOOKS.values(), ids=LOOKS)
def test_axe_finds_nothing_wrong_with_it(browser: Browser, pipeline: Pipeline, dark: bool, width: int):
    with airflow_in_browser(browser, pipeline.stack.airflow.url, PICTURES, dark=dark) as airflow:
        airflow.log_in_by_cookie(login_of(pipeline.stack, "viewer"))
        airflow.page.set_viewport_size({"width": width, "height": 800})
        for address, says in (
            ("", "NYC TLC green-taxi trips"),
            ("green/int_zone_days", "int_zone_days"),
            ("green/int_trips_judged/rejection_reason", "int_trips_judged.rejection_reason"),
        ):
            airflow.open(f"/lineage/#{address}")
            expect(airflow.page.get_by_role("heading", name=says, exact=True)).to_be_visible()
            assert airflow.page.locator("html.dark").count() == dark
            assert airflow.violations() == "", address
        assert airflow.page.evaluate("document.documentElement.scrollWidth") <= width


def test_an_address_of_nothing_and_a_table_that_sqlglot_cannot_read_are_told(airflow: AirflowInBrowser):
    def unread(route: Any) -> None:
        lineage = route.fetch().json()
        table = lineage["green"]["tables"]["int_months"]
        table |= {"unread": "Expecting ). Line 1", "rows": []}
        for column in table["columns"].values():
            column |= {"inputs": [], "steps": [], "origins": []}
        route.fulfill(json=lineage)

    airflow.page.route("**/lineage/tables", unread)
    status = airflow.page.get_by_role("status")
    for address, says in (
        ("green/fct_months/nothing", "fct_months of green has no column nothing."),
        ("green/nothing/trips", "green has no table nothing."),
        ("blue/fct_trips", "There is no dataset blue that you may see."),
    ):
        airflow.open(f"/lineage/#{address}")
        expect(status).to_have_text(says)
    airflow.open("/lineage/#green/fct_months/rows_accepted")
    expect(airflow.page.get_by_text("sqlglot could not read the SQL of this table.")).to_be_visible()
    airflow.open("/lineage/#green/int_months")
    expect(status).to_be_empty()
    expect(airflow.page.get_by_text("sqlglot could not read its SQL")).to_contain_text("Expecting ). Line 1")
    expect(airflow.page.locator(".box").get_by_role("link", name="rows_accepted")).to_be_visible()


def test_a_hundred_tables_of_twenty_columns_are_drawn_without_a_wait(airflow: AirflowInBrowser):
    """Where nothing else runs, it takes a tenth of what is allowed here."""
    airflow.page.route("**/lineage/tables", lambda route: route.fulfill(body=json.dumps(many_tables())))
    airflow.open("/lineage/")
    expect(airflow.page.locator(".box")).to_have_count(100)
    for hash in ("#many", "#many/staging_03/column_03", "#many/marts_03", "#many/raw_02/column_10"):
        took = [airflow.page.evaluate(DRAW, hash) for _ in range(3)]  # other tests run beside it
        assert min(took) < 1500, hash


def under(page: Page | FrameLocator, heading: str) -> Locator:
    """The list below this heading."""
    return page.get_by_role("heading", name=heading).locator("xpath=following-sibling::ul[1]")


def many_tables(columns: int = 20) -> dict[str, Any]:
    """Tables of which each reads up to three of the layers before it."""
    tables: dict[str, dict[str, Any]] = {}
    for layer, count in zip(LAYERS, (8, 8, 20, 34, 24, 6), strict=True):
        before = list(tables)[-30:]
        for number in range(count):
            steps = range(1 + number % 3) if before else ()
            parents = {before[(number * 7 + step * 11) % len(before)] for step in steps}
            tables[f"{layer}_{number:02}"] = {
                **{"layer": layer, "id": None, "description": "", "tests": [], "rows": [], "unread": ""},
                "columns": {f"column_{place:02}": column(sorted(parents), place, columns) for place in range(columns)},
            }
    return {"many": {"title": "Many tables", "dag_id": "many", "tables": tables}}


def column(parents: list[str], place: int, columns: int) -> dict[str, Any]:
    inputs = [(parent, (place + step) % columns, "DIRECT", "IDENTITY") for step, parent in enumerate(parents)]
    if parents and place % 7 == 3:
        inputs += [(parents[0], other, "INDIRECT", "CONDITIONAL") for other in range(5)]
    keys = ("table", "column", "type", "subtype")
    return {
        **{"type": "integer", "description": "", "tests": [], "steps": [], "origins": []},
        "inputs": [dict(zip(keys, (table, f"column_{at:02}", *how), strict=True)) for table, at, *how in inputs],
    }
