"""Sequences that number a table's rows."""

from __future__ import annotations

from collections.abc import Sequence

from psycopg.sql import SQL, Identifier, Literal

from include.warehouse.session import Warehouse

SEQUENCE_OF = """
    select nspname, relname
    from pg_class
    join pg_namespace on pg_namespace.oid = relnamespace
    where pg_class.oid = case when to_regclass($1) is not null then pg_get_serial_sequence($1, $2)::regclass end
"""
# A sequence that is ahead stays: else it would give numbers again that a row had which is gone.
CATCH_UP = """
    select setval({sequence}, highest)
    from (select max({number}) as highest from ({numbers}) as highest_of_each) as numbers
    cross join {relation} as sequence
    where highest > last_value - case when is_called then 0 else 1 end
"""


def catch_up(warehouse: Warehouse, table: str, number: str, beside: Sequence[str] = ()) -> None:
    """Sets the sequence of the column `number` to the highest number that a row has, where it is behind.

    It is behind after logical replication, which copies no sequence, and after a restore of rows alone. `beside`:
    tables of the same schema with numbers of the same sequence. Does nothing where there is no such table. Raises
    psycopg.Error.
    """
    relation = Identifier(warehouse.schema, table).as_string()
    for sequence in warehouse.execute(SEQUENCE_OF, values=(relation, number)):
        highest = [
            SQL("select max({number}) as {number} from {table}").format(
                number=Identifier(number), table=Identifier(warehouse.schema, each)
            )
            for each in (table, *beside)
        ]
        warehouse.execute(
            CATCH_UP,
            sequence=Literal(Identifier(*sequence).as_string()),
            relation=Identifier(*sequence),
            number=Identifier(number),
            numbers=SQL(" union all ").join(highest),
        )
