"""Runs statements in a session with the warehouse."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import psycopg
import pyarrow as pa
from pgpq import ArrowToPostgresBinaryEncoder
from pgpq.encoders import StringEncoderBuilder
from pgpq.schema import Jsonb
from psycopg.sql import SQL, Composable, Identifier

from include.warehouse.partitions import schema_of_partitions

Result = TypeVar("Result")


class Warehouse:
    """One connection, one transaction at a time. Closing without commit() rolls back.

    Raises psycopg.Error with `sqlstate` for whatever Postgres refuses.
    """

    def __init__(self, conninfo: str, schema: str) -> None:
        self.schema = schema
        self.partitions = schema_of_partitions(schema)
        # no prepared statements: behind a pooler the next transaction may be in another session, which has none
        self._connection = psycopg.connect(conninfo, cursor_factory=psycopg.RawCursor, prepare_threshold=None)

    def __enter__(self) -> Warehouse:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def commit(self) -> None:
        self._connection.commit()

    def rollback(self) -> None:
        self._connection.rollback()

    def commit_unless_in_use(self, work: Callable[[], Result]) -> Result | None:
        """Does the work, commits it and returns its result. None, and nothing is done, if it waits 2 s for a lock."""
        try:
            self.execute("set local lock_timeout = '2s'")
            result = work()
            self.commit()
        except psycopg.Error as error:
            if error.sqlstate != "55P03":  # lock_not_available
                raise
            self.rollback()
            return None
        return result

    def execute(self, query: str, *, values: tuple[Any, ...] = (), **names: Composable) -> list[tuple[Any, ...]]:
        """Runs one statement and returns its rows. `{name}` stands for identifiers and literals, `$1` for values."""
        statement = SQL(query).format(schema=Identifier(self.schema), partitions=Identifier(self.partitions), **names)
        cursor = self._connection.execute(statement, values or None)
        return cursor.fetchall() if cursor.description else []

    def ingest(self, schema: str, table: str, columns: pa.Schema, batches: Iterable[pa.RecordBatch]) -> int:
        """Appends the batches, which have these columns, by binary COPY in the current transaction.

        Returns the number of rows. Raises what the iterator raises.
        """
        encoder, rows = _encoder(columns), 0
        copy = SQL("copy {} ({}) from stdin (format binary)").format(
            Identifier(schema, table), SQL(", ").join(map(Identifier, columns.names))
        )
        with self._connection.cursor() as cursor, cursor.copy(copy) as sending:
            sending.write(encoder.write_header())
            for batch in batches:
                sending.write(encoder.write_batch(_plain(batch)))
                rows += batch.num_rows
            sending.write(encoder.finish())
        return rows

    def lock(self, *what: str) -> None:
        """Takes the lock named by the published schema and `what`, until the transaction ends. Waits for it."""
        self.execute("select pg_advisory_xact_lock(hashtextextended($1, 0))", values=("/".join((self.schema, *what)),))

    def exists(self, schema: str, name: str) -> bool:
        found: bool
        [[found]] = self.execute(
            "select exists (select from pg_class where relnamespace = to_regnamespace($1) and relname = $2)",
            values=(schema, name),
        )
        return found


def _encoder(columns: pa.Schema) -> ArrowToPostgresBinaryEncoder:
    """The encoder of batches that went through `_plain`."""
    plain = pa.schema([field.with_type(_storage(field.type)) for field in columns])
    encoders = {
        field.name: StringEncoderBuilder.new_with_output(field, Jsonb())
        if columns.field(field.name).type == pa.json_()
        else ArrowToPostgresBinaryEncoder.infer_encoder(field)
        for field in plain
    }
    return ArrowToPostgresBinaryEncoder.new_with_encoders(plain, encoders)


def _plain(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The batch with Arrow's JSON as text: the encoder does not know JSON."""
    columns = [column.storage if isinstance(column, pa.ExtensionArray) else column for column in batch.columns]
    return pa.record_batch(columns, names=batch.schema.names)


def _storage(type: pa.DataType) -> pa.DataType:
    return type.storage_type if isinstance(type, pa.BaseExtensionType) else type
