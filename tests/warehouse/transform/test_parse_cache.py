"""dbt's parse of the project: made once, and used for every run."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from dbt.cli.main import dbtRunner
from psycopg.conninfo import conninfo_to_dict

from include.datasets import DATASETS, GREEN, YELLOW, Dataset
from include.settings import DBT_MANIFEST, DBT_PROFILES, DBT_PROJECT
from include.transform import parse_cache
from include.transform.manifest import MADE_FROM, VERSIONS, versions
from include.transform.parse_cache import (
    ENVIRONMENT,
    cache_parse,
    parse_of_manifest,
    parse_of_run,
    parse_project,
    renewed_parse,
)
from tests.support.dbt.project import Project, warm_up_once
from tests.support.helpers import ends_well, fork
from tests.support.postgres.warehouse_content import content, query

# when and by which command it was made
MADE = frozenset({"created_at", "generated_at", "invocation_id", "invocation_started_at", "run_started_at"})
NOT_WRITTEN = {"config_call_dict"}  # dbt leaves it out of the manifest that it writes: its parser alone reads it


@pytest.fixture(scope="module", autouse=True)
def kept() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parse_cache, "_cached", [])
        assert cache_parse()
        yield


def run_of(dataset: Dataset) -> dict[str, str]:
    schema = dataset.published_schema("ann")
    return ENVIRONMENT | {
        "PG_DBNAME": "warehouse",
        "PG_SCHEMA": schema,
        "PG_RUN_SCHEMA": f"{schema}_20240101_0123abcd",
    }


@pytest.mark.parametrize("dataset", DATASETS.values(), ids=DATASETS)
def test_it_is_what_dbt_itself_parses_for_the_run(dataset: Dataset, tmp_path: Path):
    environment = run_of(dataset)
    month = ["--vars", "{ds: 2024-01-01}", "--no-static-parser"]
    own: Any = parse_project(tmp_path, environment, *month).result
    given = parse_of_run(environment)
    assert given
    assert essence(given.writable_manifest().to_dict()) == essence(own.writable_manifest().to_dict())
    assert essence(given.flat_graph) == essence(own.flat_graph)
    schemas = {node.schema for node in given.nodes.values()}
    assert schemas == {environment["PG_SCHEMA"], environment["PG_RUN_SCHEMA"]}


def test_the_manifest_gives_the_parse_that_dbt_makes():
    kept, made = parse_of_manifest(), parse_cache._cached[0].manifest
    assert kept
    left_out = MADE | NOT_WRITTEN
    whole, own = (essence(each.writable_manifest().to_dict(), left_out) for each in (kept, made))
    assert whole == own
    assert essence(kept.flat_graph, left_out) == essence(made.flat_graph, left_out)
    for kind in ("nodes", "sources", "macros", "unit_tests", "docs", "selectors"):
        types, own_types = ([(key, type(each)) for key, each in getattr(of, kind).items()] for of in (kept, made))
        assert types == own_types, kind


def essence(parsed: Any, left_out: frozenset[str] = MADE) -> Any:
    if isinstance(parsed, dict):
        return {key: essence(value, left_out) for key, value in parsed.items() if key not in left_out}
    return [essence(each, left_out) for each in parsed] if isinstance(parsed, list | tuple) else parsed


@pytest.mark.parametrize("there", [False, True])
def test_it_does_not_let_a_month_be_built_in_the_schema_of_another(dsn: str, tmp_path: Path, there: bool):
    parts = {f"PG_{name.upper()}": str(value) for name, value in conninfo_to_dict(dsn).items()}
    environment = run_of(GREEN) | parts

    def build() -> None:
        os.environ |= environment
        places = ["--project-dir", DBT_PROJECT, "--profiles-dir", DBT_PROFILES.parent, "--target-path", tmp_path]
        words = ["run", *map(str, places), "--select", "stg_tlc__zones", "--vars", "{ds: 2024-02-01}"]
        done = dbtRunner(parse_of_run(environment)).invoke(words)
        assert not done.success
        assert f"PG_RUN_SCHEMA={environment['PG_RUN_SCHEMA']} is not a schema of airflow_ann" in str(done.exception)

    if there:
        query(dsn, f"create schema {environment['PG_RUN_SCHEMA']}")
    ends_well(fork(build))
    schemas = "select nspname from pg_namespace where nspname ~ '^airflow'"
    assert query(dsn, schemas) == ([(environment["PG_RUN_SCHEMA"],)] if there else [])
    assert (
        query(dsn, "select relname from pg_class join pg_namespace n on n.oid = relnamespace where nspname ~ '^airf'")
        == []
    )


def test_one_run_s_names_do_not_stay_for_the_next():
    green, yellow = (run_of(dataset) for dataset in (GREEN, YELLOW))
    first = essence(parse_of_run(green).writable_manifest().to_dict())
    assert parse_of_run(yellow)
    assert essence(parse_of_run(green).writable_manifest().to_dict()) == first


def test_a_task_killed_while_it_holds_the_parse_s_lock_holds_up_no_other():
    environment = run_of(GREEN)

    def lock_and_die() -> None:
        parse_of_run(environment)._lock.acquire()
        os._exit(0)

    def lock() -> None:
        assert parse_of_run(environment)._lock.acquire(timeout=5)

    ends_well(fork(lock_and_die))
    ends_well(fork(lock))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the dbt project, which a process has parsed."""
    copy = tmp_path / "dbt"
    shutil.copytree(DBT_PROJECT, copy, ignore=shutil.ignore_patterns("target", "logs"))
    monkeypatch.setattr(parse_cache, "DBT_PROJECT", copy)
    monkeypatch.setattr(
        parse_cache, "_cached", [parse_cache.CachedParse(parse_cache._cached[0].manifest, parse_cache.project_files())]
    )
    assert parse_of_run(run_of(GREEN))
    return copy


CHANGES = {
    "a model edited": lambda dbt: edit(dbt / "models" / "marts" / "tlc" / "fct_trips.sql"),
    "its properties edited": lambda dbt: edit(dbt / "models" / "marts" / "tlc" / "fct_trips.yml"),
    "a macro edited": lambda dbt: edit(dbt / "macros" / "run" / "months.sql"),
    "the project edited": lambda dbt: edit(dbt / "dbt_project.yml"),
    "a model added": lambda dbt: (dbt / "models" / "marts" / "tlc" / "new.sql").write_text("select 1"),
    "a folder of seeds added": lambda dbt: (dbt / "seeds").mkdir() or (dbt / "seeds" / "new.csv").write_text("a\n1\n"),
    "a model taken away": lambda dbt: (dbt / "models" / "marts" / "tlc" / "fct_trips.sql").unlink(),
    "a file put back as it was, later": lambda dbt: os.utime(dbt / "dbt_project.yml"),
}


def edit(file: Path) -> None:
    file.write_text(file.read_text().replace("t", "u", 1))


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_it_is_not_used_once_a_file_of_the_project_was_changed(project: Path, change: Any):
    change(project)
    assert parse_of_run(run_of(GREEN)) is None


def test_a_changed_project_is_parsed_once_for_all_tasks_after_it(project: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("include.transform.manifest.DBT_PROJECT", project)
    monkeypatch.setattr(parse_cache, "_refused", [])
    parses: list[Any] = []
    parse = parse_cache.parse_project
    monkeypatch.setattr(parse_cache, "parse_project", lambda *given: (parses.append(given), parse(*given))[1])
    assert renewed_parse() is None
    model = project / "models" / "marts" / "tlc" / "new.sql"
    model.write_text("select * from {{ ref('nowhere') }}")
    assert [renewed_parse(), renewed_parse(), len(parses)] == [None, None, 1], "refused, and not tried again"
    assert parse_of_run(run_of(DATASETS["green"])) is None
    model.write_text("select * from {{ ref('fct_trips') }}")
    assert renewed_parse()
    made = len(parses)
    assert [renewed_parse(), len(parses)] == [None, made]
    given = parse_of_run(run_of(DATASETS["green"]))
    assert given
    assert "model.taxi.new" in given.nodes
    assert given.resolve_source("loader", "load_log", "taxi", "taxi").name == "load_log"


def test_what_dbt_writes_is_no_change_of_the_project(project: Path):
    for folder in ("target", "logs", "manifest"):
        (project / folder).mkdir(exist_ok=True)
        (project / folder / "written").write_text("since")
    assert parse_of_run(run_of(GREEN))


def test_a_file_that_is_not_there_fails_no_task_and_counts_as_a_change(project: Path, monkeypatch: pytest.MonkeyPatch):
    lock = project / "models" / ".#fct_trips.sql"
    lock.symlink_to("somebody@somewhere.1234")  # as Emacs does
    assert parse_of_run(run_of(GREEN)) is None
    lock.unlink()
    assert parse_of_run(run_of(GREEN))
    monkeypatch.setattr(parse_cache, "DBT_PROFILES", project / "profiles.yml")
    assert parse_of_run(run_of(GREEN)) is None


@pytest.fixture
def manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the manifest, from which a process takes the parse that has cached none."""
    copy = tmp_path / "manifest.json"
    shutil.copyfile(DBT_MANIFEST, copy)
    monkeypatch.setattr(parse_cache, "DBT_MANIFEST", copy)
    monkeypatch.setattr(parse_cache, "_cached", [])
    return copy


def note(manifest: Path, name: str, change: Callable[[Any], Any]) -> None:
    content = json.loads(manifest.read_bytes())
    env = content["metadata"]["env"]
    env[name] = json.dumps(change(json.loads(env[name])))
    manifest.write_text(json.dumps(content))


def test_where_nothing_was_cached_the_parse_is_taken_from_the_manifest_whenever_its_files_were_written(manifest: Path):
    note(manifest, MADE_FROM, lambda files: {name: (0, size, digest) for name, (_, size, digest) in files.items()})
    given = parse_of_run(run_of(YELLOW))
    assert given
    schemas = {node.schema for node in given.nodes.values()}
    assert schemas == {run_of(YELLOW)["PG_SCHEMA"], run_of(YELLOW)["PG_RUN_SCHEMA"]}


UNUSABLE: dict[str, Callable[[Path], object]] = {
    "it is missing": lambda file: file.unlink(),
    "it is damaged": lambda file: file.write_bytes(file.read_bytes()[:-1000]),
    "an earlier version made it": lambda file: file.write_text('{"metadata": {"env": {}}, "nodes": {}}'),
    "a file has another content, with the same time and size": lambda file: note(
        file, MADE_FROM, lambda files: files | {"dbt/dbt_project.yml": [*files["dbt/dbt_project.yml"][:2], "0" * 64]}
    ),
    "a file was added": lambda file: note(
        file, MADE_FROM, lambda files: {name: each for name, each in files.items() if name != "dbt/dbt_project.yml"}
    ),
    **{
        f"another version of {name} made it": lambda file, name=name: note(
            file, VERSIONS, lambda versions: versions | {name: "0.0.1"}
        )
        for name in versions()
    },
    "one name stands for both schemas": lambda file: file.write_text(
        file.read_text().replace("airflow_default_which_month", "airflow_default")
    ),
}


@pytest.mark.parametrize("make", UNUSABLE.values(), ids=UNUSABLE)
def test_dbt_parses_for_itself_where_nothing_was_cached_and_the_manifest_is_not_usable(
    manifest: Path, make: Callable[[Path], object]
):
    assert parse_of_manifest()
    make(manifest)
    assert parse_of_run(run_of(GREEN)) is None


def test_a_month_is_built_by_the_manifest_s_parse_as_by_the_cached_one(built: Project, request: pytest.FixtureRequest):
    before = content(built.dsn)
    warm_up_once()  # before the cache is emptied, as it fills it
    request.getfixturevalue("manifest")
    assert parse_of_run(run_of(GREEN))
    parse_cache._cached.clear()
    done = built.build("2024-01")
    assert done.returncode == 0, done.output
    assert "rows_are_not_repeated" in done.output  # a generic test, of which dbt reads its arguments from the parse
    assert content(built.dsn) == before


def test_a_project_that_dbt_refuses_is_not_kept(project: Path, monkeypatch: pytest.MonkeyPatch):
    (project / "models" / "marts" / "tlc" / "new.sql").write_text("select * from {{ ref('nowhere') }}")
    monkeypatch.setattr("include.transform.manifest.DBT_PROJECT", project)
    assert cache_parse() is None
    assert parse_of_run(run_of(GREEN)) is None
