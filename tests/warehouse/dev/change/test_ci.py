"""What CI does with a change of the dbt project: `make dbt-ci`, in a copy of the project with a git history."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.dbt.project_copy import ProjectCopy, project_copy

pytestmark = pytest.mark.long

MODELS = "dbt/models/intermediate/tlc"


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProjectCopy]:
    with project_copy(tmp_path_factory.mktemp("ci") / "project") as copy:
        git(copy, "init", "--quiet", "--initial-branch=main")
        git(copy, "add", "--all")
        git(copy, "-c", "user.name=a test", "-c", "user.email=test@localhost", "commit", "--quiet", "--message=before")
        yield copy


@pytest.fixture
def changed(repository: ProjectCopy) -> Iterator[ProjectCopy]:
    """Edits are taken back afterwards."""
    yield repository
    git(repository, "checkout", "--quiet", "--", "dbt")


def git(copy: ProjectCopy, *words: str) -> None:
    subprocess.run(["git", *words], cwd=copy.folder, check=True)


def edit(copy: ProjectCopy, model: str, before: str, after: str) -> None:
    file = copy.folder / MODELS / f"{model}.sql"
    text = file.read_text()
    assert text.count(before) == 1
    file.write_text(text.replace(before, after))


def test_a_change_is_built_tested_and_told(changed: ProjectCopy, tmp_path: Path):
    edit(changed, "int_trips_judged", "total_amount < 0 as is_reversal", "total_amount < 13 as is_reversal")
    summary = tmp_path / "summary.md"
    output = changed.run("dev", "dbt-ci", BASE="main", TLC_DIR="", GITHUB_STEP_SUMMARY=str(summary))
    assert "Changed since main" in output
    assert "PASS int_trips_judged::" in output
    text = summary.read_text()
    assert text.startswith("## dbt: green 2024-01, compared with ")
    assert "### dim_zones: the same 265 rows" in text
    assert "### fct_trips: differs" in text
    assert "| is_reversal |" in text
    assert "### fct_zone_days: differs" in text
    assert "| reversals |" in text
    assert "Equal sums: trip_distance, fare_amount, tip_amount, tolls_amount, total_amount" in text
    assert not (changed.folder / ".local" / "dbt-ci").exists()


def test_a_change_that_a_unit_test_refuses_fails_and_says_so(changed: ProjectCopy, tmp_path: Path):
    edit(changed, "int_zone_days", "    where rejection_reason is null\n", "")
    summary = tmp_path / "summary.md"
    done = changed.try_to_run("dev", "dbt-ci", BASE="main", TLC_DIR="", GITHUB_STEP_SUMMARY=str(summary))
    assert done.returncode == 1
    assert "rejected_trips_are_in_no_zone_day" in done.output
    assert "A build or a test failed." in summary.read_text()


def test_a_folder_without_the_month_is_said_to_be_so(changed: ProjectCopy):
    edit(changed, "int_zone_days", "select * from zone_days", "select * from zone_days -- the same")
    done = changed.try_to_run("dev", "dbt-ci", BASE="main", TLC_DIR="/nowhere")
    assert done.returncode == 1
    assert "TLC_DIR=/nowhere has no green_tripdata_2024-01.parquet" in done.output


def test_without_a_change_there_is_nothing_to_build(changed: ProjectCopy):
    assert "No file of the dbt project differs from main" in changed.run("dev", "dbt-ci", BASE="main", TLC_DIR="")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "BASE is needed"),
        ({"BASE": "no-such-branch"}, "BASE=no-such-branch: git knows no such commit here"),
        ({"BASE": "--all"}, "BASE=--all: git knows no such commit here"),
        ({"BASE": "main", "MONTH": "2024-13"}, "2024-13"),
    ],
)
def test_what_cannot_be_tried_is_said_in_a_line(repository: ProjectCopy, given: dict[str, str], said: str):
    done = repository.try_to_run("dev", "dbt-ci", **given)
    assert done.returncode == 1
    assert said in done.output
    assert "Traceback" not in done.output
