"""Writes the reports that a month which was published appears in."""

from __future__ import annotations

import psycopg

from include.datasets import Dataset
from include.month import Month, MonthError
from include.report.figures import MonthFigures, figures_of
from include.report.page import page_of
from include.report.store import replace_report

# Its own report, and those of the next month and of the same month a year later, which compare themselves with it.
APPEARS_IN = (0, 1, 12)


def write_reports(dataset: Dataset, month: Month, conninfo: str) -> list[str]:
    """Their addresses. Of the later months, those that are not published are left out.

    Of two runs that write the same report at once, the one that writes last has also read last. Raises MonthError where
    the month itself is not published; psycopg.Error; and OSError, or what the object store's client raises.
    """
    schema = dataset.published_schema()
    written = []
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        for each in (month.plus(later) for later in APPEARS_IN):
            lock = f"{schema}/report/{each}"
            connection.execute("select pg_advisory_lock(hashtextextended(%s, 0))", [lock])
            figures = _figures(connection, schema, each)
            if figures:
                written.append(replace_report(schema, each, page_of(dataset.title, figures)))
            elif each == month:
                raise MonthError(
                    f"{month} is not published in {schema}: load it with {dataset.dag_id}, then clear this task."
                )
            connection.execute("select pg_advisory_unlock(hashtextextended(%s, 0))", [lock])
    return written


def _figures(connection: psycopg.Connection, schema: str, month: Month) -> MonthFigures | None:
    try:
        with connection.transaction():
            return figures_of(connection, schema, month)
    except psycopg.errors.UndefinedTable:  # no month has been published in the schema yet
        return None
