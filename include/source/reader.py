"""Reads a file's rows, in the columns that include.datasets declares.

The files' types drift from month to month, so every batch is cast to the declared types, or refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from include.datasets import TIMES, SourceFile
from include.month import Month
from include.source.download import Download
from include.source.json_columns import as_json
from include.support.counted import counted

NAIVE_TIMES = tuple(pa.timestamp(unit) for unit in ("s", "ms", "us", "ns"))
# Postgres' first timestamp, 4714-11-24 BC, in microseconds since 1970. Its last, in 294276, is later than Arrow's last.
FIRST_TIME = -210_866_803_200_000_000
TEXT = (pa.string(), pa.large_string(), pa.string_view())

# Rows decoded, cast and sent at a time: memory does not grow with the file, and the server takes in one batch while
# the next is decoded. A month of 56,551 rows took 0.32 s with 4,096, 8,192 or 16,384 of them, and 0.38 s with 65,536.
BATCH_ROWS = 16_384
CSV_BLOCK_BYTES = 1024**2


class FileContentError(Exception):
    """A file does not hold what it should. The message names file and column, and the row where there is one."""


@dataclass(frozen=True)
class Table:
    """One file's rows, in the schema of its raw table, read as they are consumed."""

    unknown_columns: tuple[str, ...]
    schema: pa.Schema
    batches: Iterator[pa.RecordBatch]


def read_file(file: Download, declared: SourceFile, month: Month) -> Table:
    """The rows of one file. A monthly file's rows are numbered from 1, in its order: nothing else identifies a row.

    `month`: the month that is loaded. Raises FileContentError for a file that is not parquet, or CSV, holds no rows,
    lacks a column, or has a column of another kind. So do the batches, for a value that cannot be cast, or that
    Postgres cannot hold.
    """
    is_csv = declared.path.endswith(".csv")
    found, batches = (_open_csv if is_csv else _open_parquet)(file)
    unknown = _unknown_columns(file, found, declared, month)

    def cast() -> Iterator[pa.RecordBatch]:
        done = 0
        for batch in _whole(file, batches):
            given, rows = _lower_cased(batch), batch.num_rows
            columns = []
            for field in declared.columns:
                values = given.get(field.name)
                if is_csv and values is not None and field.type != pa.string():
                    values = pc.if_else(pc.equal(values, ""), None, values)
                columns.append(_cast(file, field, values, rows, done))
                if field.name in declared.never_null and columns[-1].null_count:
                    row = done + columns[-1].is_null().index(True).as_py() + 1
                    raise FileContentError(f"{file.url}: column {field.name} has no value in row {row}, and needs one")
            if declared.is_monthly:
                columns.append(pa.repeat(pa.scalar(month.first_day, pa.date32()), rows))
                columns.append(pa.arange(done + 1, done + rows + 1).cast(pa.int32()))
            columns.append(as_json({name: given[name] for name in unknown}, rows))
            yield pa.record_batch(columns, schema=declared.raw_columns)
            done += rows

    return Table(unknown, declared.raw_columns, cast())


def _open_parquet(file: Download) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    try:
        # else the reader keeps whole row groups in memory, and a file of TLC's is one row group
        parquet = pa.parquet.ParquetFile(file.file, pre_buffer=False, buffer_size=2**16)
        found = parquet.schema_arrow
    except UnicodeDecodeError as error:
        raise FileContentError(f"{file.url} has a column whose name is not UTF-8: {error.object!r}") from error
    except (pa.ArrowInvalid, OSError) as error:
        file.file.seek(0)
        head = file.file.read(40)
        raise FileContentError(
            f"{file.url} is not a complete parquet file ({counted(file.bytes, 'byte')}, Content-Type "
            f"{file.content_type}, begins with {head!r}): {str(error).rstrip('.')}. If the source's own copy "
            "opens, clear this task; otherwise wait for it."
        ) from error
    if parquet.metadata.num_rows == 0:
        raise _no_rows(file)
    return found, parquet.iter_batches(BATCH_ROWS)


def _open_csv(file: Download) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    """Every column as text, as it is written: `N/A` is text, and so is an empty field."""
    read = pa.csv.ReadOptions(use_threads=False, block_size=CSV_BLOCK_BYTES)  # with threads no error names the row
    try:
        names = pa.csv.open_csv(file.file, read_options=read).schema.names
        file.file.seek(0)
        # text that is not UTF-8 is refused by the cast, or kept in extra_columns
        text = pa.csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False, check_utf8=False
        )
        batches = pa.csv.open_csv(file.file, read_options=read, convert_options=text)
        first = batches.read_next_batch()
    except StopIteration:
        raise _no_rows(file) from None
    except (pa.ArrowInvalid, OSError) as error:
        raise FileContentError(f"{file.url} is not a table in CSV ({file.content_type}): {error}") from error
    if first.num_rows == 0:
        raise _no_rows(file)
    return batches.schema, chain([first], batches)


def _no_rows(file: Download) -> FileContentError:
    return FileContentError(f"{file.url} holds no rows, which is not plausible. Ask its publisher.")


def _unknown_columns(file: Download, found: pa.Schema, declared: SourceFile, month: Month) -> tuple[str, ...]:
    """Lower-cased names of undeclared columns. Raises FileContentError where a declared column cannot be read."""
    columns = {field.name.lower(): field.type for field in found}
    if len(columns) < len(found):
        raise FileContentError(f"{file.url} names a column twice when lower-cased: {sorted(found.names)}")
    if missing := declared.required_columns(month) - set(columns):
        raise FileContentError(
            f"{file.url} lacks required column(s) {sorted(missing)}; it has {sorted(columns)}. "
            "If the source renamed one, change the declared columns in include/datasets.py."
        )
    for field in declared.columns:
        found_type = _plain(columns.get(field.name, field.type))
        # a cast would read a number as microseconds, and a time with a time zone by another clock than New York's
        if field.type == TIMES and not (found_type in NAIVE_TIMES or found_type in TEXT):
            raise _type_error(file, field, found_type, "a time without time zone, or text, is needed")
    return tuple(name for name in columns if name not in declared.columns.names)


def _whole(file: Download, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    try:
        yield from batches
    except (pa.ArrowException, OSError) as error:
        raise FileContentError(f"{file.url} is damaged, though its end is there: {error}. Clear this task.") from error


def _lower_cased(batch: pa.RecordBatch) -> dict[str, pa.Array]:
    return {name.lower(): column for name, column in zip(batch.schema.names, batch.columns, strict=True)}


def _plain(type: pa.DataType) -> pa.DataType:
    """The type of the values, of a dictionary-encoded column too."""
    return type.value_type if pa.types.is_dictionary(type) else type


def _cast(file: Download, field: pa.Field, values: pa.Array | None, rows: int, before: int) -> pa.Array:
    """The values in the declared type. Raises FileContentError with the first row at fault, counted from `before`."""
    if values is None:
        return pa.nulls(rows, field.type)
    try:
        return _cast_whole(values, field.type)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        row, why = _first_refused(values, field.type) or (None, str(error))
        at = f" (row {before + row + 1}: {_shown(values.slice(row, 1))})" if row is not None else ""
        raise _type_error(file, field, values.type, f"{why}{at}") from error


def _cast_whole(values: pa.Array, declared: pa.DataType) -> pa.Array:
    """Raises pa.ArrowInvalid for a value that cannot be cast, or that Postgres cannot hold."""
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if values.type in TEXT:
        values.validate(full=True)  # as UTF-8, which a cast does not check
        values = values.cast(pa.large_string())  # the only type that a string view casts to
    cast = values.cast(declared, safe=True)
    if declared == pa.string():
        cast.validate(full=True)
        if pc.any(pc.match_substring(cast, "\0")).as_py():
            raise pa.ArrowInvalid("a NUL, which Postgres cannot hold in text")
    elif declared == TIMES and pc.any(pc.less(cast, pa.scalar(FIRST_TIME, TIMES))).as_py():
        raise pa.ArrowInvalid("a time before 4713 BC, which Postgres cannot hold")
    return cast


def _first_refused(values: pa.Array, declared: pa.DataType) -> tuple[int, str] | None:
    for row in range(len(values)):
        try:
            _cast_whole(values.slice(row, 1), declared)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            return row, str(error)
    return None


def _shown(value: pa.Array) -> str:
    text: str
    [text] = as_json({"value": value}, 1).to_pylist()
    return text[len('{"value": ') : -1][:80]


def _type_error(file: Download, declared: pa.Field, found: pa.DataType, why: str) -> FileContentError:
    return FileContentError(
        f"{file.url}: column {declared.name} is {found} and cannot be cast to {declared.type}: {why}"
    )
