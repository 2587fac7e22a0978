"""What CI does with a change of the dbt project: `make dbt-ci`, in a copy of the project with a git history."""

from __future__ import annotations

import re
import subprocess
import sys
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
    edit(changed, "int_trips_judged", "total_amount < 0 as is_reversal", "total_amount < 7 as is_reversal")
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
    assert "Compared on 20,000 made-up rows" in text
    reached = text.split("### Published columns that the change reaches\n\n")[1].splitlines()
    assert "- `fct_trips`: `is_reversal`, by `int_trips_judged`" in reached
    assert "- `fct_zone_days`: `reversals`, by `int_trips_judged` → `int_zone_days`" in reached
    assert "`dim_zones`" not in "".join(reached)
    for dataset in ("green", "yellow"):
        assert f"- {dataset}: every published month, by `int_trips_judged` (version " in text
    assert "`make rebuild DATASET=yellow`" in text
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


def test_a_rule_s_number_reaches_the_rows_at_its_bound(changed: ProjectCopy, tmp_path: Path):
    project = changed.folder / "dbt" / "dbt_project.yml"
    project.write_text(project.read_text().replace("longest_trip_miles: 200", "longest_trip_miles: 100"))
    summary = tmp_path / "summary.md"
    output = changed.run("dev", "dbt-ci", BASE="main", TLC_DIR="", GITHUB_STEP_SUMMARY=str(summary))
    assert "Changed since main" in output
    assert "### fct_trips: differs" in summary.read_text()
    assert "every published month, by `fct_trips`, `int_trips_judged` (version " in summary.read_text()


def test_a_change_that_makes_the_same_rows_makes_no_month_outdated(changed: ProjectCopy, tmp_path: Path):
    edit(changed, "int_zone_days", "select * from zone_days", "select * from zone_days -- the same")
    summary = tmp_path / "summary.md"
    changed.run("dev", "dbt-ci", BASE="main", TLC_DIR="", GITHUB_STEP_SUMMARY=str(summary))
    assert (
        "- green: no month. The models, the macros that they call and the audits are the same." in summary.read_text()
    )


def test_the_base_of_a_branch_is_where_it_left_the_main_one(repository: ProjectCopy):
    def base() -> str:
        code = "from dev.change.base_manifest import branch_point; print(*branch_point())"
        return subprocess.run(
            [sys.executable, "-c", code], cwd=repository.folder, capture_output=True, text=True, check=False
        ).stdout.strip()

    commits = ("-c", "user.name=a test", "-c", "user.email=test@localhost", "commit", "--quiet", "--allow-empty")
    left = base()
    assert re.fullmatch(r"([0-9a-f]{40}) main \([0-9a-f]{12}, where this branch left it\)", left)
    git(repository, "checkout", "--quiet", "-b", "mine")
    try:
        git(repository, *commits, "--message=mine")
        assert base() == left
        git(repository, "branch", "--quiet", "--move", "main", "trunk")
        assert base() == ""
    finally:
        git(repository, "branch", "--quiet", "--move", "trunk", "main")
        git(repository, "checkout", "--quiet", "main")


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
