"""What Postgres and pgbouncer answer while they are out of order: each answer is a real one, by both drivers."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import psycopg
import psycopg2
import pytest
from cosmos.dbt.runner import handle_exception_if_needed
from cosmos.exceptions import CosmosDbtRunError
from dbt.adapters.contracts.connection import Connection
from dbt.adapters.postgres.connections import PostgresConnectionManager
from dbt.cli.main import dbtRunnerResult
from dbt.mp_context import get_mp_context
from dbt_common.events.event_manager_client import get_event_manager
from psycopg import sql

from dev.services.postgres import EmbeddedPostgres
from dev.system.ports import LOOPBACK
from include.alerts.runbook import FULL, LOCKED, POSTGRES, SETTING, TIME, Entry
from include.failures.diagnosis import entry_of
from include.failures.postgres import ANSWERS, answer_to
from include.failures.retry import heals
from include.transform.dbt_log import DbtLog
from include.warehouse.libpq import is_english
from tests.support.documents import shows
from tests.support.helpers import error_of
from tests.support.postgres.pgbouncer import pgbouncer
from tests.support.postgres.postgres_proxy import postgres_proxy
from tests.support.postgres.warehouses import warehouse

DRIVERS = {"dbt": psycopg2.connect, "psycopg": psycopg.connect}


@pytest.fixture(params=DRIVERS)
def driver(request) -> Driver:
    return Driver(request.param)


class Driver:
    """One of the ways in which Postgres' errors reach a task."""

    def __init__(self, name: str) -> None:
        self.name = name

    def connect(self, dsn: str):
        return DRIVERS[self.name](dsn)

    def failure(self, action: Callable[[], object]) -> Exception:
        """What the task fails with: the driver's own error, or DbtLog's of Cosmos' of dbt's of the driver's."""
        if self.name != "dbt":
            error = error_of(action)
            assert isinstance(error, psycopg.Error)
            return error
        said = DbtLog("dbt's folder")
        of_dbt = error_of(lambda: self._within_dbt(action, said))
        assert isinstance(of_dbt.__cause__, psycopg2.Error)
        result = dbtRunnerResult(success=False, exception=of_dbt)
        of_cosmos = error_of(lambda: handle_exception_if_needed(result))
        assert isinstance(of_cosmos, CosmosDbtRunError)
        return said.failure(str(of_cosmos), result)

    @staticmethod
    def _within_dbt(action: Callable[[], object], said: DbtLog) -> None:
        """As dbt's Postgres adapter runs a statement; its events go to the callback, as dbtRunner has it."""
        manager = PostgresConnectionManager(SimpleNamespace(), get_mp_context())
        manager.set_thread_connection(Connection("postgres", None, SimpleNamespace(autocommit=False)))
        callbacks = get_event_manager().callbacks
        callbacks.append(said)
        try:
            with manager.exception_handler("a statement"):
                action()
        finally:
            callbacks.remove(said)


@pytest.fixture(scope="module")
def dsn(postgres: EmbeddedPostgres) -> Iterator[str]:
    """One warehouse for all tests, each of which leaves it as it was: making one takes longer than a test."""
    with warehouse(postgres, "warehouse_of_answers") as dsn:
        yield dsn


@pytest.fixture
def admin(postgres):
    with psycopg.connect(postgres.dsn("postgres", "postgres"), autocommit=True) as connection:
        yield connection


def run(connection, statement: str) -> None:
    with closing(connection.cursor()) as cursor:
        cursor.execute(statement)
        if cursor.description:
            cursor.fetchall()


def database_of(dsn: str) -> sql.Identifier:
    return sql.Identifier(urlsplit(dsn).path[1:])


def test_a_server_that_does_not_listen_heals(driver):
    with socket.create_server((LOOPBACK, 0)) as closed:
        port = closed.getsockname()[1]
    failure = driver.failure(lambda: driver.connect(f"postgresql://a:b@{LOOPBACK}:{port}/c"))
    assert "refused" in str(failure)
    assert heals(failure)


def test_a_server_that_hangs_up_heals(driver):
    with socket.create_server((LOOPBACK, 0)) as server:
        hang_up = threading.Thread(target=lambda: server.accept()[0].close())
        hang_up.start()
        dsn = f"postgresql://a:b@{LOOPBACK}:{server.getsockname()[1]}/c?sslmode=disable"
        failure = driver.failure(lambda: driver.connect(dsn))
        hang_up.join()
    assert heals(failure)


def test_a_server_that_does_not_answer_in_time_heals(driver):
    with socket.create_server((LOOPBACK, 0)) as silent:
        port = silent.getsockname()[1]
        failure = driver.failure(lambda: driver.connect(f"postgresql://a:b@{LOOPBACK}:{port}/c?connect_timeout=1"))
    assert heals(failure)


@pytest.mark.parametrize("limited", ["database", "role"])
def test_too_many_connections_heal(driver, dsn, admin, limited):
    name = database_of(dsn) if limited == "database" else sql.Identifier("pipeline")
    alter = sql.SQL("alter {} {} connection limit {}")
    admin.execute(alter.format(sql.SQL(limited), name, 1))
    try:
        with closing(driver.connect(dsn)):
            failure = driver.failure(lambda: driver.connect(dsn))
    finally:
        admin.execute(alter.format(sql.SQL(limited), name, -1))
    assert f"too many connections for {limited}" in str(failure)
    assert heals(failure)


@pytest.mark.parametrize(
    "limit", [{"max_client_conn": 1}, {"default_pool_size": 1, "query_wait_timeout": 1}], ids=["clients", "sessions"]
)
def test_a_pooler_that_is_full_heals(driver, dsn, tmp_path, limit):
    def use(pooled: str) -> None:
        with closing(driver.connect(pooled)) as connection:
            run(connection, "select 1")

    with pgbouncer(dsn, tmp_path, **limit) as pooler, closing(driver.connect(pooler.dsn(dsn))) as holder:
        run(holder, "begin")
        run(holder, "select 1")
        assert heals(driver.failure(lambda: use(pooler.dsn(dsn))))


def test_a_pooler_that_the_server_refuses_heals(driver, dsn, tmp_path, admin):
    limited = sql.SQL("alter database {} connection limit {}")
    admin.execute(limited.format(database_of(dsn), 0))
    try:
        with pgbouncer(dsn, tmp_path) as pooler:
            assert heals(driver.failure(lambda: driver.connect(pooler.dsn(dsn))))
    finally:
        admin.execute(limited.format(database_of(dsn), -1))


def test_a_pooler_whose_server_is_gone_heals(driver, dsn, tmp_path):
    with socket.create_server((LOOPBACK, 0)) as closed:
        port = closed.getsockname()[1]
    gone = dsn.replace(f":{urlsplit(dsn).port}/", f":{port}/")
    with pgbouncer(gone, tmp_path) as pooler:
        assert heals(driver.failure(lambda: driver.connect(f"{pooler.dsn(gone)}?connect_timeout=2")))


def test_a_session_ended_by_the_server_heals(driver, dsn, admin):
    with closing(driver.connect(dsn)) as connection:
        run(connection, "select 1")
        admin.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", [urlsplit(dsn).path[1:]]
        )
        assert heals(driver.failure(lambda: run(connection, "select 1")))
        # and so does what is tried on the dead connection next
        assert heals(driver.failure(lambda: connection.commit()))


def test_a_deadlock_heals(driver, dsn, admin):
    admin.execute(sql.SQL("alter database {} set deadlock_timeout = '10ms'").format(database_of(dsn)))
    with closing(driver.connect(dsn)) as one, closing(driver.connect(dsn)) as other, ThreadPoolExecutor() as pool:
        run(one, "select pg_advisory_xact_lock(1)")
        run(other, "select pg_advisory_xact_lock(2)")
        crossed = [
            pool.submit(run, one, "select pg_advisory_xact_lock(2)"),
            pool.submit(run, other, "select pg_advisory_xact_lock(1)"),
        ]
        [victim] = [waiting for waiting in crossed if waiting.exception(timeout=60)]
        failure = driver.failure(victim.result)
        one.rollback()
        other.rollback()
    assert "deadlock detected" in str(failure)
    assert heals(failure)
    shows(LOCKED.heading, "deadlock detected", str(failure))


def test_a_serialization_failure_heals(driver, dsn):
    with psycopg.connect(dsn) as other, closing(driver.connect(dsn)) as connection:
        other.execute("create schema s")
        other.execute("create table s.t as select 1 as n")
        other.commit()
        run(connection, "set transaction isolation level repeatable read")
        run(connection, "select n from s.t")
        other.execute("update s.t set n = 2")
        other.commit()
        failure = driver.failure(lambda: run(connection, "update s.t set n = 3"))
        connection.rollback()
        other.execute("drop schema s cascade")
    assert "could not serialize access" in str(failure)
    assert heals(failure)


def test_a_lock_not_had_in_time_heals(driver, dsn):
    with psycopg.connect(dsn) as other, closing(driver.connect(dsn)) as connection:
        other.execute("select pg_advisory_xact_lock(1)")
        run(connection, "set lock_timeout = '10ms'")
        failure = driver.failure(lambda: run(connection, "select pg_advisory_xact_lock(1)"))
    assert "lock timeout" in str(failure)
    assert heals(failure)


@contextmanager
def setting(admin, dsn: str, name: str, value: str) -> Iterator[None]:
    """Of the role in the database, as somebody sets it who runs the server."""
    role = sql.SQL("alter role pipeline in database {}").format(database_of(dsn))
    admin.execute(sql.SQL("{} set {} = {}").format(role, sql.SQL(name), value))
    try:
        yield
    finally:
        admin.execute(sql.SQL("{} reset {}").format(role, sql.SQL(name)))


def test_a_server_that_is_read_only_heals(driver, dsn, admin):
    with setting(admin, dsn, "default_transaction_read_only", "on"), closing(driver.connect(dsn)) as connection:
        failure = driver.failure(lambda: run(connection, "create schema s"))
    assert heals(failure)
    assert entry_of(failure, "taxi_pipeline", "load_month") is FULL
    shows(FULL.heading, "cannot execute … in a read-only transaction", str(failure))


def test_a_session_that_was_idle_in_a_transaction_heals(driver, dsn, admin):
    bound = "idle_in_transaction_session_timeout"
    with setting(admin, dsn, bound, "10ms"), closing(driver.connect(dsn)) as connection:
        run(connection, "begin")
        time.sleep(0.2)
        failure = driver.failure(lambda: run(connection, "select 1"))
    assert heals(failure)
    assert entry_of(failure, "taxi_pipeline", "load_month") is POSTGRES


def test_a_statement_that_took_too_long_heals(driver, dsn, admin):
    with setting(admin, dsn, "statement_timeout", "30ms"), closing(driver.connect(dsn)) as connection:
        failure = driver.failure(lambda: run(connection, "select pg_sleep(5)"))
    assert failure.sqlstate == "57014"
    assert heals(failure)
    assert entry_of(failure, "taxi_pipeline", "load_month") is TIME
    shows(TIME.heading, "canceling statement due to statement timeout", str(failure))


def test_a_transaction_that_took_too_long_heals(driver, dsn, admin):
    """The server ends the session; whether its last words arrive depends on the moment."""
    with setting(admin, dsn, "transaction_timeout", "30ms"), closing(driver.connect(dsn)) as connection:
        assert heals(driver.failure(lambda: run(connection, "select pg_sleep(5)")))


def test_a_limit_of_temporary_files_does_not_heal(driver, dsn, admin):
    rows = "select count(distinct n) from generate_series(1, 300000) as n"
    with (
        setting(admin, dsn, "temp_file_limit", "64kB"),
        setting(admin, dsn, "work_mem", "64kB"),
        closing(driver.connect(dsn)) as connection,
    ):
        failure = driver.failure(lambda: run(connection, rows))
    assert failure.sqlstate == "53400"
    assert not heals(failure)


def test_two_sessions_that_change_the_catalogue_at_once_heal(driver, dsn):
    """An internal error, XX000, by its words."""
    with psycopg.connect(dsn) as other, closing(driver.connect(dsn)) as connection, ThreadPoolExecutor() as pool:
        other.execute("create schema s")
        other.commit()
        other.execute("grant usage on schema s to analyst")
        granted = pool.submit(run, connection, "grant usage on schema s to developer")
        while (
            not granted.done()
            and not other.execute("select 1 from pg_locks where not granted and pid <> pg_backend_pid()").fetchone()
        ):
            time.sleep(0.01)
        other.commit()
        failure = driver.failure(granted.result)
        connection.rollback()
        other.execute("drop schema s cascade")
    assert failure.sqlstate == "XX000"
    assert "tuple concurrently updated" in str(failure)
    assert heals(failure)


CANCELLED = "canceling statement due to user request"


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("selct 1", "syntax error"),
        ("select no_such_column", "does not exist"),
        ("select * from no_such_table", "does not exist"),
        ("select 1 / 0", "division by zero"),
        ("select 'x'::int", "invalid input syntax"),
        ("create table public.t (n int)", "permission denied"),
        (
            "do $$ begin create temporary table t (n int unique); insert into t values (1), (1); end $$",
            "duplicate key",
        ),
        ("do $$ begin assert false, 'planted'; end $$", "planted"),
        ("select pg_cancel_backend(pg_backend_pid())", CANCELLED),
    ],
)
def test_an_sql_error_does_not_heal(driver, dsn, statement, message):
    with closing(driver.connect(dsn)) as connection:
        failure = driver.failure(lambda: run(connection, statement))
    assert message in str(failure)
    assert not heals(failure)


def test_a_wrong_password_does_not_heal(driver, dsn):
    failure = driver.failure(lambda: driver.connect(dsn.replace(urlsplit(dsn).password, "wrong")))
    assert "password authentication failed" in str(failure)
    assert not heals(failure)


def test_a_database_that_is_not_there_does_not_heal(driver, dsn):
    failure = driver.failure(lambda: driver.connect(dsn + "_not_there"))
    assert "does not exist" in str(failure)
    assert not heals(failure)


def test_a_database_the_role_may_not_enter_does_not_heal(driver, postgres):
    failure = driver.failure(lambda: driver.connect(postgres.dsn("airflow", "pipeline")))
    assert "permission denied" in str(failure)
    assert not heals(failure)


# ---------- every answer of the table, in every language

# What the server answers: whether it heals, and the entry of the runbook. None: Postgres is in order.
STATES: dict[str, tuple[bool, Entry] | None] = {
    **dict.fromkeys(("08000", "08003", "08006", "08P01"), (True, POSTGRES)),
    "25006": (True, FULL),
    **dict.fromkeys(("25P03", "57P05"), (True, POSTGRES)),
    **dict.fromkeys(("40001", "40P01", "55P03"), (True, LOCKED)),
    **dict.fromkeys(("53000", "53100", "53200"), (True, FULL)),
    "53300": (True, POSTGRES),
    "53400": (False, FULL),
    **dict.fromkeys(("57014", "25P04"), (True, TIME)),
    **dict.fromkeys(("57P01", "57P02", "57P03"), (True, POSTGRES)),
    **dict.fromkeys(("57P04", "3D000", "28000", "28P01"), (False, SETTING)),
    **dict.fromkeys(("58000", "58030", "XX000"), (True, FULL)),
    **dict.fromkeys(("58P01", "XX001", "XX002"), (False, FULL)),
    **dict.fromkeys(("0A000", "22P02", "23505", "25001", "42P01", "42501", "57000", "P0001"), None),
}


@pytest.fixture(scope="module")
def sessions(dsn) -> Iterator[dict[str, list[Any]]]:
    """By driver: a session that answers in English, and one that answers in German."""
    port = urlsplit(dsn).port
    with ExitStack() as stack:
        foreign = stack.enter_context(postgres_proxy(port, foreign=True))
        addresses = (dsn, dsn.replace(f":{port}/", f":{foreign.port}/") + "?sslmode=disable")
        yield {
            name: [stack.enter_context(closing(Driver(name).connect(address))) for address in addresses]
            for name in DRIVERS
        }


@pytest.mark.parametrize("state", STATES)
def test_the_sqlstate_decides_in_every_language(driver, sessions, state):
    raised = f"do $$ begin raise exception 'deadlock detected' using errcode = '{state}'; end $$"
    for session in sessions[driver.name]:
        failure = driver.failure(lambda session=session: run(session, raised))
        session.rollback()
        assert failure.sqlstate == state
        assert heals(failure) == (STATES[state] or (False,))[0]
        if STATES[state]:
            assert entry_of(failure, "taxi_pipeline", "build.int_zones.run") is STATES[state][1]
    assert "etwas ging schief" in str(failure)


def test_the_table_has_no_row_that_nothing_produces_and_no_two_that_are_alike():
    produced = {answer_to(state, "x") for state in STATES} | {answer_to("57014", CANCELLED)}
    assert [each for each in ANSWERS if each.states and each not in produced] == []
    assert len({each.meaning for each in ANSWERS}) == len(ANSWERS)
    assert [each for each in ANSWERS if not each.states and not each.words] == []  # would take in every failure


@pytest.mark.parametrize(
    ("lc_messages", "english"),
    [
        *((each, True) for each in ("", "C", "C.UTF-8", "POSIX", "en_US.UTF-8", "en_GB", "English_United States.1252")),
        *((each, False) for each in ("de_DE.UTF-8", "fr_FR@euro", "zh_CN", "Chinese_China.936", "ca_ES", "eo")),
    ],
)
def test_the_loader_knows_whether_a_server_speaks_english(lc_messages, english):
    assert is_english(lc_messages) == english


@pytest.mark.parametrize(
    "wrong",
    [
        "SSL error: certificate verify failed",
        'server certificate for "other.example" does not match host name "localhost"',
        'FATAL:  password authentication failed for user "pipeline"',
        'FATAL:  database "warehous" does not exist',
        "server does not support SSL, but SSL was required",
    ],
)
def test_of_two_addresses_of_a_name_the_one_that_is_there_and_wrong_counts(wrong):
    tried = 'connection to server at "localhost" ({}), port 5432 failed: {}\n'
    both = tried.format("::1", "Connection refused") + tried.format("127.0.0.1", wrong)
    assert not heals(CosmosDbtRunError(f"dbt invocation did not complete with unhandled error: {both}"))


@pytest.mark.parametrize("says", ["session is read-only", "server is in hot standby mode"])
def test_a_failover_heals(says):
    assert heals(CosmosDbtRunError(f"dbt invocation did not complete: {TO_SERVER}{says}"))


# ---------- what cannot be made at will, in Postgres' and dbt's own words

IN_A_MODEL = "fct_trips: {} Error in model fct_trips (models/marts/tlc/fct_trips.sql)\n  "
TO_SERVER = 'connection to server at "db.example" (10.0.0.4), port 5432 failed: '


@pytest.mark.parametrize(
    "message",
    [
        # of Postgres 18, while it starts, crashes and shuts down
        TO_SERVER + "FATAL:  the database system is starting up",
        TO_SERVER + "FATAL:  the database system is shutting down",
        TO_SERVER + "FATAL:  the database system is in recovery mode",
        TO_SERVER + "FATAL:  the database system is not yet accepting connections\nDETAIL:  Consistent recovery state",
        "server closed the connection unexpectedly\n\tThis probably means the server terminated abnormally",
        "terminating connection because of crash of another server process",
        # of a connection over TLS, as Azure's are, that broke (the embedded server has no TLS)
        "SSL SYSCALL error: EOF detected",
        "SSL SYSCALL error: Connection timed out",
        "SSL connection has been closed unexpectedly",
        # of a server that is full, and of the network
        TO_SERVER + "FATAL:  sorry, too many clients already",
        TO_SERVER + "FATAL:  remaining connection slots are reserved for roles with the SUPERUSER attribute",
        TO_SERVER + "No route to host",
        'could not translate host name "db.example" to address: Temporary failure in name resolution',
        "could not receive data from server: Connection reset by peer",
    ],
)
@pytest.mark.parametrize(
    "report",
    [
        "did not complete with unhandled error: Database Error\n  ",
        "completed with errors: " + IN_A_MODEL.format("Database"),
    ],
    ids=["before a model", "in a model"],
)
def test_dbts_report_of_a_connection_that_broke_heals(report, message):
    assert heals(CosmosDbtRunError(f"dbt invocation {report}{message}".replace("\n", "\n  ")))


@pytest.mark.parametrize(
    "message",
    [
        "not_null_fct_trips_trip_id: Got 3 results, configured to fail if != 0",
        IN_A_MODEL.format("Compilation") + "'nothing' is undefined",
        IN_A_MODEL.format("Database") + 'relation "t" does not exist\n  LINE 4: from t',
        IN_A_MODEL.format("Database") + 'duplicate key value violates unique constraint "fct_trips_pkey"',
        IN_A_MODEL.format("Runtime") + "This model has an enforced contract that failed.",
    ],
)
def test_dbts_report_of_a_failing_test_or_of_bad_sql_does_not_heal(message):
    assert not heals(CosmosDbtRunError(f"dbt invocation completed with errors: {message}"))
