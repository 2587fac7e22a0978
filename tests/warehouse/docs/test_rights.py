"""The rights that the document gives are enough for the pipeline, and no more than enough for analysts."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from dataclasses import replace

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from dev.services.postgres import EmbeddedPostgres
from include.settings import ROOT
from tests.support.dbt.project import Project
from tests.support.postgres.warehouse_content import PUBLISHED, content, fingerprint

ROLES = PIPELINE, ANALYST, DEVELOPER = "pipeline_of_the_test", "analyst_of_the_test", "developer_of_the_test"


@pytest.fixture
def granted(postgres: EmbeddedPostgres, project: Project) -> Iterator[Project]:
    """The dbt project as the role that the document makes, in a database with its grants and no others."""
    fields = conninfo_to_dict(project.dsn)
    document = (ROOT / "docs" / "how-to" / "rights.md").read_text()
    [block] = re.findall(r"```sql\n(.*?)```", document, flags=re.DOTALL)
    grants = re.sub(r"\b(pipeline|analyst|developer)\b", r"\1_of_the_test", block).replace(
        "database warehouse", f"database {fields['dbname']}"
    )
    admin_dsn = make_conninfo(postgres.dsn("postgres", "postgres"), dbname=fields["dbname"])
    with psycopg.connect(admin_dsn, autocommit=True) as admin:
        admin.execute(f"revoke all on database {fields['dbname']} from pipeline")
        admin.execute(grants)
        password = secrets.token_hex()
        admin.execute(f"alter role {PIPELINE} password '{password}'")
        dsn = make_conninfo(project.dsn, user=PIPELINE, password=password)
        yield replace(project, dsn=dsn)
        for role in reversed(ROLES):
            admin.execute(f"drop owned by {role}")
            admin.execute(f"drop role {role}")


def test_the_document_s_roles_can_do_what_they_are_for_and_nothing_else(postgres: EmbeddedPostgres, granted: Project):
    granted.load("2024-01")
    granted.publish("2024-01")

    with psycopg.connect(granted.dsn) as pipeline:
        powers = "rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls"
        assert pipeline.execute(f"select {powers} from pg_roles where rolname = user").fetchone() == (False,) * 5

    database = conninfo_to_dict(granted.dsn)["dbname"]
    admin_dsn = make_conninfo(postgres.dsn("postgres", "postgres"), dbname=database)
    with psycopg.connect(admin_dsn, autocommit=True) as analyst:
        analyst.execute(f"set role {ANALYST}")
        for table in PUBLISHED:
            assert analyst.execute(f"select count(*) from airflow_default.{table}").fetchone() > (0,)
        for refused in (
            "delete from airflow_default.fct_trips",
            "insert into airflow_default.dim_zones values (999, 'x', 'x', 'x')",
            "select * from airflow_default_20240101.int_trips_judged",
            "select * from airflow_default_partitions.fct_trips_202401",
            "create table airflow_default.mine (n int)",
            "create schema mine",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                analyst.execute(refused)


def test_a_developer_of_the_document_builds_a_month_and_may_change_nothing_of_the_pipeline_s(
    postgres: EmbeddedPostgres, granted: Project
):
    granted.load("2024-01")
    granted.publish("2024-01")
    before = fingerprint(granted.dsn)
    database = conninfo_to_dict(granted.dsn)["dbname"]
    with psycopg.connect(make_conninfo(postgres.dsn("postgres", "postgres"), dbname=database)) as admin:
        password = secrets.token_hex()
        admin.execute(f"create role ben login password '{password}' in role {DEVELOPER}")
    ben = replace(granted, dsn=make_conninfo(granted.dsn, user="ben", password=password))
    try:
        done = ben.build("2024-01", "--target", "dev", DEV_USER="ben")
        assert done.returncode == 0, done.output
        assert content(ben.dsn, schema="dev_ben_default") == content(ben.dsn)
        with psycopg.connect(ben.dsn) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("delete from airflow_default.fct_trips")
        assert fingerprint(granted.dsn) == before
    finally:
        with psycopg.connect(make_conninfo(postgres.dsn("postgres", "postgres"), dbname=database)) as admin:
            admin.execute("drop owned by ben cascade")
            admin.execute("drop role ben")
