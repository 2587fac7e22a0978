"""dbt's commands without a month: those that need none work, the others ask for it, and none invents one."""

from __future__ import annotations

from pathlib import Path

import pytest

from include.settings import DBT_PROJECT
from tests.support.dbt.project import WRITES_FILES, Project
from tests.support.postgres.warehouse_content import content, query

SCHEMAS = "select nspname from pg_namespace where nspname like 'airflow%' order by 1"
ASKS = "Which month? Pass a date of it: --vars '{ds: 2024-01-01}'"

NEED_NONE = [
    ["parse"],
    ["ls"],
    ["list", "--select", "fct_trips+"],
    ["docs", "generate", "--no-compile"],
    ["source", "freshness"],
    ["debug"],
    ["deps"],
]
NEED_ONE = [
    ["docs", "generate"],
    ["compile"],
    ["show", "--select", "fct_trips"],
    ["test"],
    ["build"],
    ["run"],
    ["seed"],
    ["snapshot"],
    ["run-operation", "source_month"],
    ["clone", "--state", "STATE"],
    # these read no row of a month, but lie in the run schema of one
    ["build", "--select", "stg_tlc__zones", "int_zones"],
    ["test", "--select", "int_zones"],
]


def words(command: list[str]) -> str:
    return " ".join(command)


@pytest.fixture(scope="module")
def parsed_without(target: Path) -> Path:
    """A target folder with a parse of the project without a month, which later commands reuse."""
    return target / "parsed-without-a-month"


@pytest.mark.parametrize("command", NEED_NONE, ids=words)
def test_a_command_that_needs_no_month_works_without_one(built: Project, tmp_path: Path, command: list[str]):
    before = (content(built.dsn), query(built.dsn, SCHEMAS))
    done = built.dbt(*command, DBT_TARGET_PATH=str(tmp_path), **WRITES_FILES)
    assert done.returncode == 0, done.output
    assert "1970" not in done.output
    assert (content(built.dsn), query(built.dsn, SCHEMAS)) == before


@pytest.mark.parametrize("parsed_before", [False, True], ids=["first parse", "parsed before"])
@pytest.mark.parametrize("command", NEED_ONE, ids=words)
def test_every_other_command_asks_for_the_month_and_makes_nothing(
    built: Project, parsed_without: Path, tmp_path: Path, command: list[str], parsed_before: bool
):
    where = {"DBT_TARGET_PATH": str(parsed_without if parsed_before else tmp_path)} | WRITES_FILES
    if parsed_before:
        assert built.dbt("parse", **where).returncode == 0
    before = (content(built.dsn), query(built.dsn, SCHEMAS))
    done = built.dbt(*(word.replace("STATE", str(parsed_without)) for word in command), **where)
    assert (content(built.dsn), query(built.dsn, SCHEMAS)) == before
    assert "1970" not in done.output
    if command[0] in ("seed", "snapshot") and done.returncode == 0:
        assert "Nothing to do" in done.output  # the project has none of them
    else:
        assert done.returncode != 0, done.output
        # where no macro requires the month, a reused parse names its schema so
        assert ASKS in done.output or (parsed_before and "airflow_default_which_month" in done.output)


def test_a_schema_of_a_run_may_be_named_where_no_month_is_needed(project: Project, parsed_without: Path):
    for schema in ("airflow_default_20240101", "airflow_default_20240101_0123abcd"):
        done = project.dbt("ls", PG_RUN_SCHEMA=schema, DBT_TARGET_PATH=str(parsed_without))
        assert done.returncode == 0, done.output


def test_no_macro_knows_a_month_of_its_own():
    for file in DBT_PROJECT.rglob("*.sql"):
        assert "1970" not in file.read_text(), file
