"""Decides which failures are tried again: those that heal by themselves.

Such are connection trouble, a busy source, a contended database, an api-server that does not answer, and a new version
of the project that has not reached every worker yet.
"""

from __future__ import annotations

from datetime import timedelta

import psycopg
import requests
from airflow.sdk import Context, RetryDecision, RetryPolicy
from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
from cosmos.exceptions import CosmosDbtRunError

from include.failures.postgres import Answer, answer_to
from include.processes.drift import OtherRevision
from include.settings import RETRY
from include.source.download import FileChanged
from include.transform.dbt_log import DbtFailed

RETRIES = 4
MAX_DELAY = timedelta(minutes=10)


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
    return (found := answer_of(exception)) is not None and found.heals


def answer_of(exception: BaseException) -> Answer | None:
    """What Postgres has answered, to the loader or to dbt; None where it is in order, or was not asked.

    Where several nodes of dbt have failed, the answer to one that heals counts: its next try shows the others.
    """
    if isinstance(exception, psycopg.Error):
        return answer_to(exception.sqlstate, str(exception))
    if not isinstance(exception, CosmosDbtRunError):
        return None
    nodes = exception.nodes if isinstance(exception, DbtFailed) else ()
    # without its failing audits, whose words are their author's
    states = [each.sqlstate for each in nodes if each.rows is None]
    if not nodes:
        states = [exception.sqlstate if isinstance(exception, DbtFailed) else None]
    answers = [found for each in states if (found := answer_to(each, str(exception)))]
    return min(answers, key=lambda each: not each.heals, default=None)


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
