"""Drops old run schemas. They stay for a while after success, so that any model can be cleared alone."""

from __future__ import annotations

import logging
from datetime import timedelta

import adbc_driver_manager
from psycopg.sql import Identifier

from include.settings import seconds
from include.warehouse import Warehouse

log = logging.getLogger(__name__)

# Run schemas of months whose newest file is published, and was loaded at least so long ago. This spares a month that is
# running, as it was loaded a short while ago, and one that has failed, as its newest file is not published.
DROPPABLE = r"""
    select nspname from pg_namespace
    join {schema}.load_log on table_name = 'raw_trips'
        and nspname ~ ('^' || $1 || '_' || to_char(source_month, 'YYYYMMDD') || '(_[0-9a-f]{{8}})?$')
    join {schema}.fct_months using (source_month)
    where file_sha256 = sha256 and loaded_at < now() - $2 * interval '1 second'
    order by nspname
"""


def keep_for() -> timedelta:
    """How long a run schema stays after its month was loaded."""
    return seconds("RUN_SCHEMA_KEEP_SECONDS", timedelta(days=30))


def drop_run_schemas(conninfo: str, schema: str, older_than: timedelta) -> list[str]:
    """Drops the run schemas of published months that were loaded longer ago than that; returns their names.

    One that a task is using is left for the next time. Raises adbc_driver_manager.Error for other trouble.
    """
    with Warehouse(conninfo, schema) as warehouse:
        if not warehouse.exists(schema, "fct_months"):
            return []
        found = [name for (name,) in warehouse.execute(DROPPABLE, values=(schema, older_than.total_seconds()))]
        warehouse.commit()
        return [name for name in found if _drop(warehouse, name)]


def _drop(warehouse: Warehouse, name: str) -> bool:
    try:
        warehouse.execute("set local lock_timeout = '2s'")
        warehouse.execute("drop schema {name} cascade", name=Identifier(name))
        warehouse.commit()
    except adbc_driver_manager.Error as error:
        if error.sqlstate != "55P03":  # lock_not_available
            raise
        log.info("%s is in use; left for the next time", name)
        warehouse.rollback()
        return False
    log.info("dropped %s", name)
    return True
