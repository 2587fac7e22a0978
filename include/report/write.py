"""Writes the reports in which a published month appears."""

from __future__ import annotations

import psycopg
from psycopg.sql import SQL, Identifier

from include.datasets import Dataset
from include.month import Month, MonthError
from include.profiles.published import on, published_departures
from include.report.figures import figures_of
from include.report.page import page_of
from include.report.store import replace_report
from include.warehouse.partitions import partition_of, schema_of_partitions

# Its own report, and those of the next month and of the same month a year later, which compare themselves with it.
APPEARS_IN = (0, 1, 12)

# Of the partition of fct_months that holds the month's one row. The lock conflicts with itself, and with nothing that
# reads or writes rows. Only a table's lock takes no snapshot: `select pg_advisory_xact_lock(…)` would fix what the
# transaction sees before it has the lock. A session's lock would be held for ever behind a pooler in transaction mode,
# as the next statement may be in another session.
LOCK = SQL("lock table {} in share update exclusive mode")


def write_reports(dataset: Dataset, month: Month, conninfo: str) -> list[str]:
    """Returns the reports' addresses. A later month that is not published has no report.

    Of two runs that write the same report at once, the one that writes last has also read last. Raises MonthError where
    the month itself is not published; psycopg.Error; and OSError, or what the object store's client raises.
    """
    written = []
    # behind a pooler in transaction mode, another session may have a prepared statement of the same name
    with psycopg.connect(conninfo, autocommit=True, prepare_threshold=None) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        for each in (month.plus(later) for later in APPEARS_IN):
            if address := _write_report(connection, dataset, each):
                written.append(address)
            elif each == month:
                raise MonthError(
                    f"{month} is not published in {dataset.published_schema()}: load it with {dataset.dag_id}, then "
                    "clear this task."
                )
    return written


def _write_report(connection: psycopg.Connection, dataset: Dataset, month: Month) -> str | None:
    """Reads the figures and writes the page, in one transaction; None where the month is not published."""
    schema = dataset.published_schema()
    try:
        with connection.transaction():
            connection.execute(LOCK.format(Identifier(schema_of_partitions(schema), partition_of("fct_months", month))))
            if figures := figures_of(connection, schema, month):
                departures = published_departures(on(connection), dataset, schema, [month]).get(month, [])
                return replace_report(schema, month, page_of(dataset.title, figures, departures))
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
        pass  # the month, or any, was never published
    return None
