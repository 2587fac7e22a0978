"""Finds the entry of RUNBOOK.md that helps with a failure."""

from __future__ import annotations

import re

import psycopg
import requests
from airflow.sdk.exceptions import AirflowRuntimeError, AirflowTaskTimeout, ErrorType, TaskDeferralTimeout
from cosmos.exceptions import CosmosDbtRunError

from include.alerts.runbook import (
    API_SERVER,
    ASKED,
    AUDIT,
    DROPPED,
    LOAD,
    MODEL,
    MONTH,
    OTHER,
    PUBLISHED_TEST,
    REFUSED,
    REPORT,
    REVISION,
    SETTING,
    SOURCE,
    TIME,
    UNAVAILABLE,
    UNDO,
    Entry,
)
from include.datasets import dataset_of
from include.failures.retry import answer_of
from include.ingest.acceptances import NotAccepted
from include.ingest.rebuild import NothingLoaded
from include.ingest.restore import VersionNotKept
from include.month import MonthError
from include.processes.drift import OtherRevision
from include.settings import SettingError
from include.source.availability import MonthUnavailable
from include.source.download import FileChanged
from include.source.etag_trigger import SourceNotAsked
from include.source.reader import FileContentError
from include.transform.dbt_log import DbtFailed

# The first that fits, by the class of the error.
BY_CLASS: tuple[tuple[type[BaseException], Entry], ...] = (
    (MonthError, MONTH),
    (MonthUnavailable, UNAVAILABLE),
    (FileContentError, LOAD),
    (VersionNotKept, UNDO),
    (NothingLoaded, LOAD),
    (NotAccepted, AUDIT),
    (SourceNotAsked, ASKED),
    (TaskDeferralTimeout, ASKED),
    (OtherRevision, REVISION),
    (SettingError, SETTING),
    (AirflowTaskTimeout, TIME),
    (requests.RequestException, SOURCE),
    (FileChanged, SOURCE),
)
# Else the first that fits the words of dbt or Postgres.
BY_WORDS = (
    (re.compile(r"stays as it was|audit_log\" does not exist"), REFUSED),
    (re.compile(r"the run schema was dropped"), DROPPED),
)


def entry_of(error: BaseException, dag_id: str, task_id: str) -> Entry:
    """The entry for the error that a task failed with."""
    if found := next((entry for kind, entry in BY_CLASS if isinstance(error, kind)), None):
        return found
    if isinstance(error, AirflowRuntimeError) and error.error.error is ErrorType.API_SERVER_ERROR:
        return API_SERVER
    if isinstance(error, CosmosDbtRunError | psycopg.Error):
        return _of_postgres(error, task_id)
    return REPORT if (dataset := dataset_of(dag_id)) and dataset.report_dag_id == dag_id else OTHER


def _of_postgres(error: BaseException, task_id: str) -> Entry:
    nodes = error.nodes if isinstance(error, DbtFailed) else ()
    if any(each.rows is not None for each in nodes):  # an audit's words are its author's
        return PUBLISHED_TEST if task_id.startswith("publish.") else AUDIT
    words = str(error)
    if found := next((entry for pattern, entry in BY_WORDS if pattern.search(words)), None):
        return found
    if answer := answer_of(error):
        return answer.entry
    return MODEL if isinstance(error, CosmosDbtRunError) else OTHER
