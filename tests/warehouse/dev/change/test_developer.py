"""A developer's own build of a month: it changes nothing of production's, and reads of it what is current."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from dev.change.base_manifest import read_manifest
from dev.change.build import build
from dev.change.workshop import Workshop, developer_name
from dev.errors import StackError
from dev.services.postgres import EmbeddedPostgres
from dev.services.warehouse_address import WarehouseAddress
from include.settings import DBT_MANIFEST
from tests.support.dbt.project import Done, Project, warm_up_once
from tests.support.helpers import JANUARY, fork
from tests.support.postgres.warehouse_content import content, fingerprint, query

OF_RUN = ["int_month_profile", "int_months", "int_trips_judged", "int_zone_days", "int_zones"]
BUILD_PLAINLY = ("build", "--target", "dev", "--exclude-resource-type", "unit_test")


@pytest.fixture
def ana(postgres: EmbeddedPostgres, built: Project) -> Project:
    """The project as a developer has it, with the documented rights, beside January 2024 in production."""
    return replace(built, dsn=postgres.dsn(conninfo_to_dict(built.dsn)["dbname"], "developer"))


@pytest.fixture
def workshop(ana: Project, tmp_path: Path) -> Workshop:
    return Workshop(ana.dataset, JANUARY, WarehouseAddress.from_dsn(ana.dsn), ana.schema, "ana", tmp_path / "workshop")


def said(function: Callable[[], int]) -> Done:
    """What the function, called in a process of its own, returns and prints."""
    warm_up_once()
    with tempfile.TemporaryFile() as output:

        def run() -> None:
            os.dup2(output.fileno(), 1)
            os.dup2(output.fileno(), 2)
            sys.stdout = sys.stderr = os.fdopen(1, "w", buffering=1, closefd=False)
            os.environ["DBT_USE_COLORS"] = "false"
            ended = function()
            sys.stdout.flush()
            os._exit(ended)

        process = fork(run)
        process.join(120)
        output.seek(0)
        return Done(process.exitcode if process.exitcode is not None else -1, output.read().decode())


def make_dev(workshop: Workshop, *words: str, base: dict[str, Any] | None = None) -> Done:
    return said(lambda: build(workshop, list(words), base or read_manifest(DBT_MANIFEST), "production's"))


def with_another(model: str) -> dict[str, Any]:
    """Production's manifest, as if the developer had changed the model since."""
    base = read_manifest(DBT_MANIFEST)
    base["nodes"][f"model.taxi.{model}"]["raw_code"] += "-- as it was"
    return base


def made(dsn: str, user: str = "ana") -> dict[str, list[str]]:
    """Tables and views by the developer's schemas, without partitions."""
    found: dict[str, list[str]] = {}
    names = "select table_schema, table_name from information_schema.tables where table_schema like %s order by 1, 2"
    for schema, table in query(dsn, names, f"dev_{user}%"):
        found.setdefault(schema, []).append(table)
    return found


def line_of(output: str, beginning: str) -> str:
    [line] = [line for line in output.splitlines() if line.startswith(beginning)]
    return line


# ---------- by plain dbt


def test_plain_dbt_makes_the_month_in_the_developer_s_schemas_and_changes_nothing_else(built: Project, ana: Project):
    before = fingerprint(built.dsn)
    for _ in range(2):
        done = ana.dbt(*BUILD_PLAINLY, month="2024-01", DEV_USER="Ana.Lee")
        assert done.returncode == 0, done.output
    assert fingerprint(built.dsn) == before
    assert content(ana.dsn, schema="dev_ana_lee_default") == content(built.dsn)
    assert list(made(ana.dsn)) == [
        "dev_ana_lee_default",
        "dev_ana_lee_default_20240101",
        "dev_ana_lee_default_partitions",
    ]


def test_nothing_that_dbt_can_be_told_changes_what_is_production_s(built: Project, ana: Project):
    before = fingerprint(built.dsn)
    for words in (
        (*BUILD_PLAINLY, "--full-refresh"),
        ("run", "--target", "dev", "--empty"),
        ("build", "--target", "postgres"),  # as a developer who forgets the target
        ("run", "--target", "postgres", "--select", "fct_trips"),
        ("run-operation", "--target", "postgres", "drop_schema", "--args", "{relation: airflow_default}"),
        ("run-operation", "--target", "dev", "create_published_tables"),
        ("test", "--target", "dev", "--store-failures"),
    ):
        ana.dbt(*words, month="2024-01", DEV_USER="ana")
        assert fingerprint(built.dsn) == before, words


@pytest.mark.parametrize(
    "statement",
    [
        "delete from airflow_default.fct_trips",
        "update airflow_default.load_log set rows = 0",
        "insert into airflow_default.audit_log select * from airflow_default.audit_log",
        "truncate airflow_default.raw_trips",
        "truncate airflow_default_partitions.fct_trips_202401",
        "drop table airflow_default_20240101.int_trips_judged",
        "comment on table airflow_default_20240101.int_trips_judged is ''",
        "create table airflow_default_20240101.mine (n int)",
        "create table airflow_default.mine (n int)",
        "drop schema airflow_default_20240101 cascade",
        "lock table airflow_default.fct_trips in access exclusive mode",
    ],
)
def test_the_role_of_developers_may_change_nothing_of_production_s(ana: Project, statement: str):
    with psycopg.connect(ana.dsn) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(statement)


@pytest.mark.parametrize("user", ["", "Ånna Lee", "a" * 60])
def test_a_name_that_no_schema_can_have_is_refused_and_makes_nothing(ana: Project, user: str):
    done = ana.dbt(*BUILD_PLAINLY, month="2024-01", DEV_USER=user)
    assert done.returncode != 0
    assert "Set DEV_USER to a name of lower-case letters, digits and underscores" in done.output
    assert query(ana.dsn, "select nspname from pg_namespace where nspname like 'dev%'") == []


def test_make_dev_refuses_the_same_names():
    assert developer_name("Ana.Lee-2") == "ana_lee_2"
    for text in ("", "ana lee", "Ånna", "a" * 21, "_"):
        with pytest.raises(StackError, match="DEV_USER"):
            developer_name(text)


def test_a_developer_waits_for_no_lock_of_production_s_nor_of_another_developer_s(built: Project, ana: Project):
    names = ["create", "fct_trips/2024-01-01", "fct_months/2024-01-01", "dim_zones"]
    schemas = [built.schema, "dev_ben_default"]
    with psycopg.connect(built.dsn) as production:
        for lock in (f"{schema}/{name}" for schema in schemas for name in names):
            production.execute("select pg_advisory_xact_lock(hashtextextended(%s, 0))", [lock])
        production.execute("delete from airflow_default.raw_trips")  # a load that has not committed yet
        done = ana.dbt(*BUILD_PLAINLY, month="2024-01", DEV_USER="ana", PGOPTIONS="-c lock_timeout=2s")
        production.rollback()
    assert done.returncode == 0, done.output


def test_developers_and_production_build_one_month_at_once(built: Project, ana: Project):
    processes = [
        fork(lambda user=user: os._exit(ana.dbt(*BUILD_PLAINLY, month="2024-01", DEV_USER=user).returncode))
        for user in ("ana", "ben")
    ]
    assert built.build("2024-01").returncode == 0
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0, 0]
    for user in ("ana", "ben"):
        assert content(ana.dsn, schema=f"dev_{user}_default") == content(built.dsn)


# ---------- by make dev


def test_nothing_is_built_where_nothing_was_changed(built: Project, workshop: Workshop):
    done = make_dev(workshop)
    assert done.returncode == 0, done.output
    assert "No model differs from production's" in done.output
    assert made(built.dsn) == {}


def test_a_changed_mart_is_built_from_production_s_slices(built: Project, ana: Project, workshop: Workshop):
    before = fingerprint(built.dsn)
    done = make_dev(workshop, base=with_another("fct_zone_days"))
    assert done.returncode == 0, done.output
    assert line_of(done.output, "Changed since") == "Changed since production's: fct_zone_days"
    assert line_of(done.output, "Built in").endswith(": fct_months, fct_zone_days")  # what is made from it too
    read = line_of(done.output, "Read from airflow_default_20240101: ").partition(": ")[2].split(", ")
    assert set(OF_RUN) <= set(read)
    assert made(ana.dsn)["dev_ana_default"] == [
        *("all_months", "all_zone_days", "audit_log", "fct_months", "fct_zone_days"),
    ]
    assert "dev_ana_default_20240101" not in made(ana.dsn)
    tables = ("fct_zone_days", "fct_months")
    assert content(ana.dsn, tables, "dev_ana_default") == content(built.dsn, tables)
    assert fingerprint(built.dsn) == before


def test_a_slice_that_another_version_has_made_is_built_and_not_read(built: Project, ana: Project, workshop: Workshop):
    """Main has another rule since production built the month, which was not rebuilt."""
    done = built.dbt("run", "--select", "int_trips_judged", month="2024-01", CODE_VERSION="aaaaaaaaaaaa")
    assert done.returncode == 0, done.output
    done = make_dev(workshop, base=with_another("fct_zone_days"))
    assert done.returncode == 0, done.output
    absent = line_of(done.output, "  and above them, as production has none that the SQL of production's made")
    assert "int_trips_judged" in absent
    assert "int_trips_judged" in made(ana.dsn)["dev_ana_default_20240101"]
    assert "int_zones" in line_of(done.output, "Read from airflow_default_20240101: ")
    query(built.dsn, "update airflow_default.fct_months set code_version = 'aaaaaaaaaaaa'")
    done = make_dev(workshop, "-s", "fct_months", base=with_another("fct_zone_days"))
    assert done.returncode == 0, done.output
    assert "Read from airflow_default: " not in done.output, "nor is a table that another version has published"


def test_a_changed_slice_is_built_with_all_that_is_made_from_it(ana: Project, workshop: Workshop):
    done = make_dev(workshop, "--exclude-resource-type", "unit_test", base=with_another("int_zone_days"))
    assert done.returncode == 0, done.output
    assert made(ana.dsn)["dev_ana_default_20240101"] == ["int_zone_days"]
    assert "fct_zone_days" in made(ana.dsn)["dev_ana_default"]


def test_a_changed_model_above_the_one_asked_for_is_not_read_as_production_has_it(ana: Project, workshop: Workshop):
    words = ("-s", "fct_zone_days", "--exclude-resource-type", "unit_test")
    done = make_dev(workshop, *words, base=with_another("int_trips_judged"))
    assert done.returncode == 0, done.output
    # those between them as well: production made its own from its own
    own = ["int_month_profile", "int_months", "int_trips_judged", "int_zone_days"]
    said_so = line_of(done.output, "  and above them, as they or what they are made from was changed: ")
    assert said_so.partition(": ")[2].split(", ") == own
    assert made(ana.dsn)["dev_ana_default_20240101"] == own


def test_what_production_made_from_another_file_is_not_read(built: Project, ana: Project, workshop: Workshop):
    built.load("2024-01", version=2)  # loaded, and not built yet
    done = make_dev(workshop, "-s", "fct_zone_days", "--exclude-resource-type", "unit_test")
    assert done.returncode == 0, done.output
    assert "as production has none that the SQL of production's made from the file that is loaded now" in done.output
    assert set(OF_RUN) <= {*made(ana.dsn)["dev_ana_default_20240101"], "int_zones"}
    built.publish("2024-01")
    assert content(ana.dsn, ("fct_zone_days",), "dev_ana_default") == content(built.dsn, ("fct_zone_days",))


def test_what_production_has_dropped_is_built(built: Project, ana: Project, workshop: Workshop):
    query(built.dsn, "drop schema airflow_default_20240101 cascade")
    done = make_dev(workshop, "-s", "fct_zone_days", "--exclude-resource-type", "unit_test")
    assert done.returncode == 0, done.output
    assert set(OF_RUN) <= set(made(ana.dsn)["dev_ana_default_20240101"])


def test_an_audit_that_fails_keeps_a_developer_s_rows_out_too(built: Project, ana: Project, workshop: Workshop):
    query(built.dsn, "update airflow_default.audit_log set passed = false where audit like '%%zones_resolve%%'")
    done = make_dev(workshop, "-s", "fct_zone_days")
    assert done.returncode == 1
    assert "fct_zone_days stays as it was: not every audit of the rows to be published has passed" in done.output
    assert content(ana.dsn, ("fct_zone_days",), "dev_ana_default") == {"fct_zone_days": []}


def test_an_audit_that_failed_for_a_developer_does_not_count_for_production_s_slice(ana: Project, workshop: Workshop):
    """As after a contract that was broken and mended: the slice that failed holds the same rows as production's."""
    failed = "update dev_ana_default.audit_log set passed = false where audit like '%%fit_the_contract%%'"
    first = make_dev(workshop, "-s", "int_zone_days", "fct_zone_days", "--exclude-resource-type", "unit_test")
    assert first.returncode == 0, first.output
    query(ana.dsn, failed)
    own = make_dev(workshop, "-s", "fct_zone_days", "--full-refresh", base=with_another("int_zone_days"))
    assert own.returncode == 0, own.output  # built, and audited, anew
    query(ana.dsn, failed)
    done = make_dev(workshop, "-s", "fct_zone_days", "--full-refresh")
    assert done.returncode == 0, done.output


def test_full_refresh_makes_a_developer_s_mart_anew_by_its_contract(ana: Project, workshop: Workshop):
    assert make_dev(workshop, "-s", "dim_zones").returncode == 0
    query(ana.dsn, "alter table dev_ana_default.dim_zones add column left_over text")
    columns = "select count(*) from information_schema.columns where table_schema = 'dev_ana_default'"
    before = query(ana.dsn, columns + " and table_name = 'dim_zones'")
    done = make_dev(workshop, "-s", "dim_zones", "--full-refresh")
    assert done.returncode == 0, done.output
    assert query(ana.dsn, columns + " and table_name = 'dim_zones'") == [(before[0][0] - 1,)]


def test_a_month_that_nobody_loaded_is_said_to_be_so(workshop: Workshop):
    february = replace(workshop, month=JANUARY.plus(1))
    with pytest.raises(StackError, match=r"airflow_default.load_log has no file of 2024-02: load it first"):
        build(february, [], read_manifest(DBT_MANIFEST), "production's")
