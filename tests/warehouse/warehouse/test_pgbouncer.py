"""Behind a pooler in transaction mode: each transaction may be in another session, and every session is others' too.

So nothing that outlives a transaction may be relied on or left: a setting, a lock, a prepared statement, a temporary
relation.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from include.datasets import GREEN
from include.failures.retry import heals
from include.month import Month
from include.report.store import report_file
from include.report.write import write_reports
from include.settings import REPORTS
from include.warehouse.run_schemas import drop_run_schemas
from include.warehouse.session import Warehouse
from tests.support.dbt.project import Project
from tests.support.meanwhile import meanwhile
from tests.support.postgres.pgbouncer import POOL, Pooler, pgbouncer, program
from tests.support.postgres.warehouse_content import PUBLISHED, RAW, content, query

MONTHS = ("2023-12", "2024-01", "2024-02")
# What pgbouncer itself sets in a session: those that it keeps for each of its clients.
POOLERS_OWN = ("application_name", "client_encoding", "DateStyle", "TimeZone", "standard_conforming_strings")
LEFT = {
    "settings": "select name, setting from pg_settings where source = 'session' and name <> all(%(poolers_own)s)",
    "locks": "select locktype, objid from pg_locks where pid = pg_backend_pid() and locktype = 'advisory'",
    "prepared statements": "select name, statement from pg_prepared_statements",
    "cursors": "select name, statement from pg_cursors where is_holdable",
    "temporary relations": "select relname from pg_class where relnamespace = pg_my_temp_schema()",
}


@pytest.fixture
def pooler(project: Project, tmp_path: Path) -> Iterator[Pooler]:
    with psycopg.connect(project.dsn) as connection:
        # a lock that is never released then fails what waits for it
        database = sql.Identifier(connection.info.dbname)
        connection.execute(sql.SQL("alter role pipeline in database {} set lock_timeout = '30s'").format(database))
    with pgbouncer(project.dsn, tmp_path) as pooler:
        yield pooler


@pytest.fixture
def pooled(project: Project, pooler: Pooler) -> Project:
    """The project, by way of the pooler."""
    return replace(project, dsn=pooler.dsn(project.dsn))


def at_once(action: Callable[[Any], Any], each_of: tuple[Any, ...]) -> list[Any]:
    with ThreadPoolExecutor(len(each_of)) as pool:
        return list(pool.map(action, each_of))


def left_behind(pooled: Project) -> dict[str, list[tuple[Any, ...]]]:
    """What the pool's sessions hold between two transactions, by kind."""
    found: dict[str, list[tuple[Any, ...]]] = {}
    with ExitStack() as stack:
        sessions = [stack.enter_context(psycopg.connect(pooled.dsn)) for _ in range(POOL)]
        # as many open transactions as the pool has sessions: each is in one of its own
        assert len({session.execute("select pg_backend_pid()").fetchone() for session in sessions}) == POOL
        for session in sessions:
            for kind, statement in LEFT.items():
                rows = session.execute(statement, {"poolers_own": list(POOLERS_OWN)}, prepare=False).fetchall()
                found[kind] = found.get(kind, []) + rows
    return {kind: rows for kind, rows in found.items() if rows}


def test_months_loaded_and_built_side_by_side_are_as_without_the_pooler(project: Project, pooled: Project):
    sessions: set[int] = set()

    def look() -> None:
        name = conninfo_to_dict(project.dsn)["dbname"]
        own = "select count(*) from pg_stat_activity where application_name = 'taxi_pipeline' and datname = %s"
        sessions.add(query(project.dsn, own, name)[0][0])

    with meanwhile(look, every=0.05):
        for version in (1, 2):  # the second time on sessions that have served others
            for month in MONTHS:
                pooled.publish_file(month, version)
            at_once(pooled.load_file, MONTHS)
            at_once(pooled.publish, MONTHS)
    assert 1 < max(sessions) <= POOL
    assert left_behind(pooled) == {}

    clean = replace(project, schema="airflow_clean")
    for month in MONTHS:
        clean.run(month)
    for tables in (PUBLISHED, RAW):
        assert content(project.dsn, tables, pooled.schema) == content(project.dsn, tables, clean.schema)
    assert len(drop_run_schemas(GREEN, pooled.dsn, pooled.schema, timedelta(0))) == len(MONTHS)


def test_a_month_loaded_by_many_at_once_leaves_one_copy(project: Project, pooled: Project):
    pooled.publish_file("2024-01")
    at_once(pooled.load_file, ("2024-01",) * 2 * POOL)
    assert left_behind(pooled) == {}
    clean = replace(project, schema="airflow_clean")
    clean.load_file("2024-01")
    assert content(project.dsn, RAW, pooled.schema) == content(project.dsn, RAW, clean.schema)


def test_reports_written_by_many_at_once_are_written(
    project: Project, pooled: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Of one month by more runs than the pool has sessions: a run needs one session, or they would wait for ever."""
    monkeypatch.setenv(REPORTS.name, str(tmp_path / "reports"))
    for month in MONTHS:
        project.load(month)
        project.publish(month)

    def write(month: str) -> int:
        return len(write_reports(GREEN, Month.parse(month), pooled.dsn))

    assert at_once(write, MONTHS + MONTHS[:1] * 2 * POOL) == [2, 2, 1] + [2] * 2 * POOL
    assert left_behind(pooled) == {}
    assert all(report_file(project.schema, Month.parse(month)).exists() for month in MONTHS)


def test_a_statement_that_is_run_again_and_again_leaves_nothing(pooled: Project):
    """Such as those that drop one old run schema after the other; psycopg would prepare it at the sixth time."""
    with Warehouse(pooled.dsn, pooled.schema) as warehouse:
        for _ in range(10):
            warehouse.execute("set local lock_timeout = '2s'")
            warehouse.execute("select $1::text", values=("again",))
        warehouse.commit()
    assert left_behind(pooled) == {}


def test_what_a_session_keeps_is_found(pooled: Project):
    """The check that the others rest on."""
    with psycopg.connect(pooled.dsn, autocommit=True) as connection:
        for statement in (
            "set work_mem = '1MB'",
            "select pg_advisory_lock(1)",
            "prepare of_a_test as select 1",
            "create temporary table of_a_test (id integer)",
        ):
            connection.execute(statement)
    assert left_behind(pooled).keys() == LEFT.keys() - {"cursors"}


def test_a_setting_in_options_is_refused_by_the_pooler_and_not_tried_again(pooled: Project):
    with pytest.raises(psycopg.Error, match="unsupported startup parameter: options") as caught:
        Warehouse(f"{pooled.dsn}?options=-c%20work_mem%3D1MB", pooled.schema)
    assert not heals(caught.value)


def test_the_pooler_shows_its_password_to_nobody_and_is_not_root(pooler: Pooler, tmp_path: Path):
    assert {(tmp_path / name).stat().st_mode & 0o077 for name in ("users.txt", "pgbouncer.ini")} == {0}
    listening = [each for each in psutil.net_connections("tcp") if each.status == psutil.CONN_LISTEN]
    [(address, pid)] = [(each.laddr.ip, each.pid) for each in listening if each.laddr.port == pooler.port]
    assert address == "127.0.0.1"
    assert psutil.Process(pid).uids().real != 0


def test_without_pgbouncer_the_tests_say_what_to_run(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    with pytest.raises(AssertionError, match="make pgbouncer"):
        program()
