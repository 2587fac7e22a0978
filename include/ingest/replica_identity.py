"""Lets every table of a published schema be replicated logically, with the rows that are deleted and changed.

Postgres refuses to delete or update a row of a table that a publication has, unless the table has a replica identity:
what tells a subscriber which row it was. A table's primary key is one. (docs/explanation/decisions/replication.md)
"""

from __future__ import annotations

import logging
from functools import partial

from psycopg.sql import Identifier

from include.warehouse.session import Warehouse

log = logging.getLogger(__name__)

# `d`: the primary key is to be the identity; `f`: all columns are. `i` and `n` are what somebody has chosen by hand:
# an index, or nothing. A partition without its table's identity would have its deletes sent in a form that the
# subscriber does not find. Tables of other owners are not the pipeline's.
WITHOUT_IDENTITY = """
    with tables as (
        select
            pg_class.oid, nspname, relname, relreplident, has_primary,
            coalesce(pg_partition_root(pg_class.oid), pg_class.oid) as whole,
            case relreplident when 'd' then has_primary when 'i' then has_chosen else false end as has_key
        from pg_class
        join pg_namespace on pg_namespace.oid = relnamespace
        cross join lateral (
            select
                coalesce(bool_or(indisprimary), false) as has_primary,
                coalesce(bool_or(indisreplident), false) as has_chosen
            from pg_index where indrelid = pg_class.oid
        ) as indexes
        where nspname in ($1, $2) and relkind in ('r', 'p') and relpersistence = 'p' and pg_has_role(relowner, 'usage')
    )
    select each.nspname, each.relname
    from tables as each
    join tables as whole on whole.oid = each.whole
    where (each.relreplident <> 'f' and not (each.has_key and whole.has_key))
        or (each.nspname = $1 and each.relname = 'load_log' and not each.has_primary)
    order by 1, 2
"""
# Two files that share a number, which a sequence that was behind has given twice. The later one gets a new number. So
# what was made of it and is not published yet is passed over, as after a newer load: that month is to be run again.
NUMBER_ANEW = """
    update {schema}.load_log set file_id = nextval(pg_get_serial_sequence($1, 'file_id'))
    where exists (
        select from {schema}.load_log as earlier
        where earlier.file_id = load_log.file_id
            and (earlier.loaded_at, earlier.table_name, earlier.ctid)
            < (load_log.loaded_at, load_log.table_name, load_log.ctid)
    )
    or exists (
        select from {schema}.kept_versions as kept
        where kept.file_id = load_log.file_id and kept.sha256 <> load_log.sha256
    )
    returning table_name, source_month::text, file_id
"""


def give_identities(warehouse: Warehouse) -> None:
    """Gives each table of the pipeline's that has no replica identity one, and commits after each.

    load_log gets its key, which an earlier revision did not make; every other table all its columns, which changes the
    catalogue alone. A table that somebody has been reading for 2 s is left
    for the next time, as its readers would have to wait. Raises psycopg.Error for other trouble.
    """
    found = warehouse.execute(WITHOUT_IDENTITY, values=(warehouse.schema, warehouse.partitions))
    warehouse.commit()
    for schema, table in found:
        if warehouse.commit_unless_in_use(partial(_give_identity, warehouse, schema, table)) is None:
            log.warning(
                "%s.%s has no replica identity, and is in use: it gets one at the next load. Until then, "
                "loads may fail where it is published to a subscriber",
                *(schema, table),
            )


def _give_identity(warehouse: Warehouse, schema: str, table: str) -> bool:
    relation = Identifier(schema, table)
    # first, as a table that is published refuses to be updated without
    warehouse.execute("alter table {relation} replica identity full", relation=relation)
    if (schema, table) == (warehouse.schema, "load_log"):
        for again in warehouse.execute(NUMBER_ANEW, values=(relation.as_string(),)):
            log.warning("The file of %s, month %s, had the number of another one in load_log, and is %s now", *again)
        warehouse.execute("alter table {relation} add primary key (file_id)", relation=relation)
        warehouse.execute("alter table {relation} replica identity default", relation=relation)
    return True
