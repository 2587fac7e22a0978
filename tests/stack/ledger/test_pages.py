"""The pages that people look at, in a real browser on the running stack."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, expect

import dev.__main__ as commands
from dev.errors import StackError
from dev.runs.backfill import Backfill
from dev.runs.ledger_table import pin
from include.alerts.runbook import DEPARTED
from include.month import Month
from tests.support.dbt.project import Project
from tests.support.documents import shows
from tests.support.helpers import trips_path
from tests.support.postgres.profiles import add_month, remove_months
from tests.support.postgres.warehouse_content import query
from tests.support.stack.browser import PICTURES, AirflowInBrowser, airflow_in_browser
from tests.support.stack.logins import asked_by, login_of
from tests.support.stack.mailbox import Mailbox, words_of
from tests.support.stack.many_months import answer_with
from tests.support.stack.pipeline import Pipeline

BEFORE, MONTH = "2017-01", "2017-02"
MODEL = "build.int_zone_days.run"
LAPTOP = {"width": 1366, "height": 768}
WIDE = {"width": 2200, "height": 640}  # for graphs
OF_MONTH = f"where source_month = '{MONTH}-01'"
# keeps what a square says, each time that the page draws it
REMEMBER = """
([key]) => {
  window.said = [];
  new MutationObserver(() => said.push(document.querySelector(`[data-key="${key}"]`).getAttribute("aria-label")))
    .observe(document.getElementById("calendars"), {childList: true, subtree: true});
}
"""
# As Airflow's UI does, which the page does not stand in where it is opened by its own address.
THEME = "dark => document.documentElement.classList.toggle('dark', dark)"
# milliseconds
DRAW_ANEW = """
() => {
  for (const dataset in charts) delete charts[dataset];
  const began = performance.now();
  draw();
  document.body.getBoundingClientRect();
  return performance.now() - began;
}
"""
RENAME = "alter table airflow_default_20170201.{} rename to {}"


def two_years(months: list[str]) -> list[str]:
    return months[-36:-12]


@pytest.fixture(scope="module")
def published(pipeline: Pipeline) -> Pipeline:
    """Two months, with their reports."""
    for month in (BEFORE, MONTH):
        pipeline.publish_file(month)
    pipeline.wait_for_backfills_to_close()
    pipeline.backfill(BEFORE, MONTH)
    for month in (BEFORE, MONTH):
        pipeline.wait_for_report(month)
    return pipeline


def test_the_way_from_the_login_to_the_ledger(browser: Browser, published: Pipeline):
    with airflow_in_browser(browser, published.stack.airflow.url, PICTURES) as airflow:
        airflow.log_in(*published.stack.login)
        airflow.open_plugin("Months")
        expect(airflow.square("green", MONTH)).to_have_accessible_name(re.compile(f"green {MONTH}: published, "))


def test_a_failed_model_is_found_in_the_ledger_cleared_and_seen_to_turn_green(
    airflow: AirflowInBrowser, published: Pipeline
):
    run_id = published.run_of(MONTH)
    query(published.dsn, RENAME.format("int_trips_judged", "away"))
    published.clear(run_id, MODEL)
    assert published.wait(run_id) == "success", "Airflow judges a run by its last tasks"
    airflow.open_plugin("Months")
    square = airflow.square("green", MONTH)
    expect(square).to_have_accessible_name(
        re.compile(rf"green {MONTH}: failed in {re.escape(MODEL)}, an earlier version is published")
    )
    square.click()
    expect(airflow.frame.locator("#month").get_by_text("int_trips_judged is not there")).to_be_visible()
    one_task = rf"^Its latest run was of one task, {re.escape(MODEL)}: it began .* UTC and took \d+ s\.$"
    expect(airflow.frame.get_by_text(re.compile(one_task))).to_be_visible()
    [(sha256,)] = query(published.dsn, f"select file_sha256 from airflow_default.fct_months {OF_MONTH}")
    readers_see = f"^Readers see the version of .* UTC, of the file with SHA-256 {sha256[:12]}\\.$"
    expect(airflow.frame.get_by_text(re.compile(readers_see))).to_be_visible()
    airflow.frame.get_by_role("link", name=MODEL).click()
    expect(airflow.page).to_have_url(re.compile(rf"/dags/taxi_pipeline/runs/.*/tasks/{re.escape(MODEL)}$"))
    expect(airflow.page.get_by_role("heading", name=MODEL)).to_be_visible()
    query(published.dsn, RENAME.format("away", "int_trips_judged"))
    airflow.page.get_by_role("button", name="clear").click()
    airflow.page.get_by_role("dialog").get_by_role("button", name="Confirm").click()
    expect(airflow.page.get_by_role("dialog")).to_be_hidden()
    airflow.open_plugin("Months")
    expect(airflow.square("green", MONTH)).to_have_accessible_name(re.compile(f"green {MONTH}: published, "))


def test_marked_months_are_backfilled_and_seen_to_be_published_without_reloading(
    airflow: AirflowInBrowser, published: Pipeline
):
    months = ("2017-03", "2017-04")
    for month in months:
        published.publish_file(month)
    published.wait_for_backfills_to_close()
    airflow.open_plugin("Months")
    airflow.square("green", months[0]).click(modifiers=["Shift"])
    airflow.square("green", months[1]).click(modifiers=["Shift"])
    form = airflow.frame.get_by_role("form", name="Backfill")
    expect(form).to_contain_text("Will run 2 of 2: 2017-03, 2017-04, 2 side by side.")
    expect(form.get_by_role("combobox")).to_have_value("none")
    form.get_by_role("button", name="Backfill").click()
    expect(airflow.frame.get_by_role("status")).to_have_text("The backfill of 2017-03 to 2017-04 was created.")
    expect(airflow.frame.get_by_role("status")).to_be_in_viewport()
    for month in months:
        square = airflow.square("green", month)
        expect(square).to_have_accessible_name(re.compile(f"green {month}: published, "), timeout=240_000)


def test_a_month_of_another_version_is_marked_and_rebuilt_by_a_click(airflow: AirflowInBrowser, published: Pipeline):
    query(published.dsn, f"update airflow_default.fct_months set code_version = null where source_month = '{MONTH}-01'")
    airflow.open_plugin("Months")
    square, words = airflow.square("green", MONTH), "made by another version of the SQL"
    expect(square).to_have_accessible_name(re.compile(f"green {MONTH}: published, .* rows, {words}"))
    expect(
        airflow.frame.get_by_text(re.compile("made by another version of the SQL than the present one"))
    ).to_be_visible()
    airflow.frame.get_by_role("button", name=re.compile(r"^Rebuild ")).click()
    expect(square).to_have_accessible_name(re.compile(f"green {MONTH}: published, [0-9,]+ rows$"), timeout=120_000)
    [(version,)] = query(
        published.dsn, f"select code_version from airflow_default.fct_months where source_month = '{MONTH}-01'"
    )
    assert version


def test_a_month_that_departs_from_its_neighbours_is_marked_and_told_when_another_is_published(
    airflow: AirflowInBrowser, published: Pipeline, mails: Mailbox
):
    """Its neighbours are rows of the published tables alone. It is told with a month whose neighbour it is."""
    odd, last_mart = Month.parse("2016-09"), "publish.fct_months.run"
    around = [odd.plus(away) for away in range(-3, 4)]
    for month in around:
        add_month(published.dsn, month, like=Month.parse(BEFORE), trips=400, fares=8.79 if month == odd else 6.61)
    airflow.open(f"/ledger/?dataset=green&month={odd}")
    square = airflow.page.locator(f'[data-key="green {odd}"]')
    expect(square).to_have_accessible_name(re.compile(f"green {odd}: published, .*departs from the months around it$"))
    expect(square).to_have_text(re.compile("!$"))
    figure = "median fare a mile 8.79 is 33 % above the median of the 6 months nearest to it, 6.61"
    expect(airflow.page.locator("#month").get_by_role("listitem").filter(has_text=figure)).to_be_visible()
    on_top = airflow.on_top("marked", "green", str(odd))
    expect(on_top).to_contain_text(f"departs from the months around it: {figure}")
    expect(on_top.get_by_role("link", name=f"The report of green {odd}")).to_be_visible()
    neighbour = airflow.page.locator(f'[data-key="green {odd.plus(1)}"]')
    expect(neighbour).not_to_have_accessible_name(re.compile("departs"))
    assert airflow.violations() == ""
    shows(DEPARTED.heading, "departs from the months around it", airflow.page.content())

    title, run_id = f"taxi_pipeline {odd}: {DEPARTED.cause}", published.run_of(BEFORE)
    for _ in range(2):
        published.clear(run_id, last_mart)
        assert published.wait(run_id) == "success", published.states(run_id)
    assert len(mails.about(title)) == 1
    assert figure in words_of(mails.about(title)[0])
    remove_months(published.dsn, *around)


def test_a_month_that_failed_is_on_top_with_its_reason_and_is_loaded_by_the_button_beside_it(
    airflow: AirflowInBrowser, published: Pipeline
):
    query(published.dsn, RENAME.format("int_trips_judged", "away"))
    published.clear(published.run_of(MONTH), MODEL)
    assert published.wait(published.run_of(MONTH)) == "success"
    airflow.open("/ledger/")
    line = airflow.on_top("failed", "green", MONTH)
    expect(line).to_be_visible()
    told = asked_by(published.stack, "admin", "/ledger/months").json()
    failed = sum(each["state"] == "failed" for each in told)  # other tests leave such months
    expect(airflow.page.locator("#hand h2")).to_have_text(re.compile(f"^What needs a hand: {failed} failed"))
    expect(line).to_contain_text(f"failed in {MODEL}: airflow_default_20170201.int_trips_judged is not there")
    again = line.get_by_role("button", name="Load again")
    run_id = press(airflow, published, again, "The run that loads it was created.")
    assert run_id.startswith(f"load__{MONTH}__")
    expect(line).to_have_count(0)
    assert published.wait(run_id) == "success", published.states(run_id)
    square = airflow.page.locator(f'[data-key="green {MONTH}"]')
    expect(square).to_have_accessible_name(re.compile(f"green {MONTH}: published, "))


def test_a_months_report_is_reached_from_the_ledger(airflow: AirflowInBrowser, published: Pipeline):
    airflow.open_plugin("Months")
    airflow.square("green", MONTH).click()
    airflow.frame.get_by_role("link", name="Its report").click()
    expect(airflow.frame.get_by_role("heading", level=1)).to_contain_text(MONTH)
    assert airflow.frame.locator("svg").count() >= 5
    airflow.page.go_back()
    expect(airflow.frame.get_by_role("heading", name=f"NYC TLC green-taxi trips, {MONTH}")).to_be_visible()
    airflow.open(f"/ledger/reports/green/{MONTH}")
    airflow.save_picture("report")
    assert airflow.violations() == ""


def test_lineage_leads_from_the_file_to_every_published_table(airflow: AirflowInBrowser, published: Pipeline):
    airflow.page.set_viewport_size(WIDE)
    airflow.open("/assets")
    airflow.page.get_by_role("link", name="airflow_default.fct_trips", exact=True).click()
    airflow.page.get_by_role("button", name="Task Dependencies").click()
    airflow.page.get_by_role("button", name="Fit View").click()
    graph = airflow.page.locator(".react-flow")
    for name in ("green_tripdata_YYYY-MM.parquet", "airflow_default.raw_trips", "airflow_default.fct_months"):
        expect(graph.get_by_text(name, exact=True)).to_be_visible()
    airflow.save_picture("assets", of=graph)


def test_a_run_is_drawn_as_dbts_lineage_and_a_model_says_what_it_is(airflow: AirflowInBrowser, published: Pipeline):
    airflow.page.set_viewport_size(WIDE)
    airflow.open(f"/dags/taxi_pipeline/runs/{published.run_of(MONTH)}")
    airflow.page.get_by_role("button", name="Show Graph").click()
    graph = airflow.page.locator(".react-flow")
    for name in ("wait_for_month", "load_month", "build", "publish"):
        expect(graph.get_by_text(name, exact=True)).to_be_visible()
    expect(graph.get_by_text("fct_trips", exact=True)).to_be_hidden()
    airflow.page.get_by_role("button", name="Expand all task groups").click()
    expect(graph.get_by_text("int_zone_days: tests", exact=True)).to_be_visible()
    expect(graph.get_by_text("fct_trips", exact=True).first).to_be_visible()
    airflow.page.get_by_role("button", name="Collapse Details Panel").click()
    airflow.page.get_by_role("button", name="Fit View").click()
    airflow.save_picture("run", of=graph)
    airflow.open("/dags/taxi_pipeline/tasks/publish.fct_trips.run")
    airflow.page.get_by_role("button", name="Documentation").click()
    told = airflow.page.get_by_role("dialog")
    expect(told).to_contain_text("One row per accepted trip")
    link = told.get_by_role("link", name="In dbt's docs")
    expect(link).to_have_attribute("href", re.compile(r"/ledger/docs#!/model/model\.taxi\.fct_trips$"))


def test_dbts_docs_are_in_the_ui_with_names_that_are_of_no_month(airflow: AirflowInBrowser, published: Pipeline):
    airflow.open_plugin("dbt docs")
    expect(airflow.frame.get_by_text("A month's models are built in a schema of the run's own")).to_be_visible()
    airflow.open("/ledger/docs#!/model/model.taxi.fct_trips")
    expect(airflow.page.get_by_text("One row per accepted trip").first).to_be_visible()
    page = airflow.page.content()
    airflow.open("/ledger/docs#!/model/model.taxi.int_zone_days")
    expect(airflow.page.get_by_role("heading", name="int_zone_days")).to_be_visible()
    assert not re.search(r"airflow_default_\d", page + airflow.page.content())


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_two_years_of_each_dataset_and_their_charts_fit_the_screen_of_a_laptop(
    browser: Browser, published: Pipeline, dark: bool
):
    with airflow_in_browser(browser, published.stack.airflow.url, PICTURES, dark=dark) as airflow:
        airflow.page.set_viewport_size(LAPTOP)
        airflow.page.route("**/ledger/months*", answer_with(two_years, needs_a_hand=True))
        airflow.log_in_by_cookie(login_of(published.stack, "admin"))
        airflow.open_plugin("Months")
        for dataset in ("green", "yellow"):
            chart = airflow.frame.get_by_role("slider", name=f"{dataset}: rows", exact=True)
            expect(chart).to_be_in_viewport(ratio=1)
            assert airflow.frame.locator(f'[data-key^="course {dataset} "]').count() == 12
        expect(airflow.frame.get_by_role("list", name="Legend")).to_be_in_viewport(ratio=1)
        height, room = airflow.frame.locator("html").evaluate("page => [page.scrollHeight, innerHeight]")
        assert height <= room
        for kind, ago in (("failed", -12), ("restated", -15), ("marked", -29)):
            key = f"hand {kind} green {Month.containing(datetime.now(UTC)).plus(ago)}"
            expect(airflow.frame.locator(f'[data-key="{key}"]')).to_be_in_viewport()
        if not dark:
            airflow.save_picture("ledger")
        airflow.open("/ledger/")
        expect(airflow.page.get_by_role("slider", name="green: rows", exact=True)).to_be_visible()
        airflow.page.evaluate(THEME, dark)
        assert airflow.violations() == ""


def test_a_chart_is_read_and_followed_to_a_month_by_pointer_and_by_keyboard(
    airflow: AirflowInBrowser, published: Pipeline
):
    airflow.page.route("**/ledger/months*", answer_with(two_years))
    airflow.open("/ledger/")
    chart = airflow.page.get_by_role("slider", name="green: rows", exact=True)
    value = chart.locator("xpath=..").locator(".value")
    drawing = chart.locator("svg").bounding_box()
    airflow.page.mouse.move(drawing["x"] + 3, drawing["y"] + 10)
    first = str(Month.containing(datetime.now(UTC)).plus(-35))
    expect(value).to_have_text(re.compile(f"^{first}: [56]\\d,\\d{{3}}$"))
    airflow.page.mouse.click(drawing["x"] + 3, drawing["y"] + 10)
    expect(airflow.page.get_by_role("heading", name=f"NYC TLC green-taxi trips, {first}: published")).to_be_visible()
    expect(airflow.page.locator(f'[data-key="green {first}"]')).to_be_focused()
    airflow.page.keyboard.press("Escape")
    expect(airflow.page.locator("#panel")).to_be_hidden()
    chart.focus()
    for key in ("Home", "ArrowRight"):
        airflow.page.keyboard.press(key)
    second = str(Month.parse(first).plus(1))
    expect(chart).to_have_attribute("aria-valuetext", re.compile(f"^{second}: "))
    airflow.page.evaluate("draw()")  # as it does when a month has changed
    expect(chart).to_have_attribute("aria-valuetext", re.compile(f"^{second}: "))
    airflow.page.keyboard.press("Enter")
    expect(airflow.page.get_by_role("heading", name=f"NYC TLC green-taxi trips, {second}: published")).to_be_visible()
    airflow.page.get_by_role("button", name="Close").click()
    another = airflow.page.get_by_role("combobox", name="green: another figure")
    another.focus()
    another.select_option("tolled")
    expect(airflow.page.get_by_role("slider", name="green: tolled")).to_be_visible()
    expect(another).to_be_focused()


def test_years_without_a_month_are_a_line_until_somebody_goes_there(airflow: AirflowInBrowser, published: Pipeline):
    airflow.open("/ledger/")
    square = airflow.page.locator('[data-key="green 2014-06"]')  # no test loads a month of its year
    folded = airflow.page.locator('[data-key^="fold green "]').last
    expect(folded).to_have_text(re.compile(r"^2013–20\d\d: no month was loaded$"))  # noqa: RUF001 - as it is shown
    expect(square).to_have_count(0)
    folded.click()
    expect(square).to_be_visible()
    airflow.page.reload()
    airflow.page.locator(f'[data-key="green {BEFORE}"]').focus()
    for year in (2016, 2015, 2014):
        airflow.page.keyboard.press("ArrowDown")
        expect(airflow.page.locator(f'[data-key="green {year}-01"]')).to_be_focused()
    expect(square).to_be_visible()
    expect(airflow.page.locator('[data-key="green 2013-12"]')).to_have_count(0)


def test_five_datasets_with_all_their_months_are_drawn_within_a_second(airflow: AirflowInBrowser, published: Pipeline):
    airflow.page.route("**/ledger/months*", answer_with(lambda months: months, datasets=5))
    airflow.open("/ledger/")
    expect(airflow.page.locator(".month").last).to_be_visible()
    assert airflow.page.locator(".month.published").count() > 800
    took = [airflow.page.evaluate(DRAW_ANEW) for _ in range(3)]  # other tests run beside it
    assert min(took) < 1000, f"{took} ms"


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_axe_finds_nothing_wrong_with_the_ledger(browser: Browser, published: Pipeline, dark: bool):
    with airflow_in_browser(browser, published.stack.airflow.url, PICTURES, dark=dark) as airflow:
        airflow.log_in_by_cookie(login_of(published.stack, "admin"))
        airflow.open(f"/ledger/?dataset=green&month={MONTH}")
        expect(airflow.page.get_by_role("heading", name=f"NYC TLC green-taxi trips, {MONTH}")).to_be_visible()
        airflow.page.get_by_role("button", name="Mark for a backfill").click()
        expect(airflow.page.get_by_role("form", name="Backfill")).to_be_visible()
        airflow.page.evaluate(THEME, dark)
        assert airflow.violations() == ""


def test_the_ledger_is_used_by_keyboard_alone(airflow: AirflowInBrowser, published: Pipeline):
    airflow.open(f"/ledger/?dataset=green&month={BEFORE}")
    square = airflow.page.locator(f'[data-key="green {BEFORE}"]')
    square.focus()
    for key in ("ArrowRight", "Enter"):
        airflow.page.keyboard.press(key)
    expect(airflow.page.get_by_role("heading", name=f"NYC TLC green-taxi trips, {MONTH}")).to_be_visible()
    airflow.page.keyboard.press("Shift+ArrowLeft")
    expect(airflow.page.get_by_role("heading", name=f"Backfill green {BEFORE} to {MONTH}")).to_be_visible()
    reprocess = airflow.page.get_by_role("combobox", name="Run")
    expect(reprocess).to_have_value("completed")  # both are published
    reprocess.select_option("failed")
    airflow.page.evaluate("draw()")  # as it does when a month has changed
    expect(reprocess).to_have_value("failed")


@pytest.mark.parametrize("width", [1400, 600], ids=["wide", "narrow"])
def test_a_months_panel_is_where_the_month_was_clicked_whatever_the_scroll(
    airflow: AirflowInBrowser, published: Pipeline, width: int
):
    airflow.page.set_viewport_size({"width": width, "height": 500})
    airflow.open("/ledger/")
    for square in (
        airflow.page.locator('[data-key^="yellow"]').last,  # the lowest on the page
        airflow.page.locator(f'[data-key="green {MONTH}"]'),
    ):
        square.click()
        expect(airflow.page.locator("#month h2")).to_be_in_viewport()
        expect(square).to_be_in_viewport()
        clicked, panel = square.bounding_box(), airflow.page.locator("#panel").bounding_box()
        assert panel["x"] > clicked["x"] + clicked["width"] or panel["y"] > clicked["y"] + clicked["height"]
    assert airflow.violations() == ""


def test_a_month_is_in_the_windows_address_and_twelve_months_fit_a_narrow_one(
    airflow: AirflowInBrowser, published: Pipeline
):
    airflow.page.set_viewport_size({"width": 480, "height": 900})
    airflow.open("/plugin/months")
    airflow.square("green", MONTH).click()
    expect(airflow.page).to_have_url(re.compile(rf"/plugin/months.*\?dataset=green&month={MONTH}$"))
    [content, width] = airflow.frame.locator("html").evaluate("html => [html.scrollWidth, html.clientWidth]")
    assert content <= width
    airflow.page.reload()
    chosen = airflow.frame.get_by_role("heading", name=re.compile(f", {MONTH}: "))
    expect(chosen).to_be_visible()
    airflow.frame.get_by_role("button", name="Close").click()
    expect(airflow.page).to_have_url(re.compile(r"/plugin/months[^?]*$"))


def test_who_may_not_create_backfills_gets_no_button(browser: Browser, published: Pipeline):
    with airflow_in_browser(browser, published.stack.airflow.url, PICTURES) as airflow:
        airflow.log_in_by_cookie(login_of(published.stack, "viewer"))
        airflow.open(f"/ledger/?dataset=green&month={MONTH}")
        airflow.page.get_by_role("button", name="Mark for a backfill").click()
        expect(airflow.page.get_by_text(f"{MONTH} marked. You may not create backfills.")).to_be_visible()
        expect(airflow.page.get_by_role("button", name="Backfill", exact=True)).to_have_count(0)


def test_the_list_of_dags_shows_the_tags_that_people_filter_by(airflow: AirflowInBrowser):
    airflow.open("/dags")
    expect(airflow.page.get_by_role("link", name="taxi_pipeline", exact=True)).to_be_visible()
    for tag in ("dbt", "green", "monthly", "tlc", "yellow"):
        expect(airflow.page.get_by_role("link", name=tag, exact=True).first).to_be_visible()


def test_the_trigger_form_offers_the_months(airflow: AirflowInBrowser, published: Pipeline):
    airflow.open("/dags/taxi_pipeline")
    airflow.page.get_by_role("button", name="Trigger").click()
    form = airflow.page.get_by_role("dialog")
    expect(form).to_contain_text("Month to load")
    expect(form).to_contain_text("Fill it in")
    offered = form.locator("datalist option")
    expect(offered.last).to_have_attribute("value", "2013-08")


def test_a_dag_without_months_says_so(airflow: AirflowInBrowser):
    airflow.open("/dags/taxi_maintenance/plugin/months-of-dag")
    expect(airflow.frame.get_by_text("taxi_maintenance loads no month that you may see.")).to_be_visible()


def test_a_restatement_is_seen_in_the_ledger_and_undone_until_the_source_is_to_count_again(
    airflow: AirflowInBrowser, published: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    first = published.content(BEFORE)
    published.publish_file(BEFORE, version=2)
    log = published.ask_the_source()
    assert "green 2017-01 is restated since" in log
    airflow.open(f"/ledger/?dataset=green&month={BEFORE}")
    square = airflow.page.locator(f'[data-key="green {BEFORE}"]')
    restated = re.compile(f"green {BEFORE}: published; the source has another file since")
    expect(square).to_have_accessible_name(restated)
    expect(
        airflow.page.get_by_text(re.compile("^The source has another file since .* UTC: [0-9,]+ bytes"))
    ).to_be_visible()
    expect(airflow.page.get_by_text("No other version of it is kept.")).to_be_visible()

    project = Project(published.dsn, published.tlc, tmp_path)
    project.run(BEFORE)
    assert published.content(BEFORE) != first
    expect(square).to_have_accessible_name(re.compile(f"green {BEFORE}: published, "))
    assert airflow.violations() == ""
    airflow.page.evaluate(REMEMBER, [f"green {BEFORE}"])
    put_back = airflow.page.locator("#month").get_by_role("button", name="Put it back")
    run_id = press(airflow, published, put_back, "The run that puts it back was created.")
    assert run_id.startswith(f"restore__{BEFORE}__")
    assert published.wait(run_id) == "success", published.states(run_id)
    assert published.content(BEFORE) == first
    stays = "published; the source has another file since, 400 rows, stays at the version that was put back"
    expect(square).to_have_accessible_name(f"green {BEFORE}: {stays}")
    said = airflow.page.evaluate("said")
    assert any("queued" in each or "running" in each for each in said)
    assert not any("waiting" in each for each in said), "no file was asked for"

    # an ordinary run leaves it, though there is a third file by now, and says so
    published.publish_file(BEFORE, version=3)
    asked, path = [], trips_path(Month.parse(BEFORE))
    published.tlc.faults[path] = lambda request: bool(asked.append(request.command))
    published.wait_for_backfills_to_close()
    Backfill(published.stack.api, published.dataset, [Month.parse(BEFORE)]).create(reprocess="completed")
    run_id = published.run_of(BEFORE)
    assert published.wait(run_id) == "success", published.states(run_id)
    published.clear(run_id, "load_month", downstream=True)
    assert published.wait(run_id) == "success", published.states(run_id)
    assert published.content(BEFORE) == first
    assert asked == [], "of the source"
    del published.tlc.faults[path]
    for attempt in (2, 3):
        assert "stays at the version with SHA-256" in published.log(run_id, "load_month", attempt)
    assert "green 2017-01 is restated since" in published.ask_the_source()
    [line] = [each for each in published.ledger() if each["month"] == BEFORE]
    assert (line["state"], line["pinned"]["by"]) == ("restated", "somebody")
    assert f"green {BEFORE}: stays at the version {line['pinned']['version'][:12]}, which somebody put back" in pin(
        line
    )

    # until somebody lets the source count again
    expect(airflow.page.get_by_text("It stays at the version with SHA-256")).to_be_in_viewport()
    assert airflow.violations() == ""
    let_count = airflow.page.locator("#month").get_by_role("button", name="Let the source count again")
    run_id = press(airflow, published, let_count, "The run that loads what the source has was created.")
    assert published.wait(run_id) == "success", published.states(run_id)
    assert published.content(BEFORE) == published.content_of_a_clean_load(BEFORE, tmp_path)
    expect(square).to_have_accessible_name(f"green {BEFORE}: published, 400 rows")
    monkeypatch.setenv("MONTH", BEFORE)
    with pytest.raises(StackError, match=f"green {BEFORE} was not put back: what the source has counts"):
        commands.release(published.stack)
    published.publish_file(BEFORE)  # as it was


def press(airflow: AirflowInBrowser, pipeline: Pipeline, button: Locator, says: str) -> str:
    """Presses a button that creates a run: the run's id."""
    runs = {run["dag_run_id"] for run in pipeline.stack.api.pages(pipeline.paths.runs, "dag_runs")}
    button.click()
    expect(airflow.page.get_by_role("status")).to_have_text(says)
    expect(airflow.page.get_by_role("status")).to_be_in_viewport()
    [run_id] = {run["dag_run_id"] for run in pipeline.stack.api.pages(pipeline.paths.runs, "dag_runs")} - runs
    return run_id
