"""Drops old run schemas. They stay for a while after success, so that any model can be cleared alone."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import timedelta

from psycopg.sql import SQL, Composable, Identifier

from include.datasets import Dataset
from include.warehouse.session import Warehouse

log = logging.getLogger(__name__)

# All run schemas, their sizes in bytes, and whether each may be dropped: its month is published, and was loaded at
# least so long ago. The schema of a month that is running stays, as the month was loaded a short while ago.
RUN_SCHEMAS = r"""
    select
        nspname,
        (
            select coalesce(sum(pg_total_relation_size(oid)), 0)::bigint
            from pg_class where relnamespace = pg_namespace.oid and relkind = 'r'
        ),
        loaded_at < now() - $2 * interval '1 second' and {published}
    from pg_namespace
    join {schema}.load_log on source_month is not null
        and nspname ~ ('^' || $1 || '_' || to_char(source_month, 'YYYYMMDD') || '(_[0-9a-f]{{8}})?$')
    order by nspname
"""
# The schema of a month that has failed stays, as the month is not published with its newest file.
PUBLISHED = """
    exists (
        select from {schema}.{months}
        where {months}.source_month = load_log.source_month and {months}.file_sha256 = load_log.sha256
    )
"""


def drop_run_schemas(dataset: Dataset, conninfo: str, schema: str, older_than: timedelta) -> dict[str, int]:
    """Drops the run schemas of published months that were loaded longer ago. Returns their sizes in bytes, by name.

    A schema that a task is using stays until the next time. Raises psycopg.Error for other trouble.
    """
    with Warehouse(conninfo, schema) as warehouse:
        needed = filter(None, ("load_log", dataset.months_table))
        if not all(warehouse.exists(schema, table) for table in needed):
            return {}
        found = warehouse.execute(
            RUN_SCHEMAS, values=(schema, older_than.total_seconds()), published=_is_published(warehouse, dataset)
        )
        warehouse.commit()
        dropped = {name: size for name, size, droppable in found if droppable and _drop(warehouse, name)}
    stay = [size for name, size, _ in found if name not in dropped]
    log.info("dropped %s run schemas, %s MiB", len(dropped), _mebibytes(dropped.values()))
    log.info("%s run schemas stay, %s MiB", len(stay), _mebibytes(stay))
    return dropped


def _is_published(warehouse: Warehouse, dataset: Dataset) -> Composable:
    if not dataset.months_table:
        return SQL("true")
    return SQL(PUBLISHED).format(schema=Identifier(warehouse.schema), months=Identifier(dataset.months_table))


def _mebibytes(sizes: Iterable[int]) -> str:
    return f"{sum(sizes) / 2**20:,.0f}"


def _drop(warehouse: Warehouse, name: str) -> bool:
    done = warehouse.commit_unless_in_use(
        lambda: warehouse.execute("drop schema {name} cascade", name=Identifier(name))
    )
    log.info("dropped %s" if done is not None else "%s is in use; left for the next time", name)
    return done is not None
