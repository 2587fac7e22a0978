"""What becomes of a wrong file: each spoiling of the catalogue, on a generated month and on a real one.

docs/explanation/spoilings.md shows the catalogue. That months pass as they are is tested in test_audits.py and
test_real_files.py.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from dev.services.postgres import EmbeddedPostgres
from dev.tlc.mirror import TlcMirror
from dev.tlc.sample_months import write_month, write_zones
from include.datasets import YELLOW
from include.month import Month
from include.settings import KEEP_MEBIBYTES
from tests.support.dbt.project import Project
from tests.support.postgres.warehouses import warehouse
from tests.support.spoilings.catalogue import SPOILINGS
from tests.support.spoilings.expected import Spoiling
from tests.support.spoilings.month_file import MonthFile
from tests.support.spoilings.outcome import Judge, figures_of_month, put_up, red_by_dbt

MONTH, ANOTHER_MONTH = "2024-01", "2023-12"
# The other real months that the tests have stand in the real month's neighbours' place.
REAL_NEIGHBOURS = ("2020-04", "2023-01", "2023-02", "2023-12", "2025-11")
ROWS = 9000
# What `make test` tries too: one of each outcome, and of each kind.
IN_EVERY_RUN = {
    "no rows",
    "without the last day",
    "every row twice",
    "amounts in cents",
    "times in UTC",
    "distances a row off",
    "zones counted on from 265",
    "every second row",
    "passenger counts a row off",
    "ids as text",
    "the rows in another order",
}
# All, where there is no real month; else those in every run, and those that end otherwise than of a real month.
ON_SAMPLE = {
    name: each
    for name, each in SPOILINGS.items()
    if name in IN_EVERY_RUN or each.on_sample != each.expected or not os.environ.get("TLC_DIR")
}
BY_DBT = ["another month's file", "every zone 0", "without the last day", "amounts in cents", "ids as text"]


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> MonthFile:
    folder = tmp_path_factory.mktemp("generated")
    files = (
        write_month(folder, MONTH, ROWS),
        write_month(folder, ANOTHER_MONTH, ROWS),
        write_month(folder, MONTH, ROWS, dataset=YELLOW),
    )
    return MonthFile(Month.parse(MONTH), *map(pq.read_table, files))


@pytest.fixture(scope="module")
def real(real_files: Path) -> MonthFile:
    names = (f"green_tripdata_{MONTH}", f"green_tripdata_{ANOTHER_MONTH}", "yellow_tripdata_2025-02")
    return MonthFile(Month.parse(MONTH), *(pq.read_table(real_files / f"{name}.parquet") for name in names))


@contextmanager
def project_in(folder: Path, postgres: EmbeddedPostgres, month: str) -> Iterator[Project]:
    with (
        pytest.MonkeyPatch.context() as environment,
        warehouse(postgres, f"warehouse_of_the_{month}_month") as dsn,
        TlcMirror(folder) as mirror,
    ):
        environment.setenv(KEEP_MEBIBYTES.name, "0")  # 12 MB for each spoiling of the real month
        yield Project(dsn, mirror, folder / "target")


@pytest.fixture(scope="module")
def judge_of_generated(
    generated: MonthFile, postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Judge]:
    """Other versions of the month stand in its neighbours' place: they are judged without dbt."""
    folder = tmp_path_factory.mktemp("spoilings")
    write_zones(folder)
    with project_in(folder, postgres, "generated") as project:
        judge = Judge(project, MONTH, generated.rows)
        versions = [pq.read_table(write_month(folder, MONTH, ROWS, version)) for version in range(2, 7)]
        judge.neighbours = [judge.figures_of(version) for version in versions]
        assert_passes_as_it_is(judge)
        yield judge


@pytest.fixture(scope="module")
def judge_of_real(
    real: MonthFile, real_files: Path, postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Judge]:
    folder = tmp_path_factory.mktemp("spoilings")
    for name in ("taxi_zone_lookup.csv", *(f"green_tripdata_{month}.parquet" for month in REAL_NEIGHBOURS)):
        shutil.copy(real_files / name, folder)
    with project_in(folder, postgres, "real") as project:
        neighbours = []
        for month in REAL_NEIGHBOURS:
            project.load_file(month)
            assert red_by_dbt(project, month) == set()
            neighbours.append(figures_of_month(project, month))
        judge = Judge(project, MONTH, real.rows, neighbours)
        assert_passes_as_it_is(judge)
        yield judge


def assert_passes_as_it_is(judge: Judge) -> None:
    assert judge.outcome_of(judge.untouched).outcome == "harmless"
    assert judge.marked() == []


@pytest.mark.parametrize(
    "spoiling",
    [pytest.param(each, marks=[] if name in IN_EVERY_RUN else pytest.mark.long) for name, each in ON_SAMPLE.items()],
    ids=ON_SAMPLE,
)
def test_a_spoiled_generated_month_ends_as_expected(
    spoiling: Spoiling, generated: MonthFile, judge_of_generated: Judge
):
    outcome = judge_of_generated.outcome_of(spoiling.spoil(generated))
    assert outcome.is_as(spoiling.on_sample), outcome


@pytest.mark.long
@pytest.mark.parametrize("spoiling", SPOILINGS.values(), ids=SPOILINGS)
def test_a_spoiled_real_month_ends_as_expected(spoiling: Spoiling, real: MonthFile, judge_of_real: Judge):
    outcome = judge_of_real.outcome_of(spoiling.spoil(real))
    assert outcome.is_as(spoiling.expected), outcome


@pytest.mark.long
@pytest.mark.parametrize("name", BY_DBT)
def test_dbt_itself_judges_as_the_statements_that_it_has_run(
    name: str, generated: MonthFile, judge_of_generated: Judge, project: Project
):
    spoiled = SPOILINGS[name].spoil(generated)
    write_zones(project.tlc.folder)
    put_up(project, MONTH, spoiled)
    project.load_file(MONTH)
    outcome = judge_of_generated.outcome_of(spoiled)
    assert red_by_dbt(project, MONTH) == (set(outcome.by) if outcome.outcome == "red" else set())
