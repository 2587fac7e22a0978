"""Which reports a published month writes, and how one replaces another."""

from __future__ import annotations

import re
import threading
from pathlib import Path

import psycopg
import pytest

from include.alerts.runbook import REPORT
from include.datasets import GREEN, YELLOW
from include.failures.diagnosis import entry_of
from include.month import Month, MonthError
from include.report import write
from include.report.store import replace_report, report_file
from include.report.write import write_reports
from include.settings import REPORTS
from tests.support.dbt.project import Project
from tests.support.documents import shows
from tests.support.postgres.profiles import add_month
from tests.support.postgres.warehouse_content import query

JANUARY, FEBRUARY = Month.parse("2024-01"), Month.parse("2024-02")
SCHEMA = "airflow_default"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "reports"
    monkeypatch.setenv(REPORTS.name, str(folder))
    return folder


def written(folder: Path) -> dict[str, str]:
    """The text of each file by its path in the folder."""
    return {str(file.relative_to(folder)): file.read_text() for file in folder.rglob("*") if file.is_file()}


def test_a_month_writes_its_own_report_and_those_that_compare_themselves_with_it(built: Project, folder: Path):
    for month in ("2024-02", "2024-03", "2025-01"):
        built.load(month)
        built.publish(month)
    addresses = write_reports(GREEN, JANUARY, built.dsn)
    assert set(written(folder)) == {f"{SCHEMA}/{month}.html" for month in ("2024-01", "2024-02", "2025-01")}
    assert addresses == [str(folder / SCHEMA / f"{month}.html") for month in ("2024-01", "2024-02", "2025-01")]


def test_a_month_published_after_the_next_one_appears_in_its_report(project: Project, folder: Path):
    """As a backfill of the past does, or one whose months end in another order."""
    project.load("2024-02")
    project.publish("2024-02")
    write_reports(GREEN, FEBRUARY, project.dsn)
    assert "2024-01 is not published" in report_file(SCHEMA, FEBRUARY).read_text()
    project.load("2024-01")
    project.publish("2024-01")
    write_reports(GREEN, JANUARY, project.dsn)
    assert "2024-01 is not published" not in report_file(SCHEMA, FEBRUARY).read_text()


def test_a_month_that_departs_from_its_neighbours_says_so_in_its_report(built: Project, folder: Path):
    write_reports(GREEN, JANUARY, built.dsn)
    assert "departs" not in report_file(SCHEMA, JANUARY).read_text()
    for month in ("2023-10", "2023-12", "2024-03", "2024-05"):
        add_month(built.dsn, Month.parse(month), like=JANUARY, trips=1000)
    write_reports(GREEN, JANUARY, built.dsn)
    page = report_file(SCHEMA, JANUARY).read_text()
    assert "The month departs from the months around it, as these were published when this page was written." in page
    assert re.search(r"<li>trips a day \S+ is 6\d % below the median of the 4 months nearest to it, \S+</li>", page)


def test_a_month_that_is_not_published_is_named_and_nothing_written(built: Project, folder: Path):
    for dataset, month in ((GREEN, "2023-06"), (YELLOW, "2024-01")):
        with pytest.raises(MonthError, match=f"{month} is not published in {dataset.published_schema()}: load it with"):
            write_reports(dataset, Month.parse(month), built.dsn)
    assert not folder.exists()


def test_the_same_figures_leave_the_same_page_and_other_figures_another(built: Project, folder: Path):
    write_reports(GREEN, JANUARY, built.dsn)
    before = written(folder)
    write_reports(GREEN, JANUARY, built.dsn)
    assert written(folder) == before
    query(built.dsn, f"update {SCHEMA}.fct_months set reversals = reversals + 1000")
    write_reports(GREEN, JANUARY, built.dsn)
    assert written(folder) != before


def test_a_reader_sees_one_whole_page_or_the_other(folder: Path):
    pages = {letter * 200_000 for letter in "ab"}
    replace_report(SCHEMA, JANUARY, "a" * 200_000)
    done = threading.Event()

    def replace() -> None:
        for _ in range(100):
            for page in sorted(pages):
                replace_report(SCHEMA, JANUARY, page)
        done.set()

    writer = threading.Thread(target=replace)
    writer.start()
    while not done.is_set():
        assert report_file(SCHEMA, JANUARY).read_text() in pages
    writer.join()
    assert len(written(folder)) == 1, "what was written first is left"


def test_a_page_that_cannot_be_written_leaves_the_one_before(folder: Path, monkeypatch: pytest.MonkeyPatch):
    replace_report(SCHEMA, JANUARY, "before")

    def fail(*_: object, **__: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr("airflow.sdk.ObjectStoragePath.replace", fail)
    with pytest.raises(OSError, match="no space left"):
        replace_report(SCHEMA, JANUARY, "after")
    assert written(folder) == {f"{SCHEMA}/2024-01.html": "before"}


def test_where_the_store_cannot_be_written_to_the_entry_is_that_of_reports(
    built: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    file = tmp_path / "a_file"
    file.write_text("where a folder should be")
    monkeypatch.setenv("PIPELINE_REPORTS", str(file))
    with pytest.raises(OSError, match="a_file") as failure:
        write_reports(GREEN, JANUARY, built.dsn)
    task = "write_reports"
    assert entry_of(failure.value, "taxi_report", task) is REPORT
    shows(REPORT.heading, "write_reports", task)


def test_of_two_that_write_one_report_the_last_to_write_is_the_last_to_read(
    built: Project, folder: Path, monkeypatch: pytest.MonkeyPatch
):
    """The first stops between reading and writing. Were there no lock, it would overwrite what the second has read."""
    read, go_on, first = threading.Event(), threading.Event(), threading.Event()
    page_of = write.page_of

    def slow_page_of(*given: object) -> str:
        page = page_of(*given)
        if not first.is_set():
            first.set()
            read.set()
            assert go_on.wait(60)
        return page

    monkeypatch.setattr(write, "page_of", slow_page_of)
    threads = [threading.Thread(target=write_reports, args=(GREEN, JANUARY, built.dsn)) for _ in range(2)]
    threads[0].start()
    assert read.wait(60)
    threads[1].start()
    waiting = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and query like 'lock table%'"
    with psycopg.connect(built.dsn, autocommit=True) as connection:
        while connection.execute(waiting).fetchone() != (1,) and threads[1].is_alive():
            pass
    # what the second sees must be as of when it has the lock, not of when it began to wait
    query(built.dsn, f"update {SCHEMA}.fct_months set rows_in_file = 123456, rows_accepted = 123456 - rows_rejected")
    go_on.set()
    for thread in threads:
        thread.join()
    assert "123,456" in report_file(SCHEMA, JANUARY).read_text()


def test_reports_lie_beside_airflow_s_logs_where_no_setting_names_another_place(monkeypatch: pytest.MonkeyPatch):
    """The project's own folder may be read-only, and is another in each container."""
    monkeypatch.delenv(REPORTS.name)
    monkeypatch.setenv("AIRFLOW__LOGGING__BASE_LOG_FOLDER", "/shared/logs")
    assert str(report_file(SCHEMA, JANUARY)) == f"/shared/logs/reports/{SCHEMA}/2024-01.html"


def test_an_empty_setting_names_no_place(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(REPORTS.name, "")
    with pytest.raises(ValueError, match=f"{REPORTS.name} is empty"):
        report_file(SCHEMA, JANUARY)


def test_an_object_store_is_named_by_its_address(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(REPORTS.name, "memory://bucket/reports")
    for page in ("before", "after"):
        replace_report(SCHEMA, JANUARY, page)
    assert report_file(SCHEMA, JANUARY).read_text() == "after"
    assert [file.name for file in report_file(SCHEMA, JANUARY).parent.iterdir()] == ["2024-01.html"]
