"""A month that is odd and right is let through: for this audit and these bytes alone, and everybody sees it."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from psycopg.conninfo import conninfo_to_dict

from dev.services.postgres import EmbeddedPostgres
from include.datasets import GREEN
from include.ingest.acceptances import accept
from include.ingest.load import load_month
from include.runs.acceptance import Acceptance
from include.transform.acceptable import audits_of
from tests.support.dbt.project import Project
from tests.support.helpers import JANUARY, chosen
from tests.support.postgres.warehouse_content import content, query

AUDIT, PROTECTS = "reject_share_is_plausible", "every_raw_row_is_judged"
LOADED = "select sha256 from airflow_default.load_log where table_name = 'raw_trips'"
REJECTED = "select rows_rejected from airflow_default.fct_months"
# as production's loader writes one down
ACCEPTED = """
    insert into airflow_default.audit_log
    values ('2024-01-01', %s, 'file ' || %s, true, now(), 'ana', 'a flood')
    on conflict (source_month, audit, inputs) do update set passed = true, accepted_by = 'ana', reason = 'a flood'
"""


def make_odd(project: Project) -> str:
    """Every tenth trip of the loaded file is longer than a taxi drives, and one in a hundred may be: its SHA-256."""
    query(project.dsn, "update airflow_default.raw_trips set trip_distance = 100000 where source_row % 10 = 0")
    [(sha256,)] = query(project.dsn, LOADED)
    return str(sha256)


def accept_as(project: Project, user: str, reason: str = "flood in the Bronx") -> None:
    asked = Acceptance((AUDIT,), reason, datetime.now(UTC), user)
    accept(GREEN, JANUARY, project.dsn, project.schema, asked, audits_of(GREEN.models))


def told(sha256: str, by: str = "ana", reason: str = "flood in the Bronx") -> str:
    return f'{AUDIT}: accepted by {by} on {datetime.now(UTC):%Y-%m-%d} for the file {sha256[:12]}: "{reason}"'


def failed(output: str) -> list[str]:
    return re.findall(r"FAIL \d+ (\w+) \.", output)


def test_an_accepted_audit_warns_with_who_and_why_and_the_month_is_published_until_another_file_comes(built: Project):
    published, sha256 = content(built.dsn), make_odd(built)
    done = built.build("2024-01")
    assert (done.returncode, failed(done.output)) == (1, [AUDIT])
    assert content(built.dsn) == published
    assert "accepted by" not in done.output

    accept_as(built, "ana")
    done = built.build("2024-01")
    assert done.returncode == 0, done.output
    assert re.search(rf"WARN \d+ {AUDIT}", done.output), done.output
    of_test, *of_marts = re.findall(rf"^.*{AUDIT}: accepted by.*$", done.output, re.MULTILINE)
    assert told(sha256) in of_test
    assert len(of_marts) == 6, "each mart's task says what it publishes in spite of"
    assert "  why: 43 of 400 rows are rejected, 10.75 %, and at most 1 % may be" in done.output
    assert query(built.dsn, REJECTED) == [(43,)]
    odd = content(built.dsn)

    # another file of the month is judged anew, though it fails alike; what is published stays
    built.load("2024-01", version=2)
    other = make_odd(built)
    assert other != sha256
    done = built.build("2024-01")
    assert (done.returncode, failed(done.output)) == (1, [AUDIT])
    assert "accepted by" not in done.output
    assert content(built.dsn) == odd

    # the first file's acceptance stays, for its bytes
    load_month(GREEN, JANUARY, built.tlc.address, built.dsn, built.schema, "a restore", chosen(sha256))
    done = built.build("2024-01")
    assert done.returncode == 0, done.output
    assert told(sha256) in done.output
    assert content(built.dsn) == odd


def test_what_was_accepted_for_another_file_is_not_published(built: Project):
    """The gate compares the bytes itself: the slices are the same, and so is what their audits have found."""
    sha256 = make_odd(built)
    assert built.build("2024-01").returncode == 1
    accept_as(built, "ana")
    assert built.build("2024-01").returncode == 0
    published = content(built.dsn)
    query(built.dsn, f"update airflow_default.load_log set sha256 = '{'f' * 64}' where sha256 = '{sha256}'")
    done = built.dbt("run", "--select", "fct_trips", month="2024-01")
    assert done.returncode == 1
    assert f"not every audit of the rows to be published has passed (failed: {AUDIT})" in done.output
    assert content(built.dsn) == published


def test_rows_of_an_earlier_file_are_not_accepted_with_the_file_that_is_loaded(built: Project):
    make_odd(built)
    assert built.build("2024-01", "--select", "int_trips_judged").returncode == 1
    built.load("2024-01", version=2)
    [(loaded,)] = query(built.dsn, LOADED)
    assert failed(built.dbt("test", "--select", AUDIT, month="2024-01").output) == [AUDIT]
    of_file = "select * from airflow_default.audit_log where inputs = 'file ' || %s"
    assert query(built.dsn, of_file, loaded) == [], "it has not failed on this file"
    query(built.dsn, ACCEPTED, audits_of(GREEN.models)[AUDIT], loaded)
    assert failed(built.dbt("test", "--select", AUDIT, month="2024-01").output) == [AUDIT]


def test_an_audit_that_protects_the_tables_fails_whatever_stands_in_the_log(built: Project):
    """Not even an acceptance that somebody has written by hand counts."""
    [(sha256,)] = query(built.dsn, LOADED)
    [(audit,)] = query(
        built.dsn, f"select distinct audit from airflow_default.audit_log where audit like '%.{PROTECTS}.%'"
    )
    query(built.dsn, ACCEPTED, audit, sha256)
    query(built.dsn, "delete from airflow_default.raw_trips where source_row = 7")
    done = built.dbt("test", "--select", PROTECTS, month="2024-01")
    assert failed(done.output) == [PROTECTS]
    done = built.dbt("run", "--select", "fct_trips", month="2024-01")
    assert f"failed: {PROTECTS}" in done.output
    assert audits_of(GREEN.models)[PROTECTS] is None


def test_a_log_of_an_earlier_revision_does_for_judging_and_publishing(built: Project):
    """A month that was loaded before a deployment is audited after it."""
    query(built.dsn, "alter table airflow_default.audit_log drop accepted_by, drop reason")
    done = built.build("2024-01")
    assert done.returncode == 0, done.output
    make_odd(built)
    assert failed(built.build("2024-01").output) == [AUDIT]


def test_a_developer_s_gate_sees_production_s_acceptances(built: Project, postgres: EmbeddedPostgres):
    """The developer's own log is of an earlier revision, and has fewer columns."""
    sha256 = make_odd(built)
    assert failed(built.dbt("build", "--select", "+int_trips_judged", month="2024-01").output) == [AUDIT]
    ana = replace(built, dsn=postgres.dsn(conninfo_to_dict(built.dsn)["dbname"], "developer"))
    query(ana.dsn, "create schema dev_ana_default")
    query(ana.dsn, "create table dev_ana_default.audit_log (like airflow_default.audit_log including all)")
    query(ana.dsn, "alter table dev_ana_default.audit_log drop accepted_by, drop reason")
    build = ("build", "--target", "dev", "--exclude-resource-type", "unit_test")
    assert failed(ana.dbt(*build, month="2024-01", DEV_USER="ana").output) == [AUDIT]
    accept_as(built, "ben", "as TLC says")
    done = ana.dbt(*build, month="2024-01", DEV_USER="ana")
    assert done.returncode == 0, done.output
    assert told(sha256, "ben", "as TLC says") in done.output
    assert query(ana.dsn, "select rows_rejected from dev_ana_default.fct_months") == [(43,)]


@pytest.mark.parametrize("reason", ["a 'quoted' {{ reason }}", 'with "these" and a %s'])
def test_a_reason_is_shown_as_it_was_given(built: Project, reason: str):
    sha256 = make_odd(built)
    built.build("2024-01", "--select", "int_trips_judged")
    accept_as(built, "o'neill", reason)
    done = built.dbt("test", "--select", AUDIT, month="2024-01")
    assert done.returncode == 0, done.output
    assert told(sha256, "o'neill", reason) in done.output
