"""Which failures are tried again: the failures are real, made with the drivers the pipeline uses."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from urllib.parse import urlsplit

import psycopg
import psycopg2
import pytest
import requests
from airflow.sdk import RetryAction
from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
from airflow.sdk.execution_time.comms import ErrorResponse
from cosmos.dbt.runner import handle_exception_if_needed
from cosmos.exceptions import CosmosDbtRunError
from dbt.cli.main import dbtRunnerResult
from dbt_common.exceptions import DbtDatabaseError
from hypothesis import given
from hypothesis import strategies as st
from psycopg import sql

from dev.system.ports import LOOPBACK
from include.alerts.runbook import API_SERVER
from include.failures.diagnosis import entry_of
from include.failures.retry import MAX_DELAY, RETRIES, RetryWhatHeals, delay, heals
from include.month import MonthError
from include.processes.drift import OtherRevision
from include.settings import RETRY, SettingError
from include.source.availability import MonthUnavailable
from include.source.download import DownloadError, FileChanged, FileUnavailable, download
from include.source.reader import FileContentError
from include.warehouse.libpq import is_english
from tests.support.documents import shows
from tests.support.helpers import JANUARY, trips_path
from tests.support.postgres.pgbouncer import pgbouncer
from tests.support.postgres.postgres_proxy import postgres_proxy

PATH = trips_path(JANUARY)


@pytest.fixture(autouse=True)
def default_delay(monkeypatch):
    monkeypatch.delenv("PIPELINE_RETRY_SECONDS", raising=False)


def error_of(action: Callable[[], object]) -> Exception:
    try:
        action()
    except Exception as error:
        return error
    raise AssertionError("nothing was raised")


def decision(exception: BaseException, try_number: int = 1, max_tries: int = RETRIES):
    return RetryWhatHeals().evaluate(exception, try_number=try_number, max_tries=max_tries)


# ---------- Postgres: each way to fail, by the loader's driver and by dbt's


@pytest.fixture(params=["dbt", "psycopg"])
def driver(request) -> Driver:
    return Driver(request.param)


class Driver:
    """One of the ways in which Postgres' errors reach a task."""

    def __init__(self, name: str) -> None:
        self.name = name

    def connect(self, dsn: str):
        connect = {"dbt": psycopg2.connect, "psycopg": psycopg.connect}
        return connect[self.name](dsn)

    def failure(self, action: Callable[[], object]) -> Exception:
        """What the task fails with: the driver's own error, or Cosmos' about dbt's about the driver's."""
        error = error_of(action)
        if self.name != "dbt":
            assert isinstance(error, psycopg.Error)
            return error
        assert isinstance(error, psycopg2.Error)
        of_dbt = DbtDatabaseError(str(error).strip())  # as dbt's Postgres adapter wraps it
        of_cosmos = error_of(lambda: handle_exception_if_needed(dbtRunnerResult(success=False, exception=of_dbt)))
        assert isinstance(of_cosmos, CosmosDbtRunError)
        return of_cosmos


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
    admin.execute(sql.SQL("alter database {} connection limit 0").format(database_of(dsn)))
    with pgbouncer(dsn, tmp_path) as pooler:
        assert heals(driver.failure(lambda: driver.connect(pooler.dsn(dsn))))


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
    assert "could not serialize access" in str(failure)
    assert heals(failure)


def test_a_lock_not_had_in_time_heals(driver, dsn):
    with psycopg.connect(dsn) as other, closing(driver.connect(dsn)) as connection:
        other.execute("select pg_advisory_xact_lock(1)")
        run(connection, "set lock_timeout = '10ms'")
        failure = driver.failure(lambda: run(connection, "select pg_advisory_xact_lock(1)"))
    assert "lock timeout" in str(failure)
    assert heals(failure)


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
        ("select pg_cancel_backend(pg_backend_pid())", "canceling statement due to user request"),
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


# ---------- a server that speaks another language


@pytest.mark.parametrize(
    ("state", "passes"),
    [
        *((state, True) for state in ("08000", "08003", "08006", "40001", "40P01", "53300", "55P03")),
        *((state, True) for state in ("57P01", "57P02", "57P03")),
        *(
            (state, False)
            for state in ("22P02", "23505", "28P01", "3D000", "42P01", "42501", "53100", "57014", "P0001")
        ),
    ],
)
def test_the_loaders_failures_are_judged_alike_in_every_language(postgres, dsn, state, passes):
    raised = f"do $$ begin raise exception 'deadlock detected' using errcode = '{state}'; end $$"
    port = urlsplit(dsn).port
    with postgres_proxy(port, foreign=True) as foreign:
        for address in (dsn, dsn.replace(f":{port}/", f":{foreign.port}/") + "?sslmode=disable"):
            with closing(psycopg.connect(address)) as connection:
                failure = error_of(lambda connection=connection: run(connection, raised))
            assert failure.sqlstate == state
            assert heals(failure) == passes
    assert "etwas ging schief" in str(failure)


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


# ---------- the source


def answered(tlc, status: int, **headers: str) -> requests.HTTPError:
    """The error of a download that the source answers so."""
    tlc.faults[PATH] = lambda request: request.answer(status, b"", **headers)

    def fetch() -> None:
        with download(tlc.address.below(PATH[1:])):
            pass

    error = error_of(fetch)
    assert isinstance(error, requests.HTTPError)
    return error


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_busy_source_heals(tlc, status):
    assert heals(answered(tlc, status))


@pytest.mark.parametrize("status", [400, 401, 405, 410, 451])
def test_a_source_that_refuses_does_not_heal(tlc, status):
    assert not heals(answered(tlc, status))


def test_a_source_that_denies_access_does_not_heal(tlc):
    def fetch() -> None:
        with download(tlc.address.below(PATH[1:])):
            pass

    assert not heals(error_of(fetch))  # the mirror answers 403, as TLC does, and download says so in its own words
    assert not heals(error_of(lambda: requests.get(tlc.url + PATH, timeout=10).raise_for_status()))


@pytest.mark.parametrize("url", ["http://", "ftp://127.0.0.1/file", "not a url"])
def test_an_address_that_cannot_be_one_does_not_heal(url):
    assert not heals(error_of(lambda: requests.get(url, timeout=10)))


# ---------- the decision


@pytest.mark.parametrize(
    "exception",
    [
        FileUnavailable("403"),
        DownloadError("larger than 2 GiB"),
        FileContentError("connection refused"),  # words count in a database's error only
        MonthUnavailable("in the future"),
        MonthError("month"),
        SettingError("AIRFLOW_STUDENT"),
        ValueError("deadlock detected"),
        KeyError("connection refused"),
        RuntimeError("could not serialize access"),
        OSError("No space left on device"),
    ],
    ids=lambda exception: type(exception).__name__,
)
def test_anything_else_fails_on_the_first_try_and_says_why(exception):
    made = decision(exception)
    assert made.action is RetryAction.FAIL
    assert type(exception).__name__ in made.reason


@pytest.mark.parametrize(
    ("error", "detail", "healing"),
    [
        (ErrorType.API_SERVER_ERROR, {"status_code": None, "message": "timed out"}, True),
        (ErrorType.API_SERVER_ERROR, {"status_code": 503}, True),
        (ErrorType.API_SERVER_ERROR, {"status_code": 429}, True),
        (ErrorType.API_SERVER_ERROR, {"status_code": 403}, False),
        (ErrorType.CONNECTION_NOT_FOUND, {"conn_id": "azure_pg"}, False),
        (ErrorType.GENERIC_ERROR, None, False),
    ],
)
def test_an_api_server_that_does_not_answer_a_task_heals_and_one_that_refuses_does_not(error, detail, healing):
    """`soak_faults.py` has the real one: workers that are cut off from it for a minute."""
    failure = AirflowRuntimeError(ErrorResponse(error=error, detail=detail))
    assert heals(failure) == healing
    if error is ErrorType.API_SERVER_ERROR:
        assert entry_of(failure, "taxi_pipeline", "load_month") is API_SERVER
        shows(API_SERVER.heading, "API_SERVER_ERROR", str(failure))


def test_another_revision_of_the_project_heals():
    assert heals(OtherRevision())


def test_what_heals_is_tried_again_and_says_why(tlc):
    made = decision(answered(tlc, 503))
    assert (made.action, made.retry_delay) == (RetryAction.RETRY, timedelta(seconds=30))
    assert "HTTPError" in made.reason


def test_each_delay_is_twice_the_last_up_to_a_bound(tlc):
    error = answered(tlc, 503)
    delays = [decision(error, try_number).retry_delay.total_seconds() for try_number in range(1, 9)]
    assert delays == [30, 60, 120, 240, 480, 600, 600, 600]


def test_the_first_delay_is_a_setting(tlc, monkeypatch):
    monkeypatch.setenv("PIPELINE_RETRY_SECONDS", "2")
    error = answered(tlc, 503)
    assert RETRY.value() == timedelta(seconds=2)
    assert [decision(error, number).retry_delay.total_seconds() for number in (1, 2, 3)] == [2, 4, 8]


@given(st.lists(st.integers(1, RETRIES + 1), max_size=50), st.integers(1, RETRIES))
def test_the_delay_counts_from_the_latest_clear(tries_before_each_clear, tries_since):
    """Airflow counts a task's tries on when it is cleared, and grants it RETRIES more than it has had."""
    had = sum(tries_before_each_clear)
    made = decision(FileChanged(), try_number=had + tries_since, max_tries=had + RETRIES)
    assert (
        made.retry_delay == decision(FileChanged(), tries_since).retry_delay == RETRY.value() * 2 ** (tries_since - 1)
    )


@given(st.integers(1, 10_000), st.integers(-1, 10_000))
def test_whatever_airflow_has_counted_the_delay_is_bounded(try_number, max_tries):
    made = decision(FileChanged(), try_number, max_tries)
    assert RETRY.value() <= made.retry_delay <= MAX_DELAY


@given(st.integers(1, 10_000))
def test_a_task_cleared_however_often_has_a_bounded_delay(try_number):
    """Airflow counts a task's tries on when it is cleared."""
    assert timedelta(0) < delay(requests.ConnectionError(), try_number) <= MAX_DELAY


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("asked", "seconds"),
    [
        ("7", 7),
        ("0", 0),
        ("600", 600),
        ("86400", 600),  # bounded
        ("9" * 30, 600),
        ("-5", 30),  # not understood: as if not asked
        ("1.5", 30),
        ("", 30),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 30),
    ],
)
def test_the_source_says_how_long_to_wait_within_bounds(tlc, status, asked, seconds):
    assert decision(answered(tlc, status, Retry_After=asked)).retry_delay == timedelta(seconds=seconds)
