"""No command of dbt's, with any of its flags, removes or changes published rows outside the month it is for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from dbt.cli.main import cli

from dev.services.postgres import EmbeddedPostgres
from dev.tlc.mirror import TlcMirror
from tests.support.dbt.project import WRITES_FILES, Project
from tests.support.postgres.warehouse_content import content, query
from tests.support.postgres.warehouses import warehouse

# By the name that dbt gives the parameter. {state}: the target folder of a build in another schema, of another file.
FLAGS = {
    "full_refresh": ["--full-refresh"],
    "empty": ["--empty"],
    "sample": ["--sample", "3 days"],
    "event_time_start": ["--event-time-start", "2020-01-01", "--event-time-end", "2030-01-01"],
    "store_failures": ["--store-failures"],
    "empty_catalog": ["--empty-catalog"],
    "state": ["--state", "{state}"],
    "defer": ["--state", "{state}", "--defer"],
    "favor_state": ["--state", "{state}", "--defer", "--favor-state"],
}
TABLES = ["--select", "fct_trips", "dim_zones", "+fct_months"]
COMMANDS = {
    "run": ["--select", "fct_trips", "dim_zones"],
    "build": TABLES,
    "clone": [*TABLES, "--state", "{state}"],
    "seed": [],
    "snapshot": [],
    "test": TABLES,
    "retry": [],
    "run-operation": ["drop_schema_named", "--args", "{schema_name: airflow_default}"],
    "compile": [],
    "show": ["--select", "fct_trips"],
    "list": [],
    "docs generate": [],
    "source freshness": [],
}
# they read and write no table: dbt's own files, its settings, a web page of what docs generate has written
NO_TABLE = {"clean", "deps", "init", "debug", "parse", "docs serve"}
SAME = {"ls": "list", "source snapshot-freshness": "source freshness"}


def declared() -> dict[str, set[str]]:
    """Each command that this version of dbt has, with the names of its parameters."""
    found = {}
    for name, command in cli.commands.items():
        group = getattr(command, "commands", None)
        leaves = {f"{name} {leaf}": each for leaf, each in group.items()} if group else {name: command}
        for leaf, each in leaves.items():
            found[leaf] = {parameter.name for parameter in each.params}
    return found


@pytest.fixture(scope="module")
def two_months(
    postgres: EmbeddedPostgres, january: str, target: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Project, Path]]:
    """A warehouse with two published months, and the target folder of a build in another schema, of another file."""
    with (
        warehouse(postgres, "warehouse_of_two_months", copy_of=january) as dsn,
        TlcMirror(tmp_path_factory.mktemp("tlc")) as tlc,
    ):
        project = Project(dsn, tlc, target / "commands")
        other = replace(project, schema="airflow_other")
        for each, month, version in ((project, "2023-12", 1), (other, "2024-01", 2)):
            each.load(month, version)
            each.publish(month, **WRITES_FILES)
        yield project, target / "commands" / "airflow_other-2024-01"


def test_every_command_of_dbt_is_tried():
    assert set(declared()) == set(COMMANDS) | NO_TABLE | set(SAME)


@pytest.mark.parametrize(
    "command", [pytest.param(each, marks=[] if each == "run" else pytest.mark.long) for each in COMMANDS]
)
def test_no_flag_makes_a_command_change_what_is_published(two_months: tuple[Project, Path], command: str):
    project, state = two_months
    before = content(project.dsn)
    assert len(before["fct_months"]) == 2
    tried = [[], *(words for flag, words in FLAGS.items() if flag in declared()[command])]
    if command in ("run", "build"):
        tried += [["--full-refresh", *words] for words in (["--empty"], ["--state", "{state}", "--defer"])]
    ended = {}
    for words in tried:
        if command == "retry":
            project.dbt("run", "--select", "fct_trips", "--empty", month="2024-01", **WRITES_FILES)
        given = [word.replace("{state}", str(state)) for word in (*COMMANDS[command], *words)]
        done = project.dbt(*command.split(), *given, month="2024-01", **WRITES_FILES)
        ended[" ".join(words)] = (done.returncode, done.output)
        assert content(project.dsn) == before, (command, words, done.output)

    def went_well(*words: str) -> list[str]:
        return [flags for flags, (code, _) in ended.items() if set(words) <= set(flags.split()) and code == 0]

    if command in ("run", "build"):
        assert went_well("--empty") == []
        assert all("leave out --empty" in output for flags, (_, output) in ended.items() if "--empty" in flags)
    if command == "run":  # build, with all that the marts are made from, defers nothing
        assert went_well("--favor-state") == []
    if command in ("clone", "run-operation"):
        assert went_well() == []


@pytest.mark.parametrize("schema", ["airflow_other", "airflow_default_partitions", "airflow_default_20231201"])
def test_no_schema_but_the_runs_own_is_dropped(two_months: tuple[Project, Path], schema: str):
    project, _ = two_months
    arguments = ("drop_schema_named", "--args", f"{{schema_name: {schema}}}")
    assert project.dbt("run-operation", *arguments, month="2024-01").returncode == 1
    assert query(project.dsn, "select nspname from pg_namespace where nspname = %s", schema) == [(schema,)]
