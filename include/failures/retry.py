"""Decides which failures are tried again: those that heal by themselves.

Such are connection trouble, a busy source, a contended database, an api-server that does not answer, and a new version
of the project that has not reached every worker yet.
"""

from __future__ import annotations

import re
from datetime import timedelta

import psycopg
import requests
from airflow.sdk import Context, RetryDecision, RetryPolicy
from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
from cosmos.exceptions import CosmosDbtRunError

from include.processes.drift import OtherRevision
from include.settings import RETRY
from include.source.download import FileChanged

RETRIES = 4
MAX_DELAY = timedelta(minutes=10)

# SQLSTATEs, which are the same in every language: connection exceptions; serialization failure, deadlock; too many
# connections; lock not available; shutdown by an admin or a crash, starting up.
# https://www.postgresql.org/docs/current/errcodes-appendix.html
HEALING_STATES = re.compile(r"08...|40001|40P01|53300|55P03|57P0[123]")

# Words of Postgres and libpq, for failures without an SQLSTATE: dbt reports every failure as one exception whose text
# ends in them, and libpq gives none where it could not connect. The message of a wrong password, a missing database, an
# SQL error or a failing test has none of these words. libpq comes without translations, so its words are English. The
# server's follow its lc_messages; the loader warns where they are not English.
HEALS = re.compile(
    "|".join(
        (
            r"connection (refused|reset|timed out)|timeout expired|no route to host|network is unreachable",
            r"temporary failure in name resolution|could not (receive|send) data|broken pipe",
            r"unexpected eof while reading",
            r"connection (already|is|was|not|has been) (closed|lost)|connection not open|no connection to the server",
            r"server closed the connection|terminating connection|EOF detected",
            r"database system is (starting up|shutting down|in recovery mode|not yet accepting)",
            r"too many (clients|connections)|remaining connection slots|no more connections allowed",  # last: pgbouncer
            r"deadlock detected|could not serialize access|canceling statement due to lock timeout",
            r"session is (not )?read-only|server is (not )?in hot standby mode",  # target_session_attrs, in a failover
        )
    ),
    re.IGNORECASE,
)


# These never heal, even where the message also has one of the words above: a host name may stand for two addresses
# (localhost, a cluster), of which one does not listen, and the other answers that the password is wrong.
NEEDS_A_HAND = re.compile(
    r"certificate|does not support SSL|password authentication failed|no pg_hba.conf entry|(database|role) .*not exist",
    re.IGNORECASE,
)


class RetryWhatHeals(RetryPolicy):
    """Tries again what may heal, ever more slowly; fails everything else on the first try.

    A task whose process was killed leaves no exception: Airflow tries it again without this policy, each time after
    PIPELINE_RETRY_SECONDS. Airflow's own exponential backoff counts from a task's first try ever, however often it was
    cleared, and is not used.
    """

    def evaluate(
        self, exception: BaseException, try_number: int, max_tries: int, context: Context | None = None
    ) -> RetryDecision:
        if not heals(exception):
            return RetryDecision.fail(reason=f"{type(exception).__name__} does not heal by itself")
        # a clear resets neither number: it raises max_tries to RETRIES more than the tries so far
        since_cleared = try_number - (max_tries - RETRIES)
        return RetryDecision.retry(delay=delay(exception, since_cleared), reason=f"{type(exception).__name__} may heal")


def heals(exception: BaseException) -> bool:
    """Whether the failure may heal by itself."""
    if isinstance(exception, requests.HTTPError):
        return exception.response is not None and is_temporary(exception.response.status_code)
    if isinstance(exception, AirflowRuntimeError):
        # of a request for a connection, a variable or an XCom. There is no status where the server did not answer.
        status = (exception.error.detail or {}).get("status_code")
        return exception.error.error is ErrorType.API_SERVER_ERROR and (status is None or is_temporary(status))
    if isinstance(exception, requests.exceptions.SSLError):  # a certificate does not mend itself
        return False
    if isinstance(
        exception,
        FileChanged
        | OtherRevision
        | requests.ConnectionError
        | requests.Timeout
        | requests.exceptions.ChunkedEncodingError,
    ):
        return True
    if isinstance(exception, psycopg.Error) and exception.sqlstate:
        return HEALING_STATES.fullmatch(exception.sqlstate) is not None
    if isinstance(exception, psycopg.Error | CosmosDbtRunError):
        return HEALS.search(str(exception)) is not None and NEEDS_A_HAND.search(str(exception)) is None
    return False


def is_temporary(status: int) -> bool:
    """Whether the HTTP status says that the server is busy or out of order, and not that it refuses."""
    return status == 429 or status >= 500


def delay(exception: BaseException, tries: int) -> timedelta:
    """The source's Retry-After, if it is in seconds; else twice as long after each try. At most MAX_DELAY."""
    if isinstance(exception, requests.HTTPError) and exception.response is not None:
        asked = exception.response.headers.get("Retry-After", "")
        if asked.isdecimal():
            return timedelta(seconds=min(int(asked), MAX_DELAY.total_seconds()))
    doubled: timedelta = RETRY.value() * 2 ** min(max(tries, 1) - 1, 20)
    return min(doubled, MAX_DELAY)
