"""Writes the reports that a month which was published appears in."""

from __future__ import annotations

import psycopg

from include.datasets import Dataset
from include.month import Month
from include.report.figures import figures_of
from include.report.page import page_of
from include.report.store import replace_report

# Its own report, and those of the next month and of the same month a year later, which compare themselves with it.
APPEARS_IN = (0, 1, 12)


def write_reports(dataset: Dataset, month: Month, conninfo: str) -> list[str]:
    """Their addresses. Reports of months that are not published are left out. Raises psycopg.Error and OSError.

    Of two runs that write the same report at once, the one that writes last has also read last.
    """
    schema = dataset.published_schema()
    written = []
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        for each in (month.plus(later) for later in APPEARS_IN):
            lock = f"{schema}/report/{each}"
            connection.execute("select pg_advisory_lock(hashtextextended(%s, 0))", [lock])
            with connection.transaction():
                figures = figures_of(connection, schema, each)
            if figures:
                written.append(replace_report(schema, each, page_of(dataset.title, figures)))
            connection.execute("select pg_advisory_unlock(hashtextextended(%s, 0))", [lock])
    return written
