"""A backup restored elsewhere is the warehouse that it was made of, and the pipeline goes on from it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from dev.change.base_manifest import read_manifest
from dev.change.build import build
from dev.change.workshop import Workshop
from dev.errors import StackError
from dev.services.postgres import EmbeddedPostgres
from dev.services.warehouse_address import WarehouseAddress
from dev.stack import backup as module
from dev.stack.backup import Backup, schemas_of
from include.datasets import DATASETS, GREEN, YELLOW
from include.ingest.restore import restore_month
from include.ledger.months import judge
from include.ledger.queries import connect, figures_by_month, models_by_version
from include.month import Month
from include.settings import DBT_MANIFEST
from tests.support.dbt.project import Project
from tests.support.helpers import JANUARY, NOWHERE, chosen, ends_well, fork
from tests.support.postgres.warehouse_content import PUBLISHED, RAW, content, query

PUBLISHED_SCHEMAS = [dataset.published_schema("default") for dataset in DATASETS.values()]
RUN_SCHEMA = f"{PUBLISHED_SCHEMAS[0]}_20240101"


def backup_of(postgres: EmbeddedPostgres, dsn: str) -> Backup:
    return Backup(postgres.program, WarehouseAddress.from_dsn(dsn), PUBLISHED_SCHEMAS)


def relations(dsn: str) -> list[tuple[Any, ...]]:
    """Every table and view that a backup must have, its comment and its rows."""
    found = """
        select nspname, relname, relkind, obj_description(pg_class.oid, 'pg_class')
        from pg_class join pg_namespace on pg_namespace.oid = relnamespace
        where nspname = any(%s) and relkind in ('r', 'p', 'v') order by 1, 2
    """
    rows = sql.SQL("select count(*), sum(hash_record_extended(each, 0)) from {} as each")
    with psycopg.connect(dsn) as connection:
        return [
            (*relation, *connection.execute(rows.format(sql.Identifier(*relation[:2]))).fetchall())
            for relation in connection.execute(found, [schemas_of(PUBLISHED_SCHEMAS)]).fetchall()
        ]


@pytest.fixture
def elsewhere(postgres: EmbeddedPostgres) -> Iterator[str]:
    """An empty database in which the pipeline's role has no right, as the role `newcomer`: a URI."""
    with psycopg.connect(postgres.dsn("postgres", "postgres"), autocommit=True) as admin:
        admin.execute("create role newcomer login password 'of-a-newcomer'")
        admin.execute("create database elsewhere owner newcomer")
        admin.execute("revoke all on database elsewhere from public")
        login = conninfo_to_dict(postgres.dsn("elsewhere"))
        try:
            yield f"postgresql://newcomer:of-a-newcomer@{login['host']}:{login['port']}/elsewhere"
        finally:
            admin.execute("drop database elsewhere with (force)")
            admin.execute("drop role newcomer")


def test_a_backup_has_every_schema_that_the_project_makes_but_those_of_runs(built: Project):
    made = query(built.dsn, "select nspname from pg_namespace where nspname !~ '^pg_' and nspname <> all(%s)", OTHERS)
    assert {name for (name,) in made} - set(schemas_of(PUBLISHED_SCHEMAS)) == {RUN_SCHEMA}
    assert [schema for schema in schemas_of(PUBLISHED_SCHEMAS[:1]) if (schema,) not in made] == []


OTHERS = ["public", "information_schema"]


def test_what_is_there_is_replaced_only_where_that_was_asked_and_is_backed_up_first(
    project: Project, postgres: EmbeddedPostgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    backup, file, before = backup_of(postgres, project.dsn), tmp_path / "of" / "january.dump", tmp_path / "before.dump"
    project.load("2024-01")
    query(project.dsn, f"create schema {RUN_SCHEMA}; create table {RUN_SCHEMA}.int_months ()")
    backup.write(file)
    assert file.stat().st_mode & 0o777 == 0o600
    as_backed_up = relations(project.dsn)
    query(
        project.dsn,
        "create schema analysts; create view analysts.of_an_analyst as select * from airflow_default.raw_trips",
    )
    query(project.dsn, "delete from airflow_default.raw_trips; create table airflow_default.newer ()")
    changed = relations(project.dsn)
    with pytest.raises(StackError) as refusal:
        backup.restore(file)
    for told in ("airflow_default (", "airflow_default_partitions (", RUN_SCHEMA, "of_an_analyst", "REPLACE=yes"):
        assert told in str(refusal.value)
    assert relations(project.dsn) == changed

    backup.restore(file, before)
    assert relations(project.dsn) == as_backed_up
    assert query(project.dsn, f"select to_regnamespace('{RUN_SCHEMA}')::text") == [(None,)]
    assert before.stat().st_mode & 0o777 == 0o600
    backup.restore(before, tmp_path / "after.dump")
    assert relations(project.dsn) == changed
    with pytest.raises(StackError, match="is there already"):
        backup.write(before)

    monkeypatch.setattr(module, "LOCK_SECONDS", 0.1)
    with psycopg.connect(project.dsn) as reader:
        reader.execute("select from airflow_default.raw_trips")
        with pytest.raises(StackError, match="Somebody uses the tables"):
            backup.restore(file, tmp_path / "used.dump")
    assert relations(project.dsn) == changed
    backup.restore(file, tmp_path / "rest.dump")
    assert relations(project.dsn) == as_backed_up


def test_a_file_that_is_no_backup_of_this_stack_is_refused_and_nothing_was_changed(
    project: Project, postgres: EmbeddedPostgres, tmp_path: Path
):
    project.load("2024-01")
    backup, file, part = backup_of(postgres, project.dsn), tmp_path / "january.dump", tmp_path / "part.dump"
    backup.write(file)
    part.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    (tmp_path / "text.dump").write_text("nothing")
    before = relations(project.dsn)
    others = replace(backup, published=["airflow_ann", "airflow_ann_yellow"])
    for given, by, says in (
        (part, backup, "pg_restore failed"),
        (tmp_path / "text.dump", backup, "pg_restore failed"),
        (tmp_path / "absent.dump", backup, "is not there"),
        (file, others, "AIRFLOW_STUDENT"),
    ):
        with pytest.raises(StackError, match=says) as refusal:
            by.restore(given, tmp_path / "before.dump")
        assert backup.address.password not in str(refusal.value)
    with pytest.raises(StackError, match="Nothing to back up"):
        others.write(tmp_path / "nothing.dump")
    assert relations(project.dsn) == before
    assert sorted(each.name for each in tmp_path.glob("*.dump*")) == ["january.dump", "part.dump", "text.dump"]


def test_a_backup_is_restored_under_another_owner_and_loads_go_on(
    project: Project, postgres: EmbeddedPostgres, elsewhere: str, tmp_path: Path
):
    for version in (1, 2):
        project.load("2024-01", version)
    file = tmp_path / "backup.dump"
    backup_of(postgres, project.dsn).write(file)
    said = subprocess.run(
        [postgres.program("pg_restore"), "--no-owner", "--no-privileges", "--file=-", file],
        capture_output=True,
        text=True,
        check=True,
    )
    assert [
        line for line in said.stdout.splitlines() if line.startswith(("GRANT", "ALTER DEFAULT")) or "OWNER TO" in line
    ] == []
    backup_of(postgres, elsewhere).restore(file)
    assert relations(elsewhere) == relations(project.dsn)
    for each in (project, replace(project, dsn=elsewhere)):
        each.load_file("2024-01")  # the same file once more
        undo(each)
        each.load("2024-02")
        each.load("2024-02", version=2)
    assert content(elsewhere, RAW) == content(project.dsn, RAW)
    ids = query(
        elsewhere,
        "select file_id from airflow_default.load_log union all select file_id from airflow_default.kept_versions",
    )
    assert len(ids) == len(set(ids)) == 6  # zones, two months, and three kept versions


def undo(project: Project) -> None:
    """Puts January's replaced version back."""
    loaded = "select sha256 from airflow_default.load_log where source_month = '2024-01-01'"
    kept = f"select sha256 from airflow_default.kept_versions where sha256 not in ({loaded})"
    [(replaced,)] = query(project.dsn, kept)
    restore_month(GREEN, JANUARY, chosen(replaced), NOWHERE, project.dsn, project.schema, "a restore")


@pytest.mark.long
def test_the_pipeline_goes_on_from_a_backup_under_another_owner_as_from_the_original(
    built: Project, postgres: EmbeddedPostgres, elsewhere: str, tmp_path: Path
):
    """The ledger, a reload, an undo, a new month of both datasets, and a developer's build."""
    built.load("2024-01", version=2)
    built.publish("2024-01")
    yellow = replace(built, dataset=YELLOW, schema=PUBLISHED_SCHEMAS[1])
    yellow.load("2024-01")
    yellow.publish("2024-01")
    file = tmp_path / "backup.dump"
    backup_of(postgres, built.dsn).write(file)
    backup_of(postgres, elsewhere).restore(file)
    assert relations(elsewhere) == relations(built.dsn)
    restored, restored_yellow = replace(built, dsn=elsewhere), replace(yellow, dsn=elsewhere)

    figures = {}
    for dsn in (built.dsn, elsewhere):
        with connect(dsn) as connection:
            figures[dsn] = (
                figures_by_month(connection, GREEN, built.schema),
                models_by_version(connection, built.schema),
            )
    assert figures[elsewhere] == figures[built.dsn]
    assert judge([], bool(figures[elsewhere][0][JANUARY]["published_at"])).state == "published"

    for project in (built, restored):
        project.load_file("2024-01")  # the same file once more
        undo(project)
        project.publish("2024-01")
    for project in (built, restored, yellow, restored_yellow):
        project.load("2024-02")
        project.publish("2024-02")
    for schema in PUBLISHED_SCHEMAS:
        there, here = (content(dsn, (*PUBLISHED, *RAW, "all_trips"), schema) for dsn in (built.dsn, elsewhere))
        assert here == there
        assert len(here["fct_trips"] or ()) > 700
    workshop = Workshop(
        GREEN, Month.parse("2024-02"), WarehouseAddress.from_dsn(elsewhere), restored.schema, "ana", tmp_path
    )
    ends_well(fork(_build_all, workshop))
    assert query(elsewhere, "select count(*) from dev_ana_default.fct_trips") == query(
        elsewhere, "select count(*) from airflow_default.fct_trips where source_month = '2024-02-01'"
    )


def _build_all(workshop: Workshop) -> None:
    assert build(workshop, ["-s", "+fct_trips"], read_manifest(DBT_MANIFEST), "the base") == 0
