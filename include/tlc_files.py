"""What TLC's files hold: one declared schema for each table, and the safe casts that lead to it.

TLC's own types drift (ids int64 until 2023-01 and int32 after, codes double or int64, columns of null type,
timestamps as text in re-encoded files), so every batch is cast to the declared type or refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from include.download import Download
from include.json_values import as_json
from include.month import Month

TIMES = pa.timestamp("us")  # New York wall clock, as TLC writes it
NAIVE_TIMES = tuple(pa.timestamp(unit) for unit in ("s", "ms", "us", "ns"))
# Postgres' first timestamp, 4714-11-24 BC, in microseconds since 1970. Its last, in 294276, is later than Arrow's last.
FIRST_TIME = pa.scalar(-210_866_803_200_000_000, pa.int64()).cast(TIMES)
TEXT = (pa.string(), pa.large_string(), pa.string_view())
MONEY = pa.float64()  # as in the file; dbt turns it into numeric, which sums exactly in any order

TRIP_COLUMNS = pa.schema(
    [
        ("vendorid", pa.int32()),
        ("lpep_pickup_datetime", TIMES),
        ("lpep_dropoff_datetime", TIMES),
        ("store_and_fwd_flag", pa.string()),
        ("ratecodeid", pa.int32()),
        ("pulocationid", pa.int32()),
        ("dolocationid", pa.int32()),
        ("passenger_count", pa.int32()),
        ("trip_distance", pa.float64()),
        ("fare_amount", MONEY),
        ("extra", MONEY),
        ("mta_tax", MONEY),
        ("tip_amount", MONEY),
        ("tolls_amount", MONEY),
        ("ehail_fee", MONEY),
        ("improvement_surcharge", MONEY),
        ("total_amount", MONEY),
        ("payment_type", pa.int32()),
        ("trip_type", pa.int32()),
        ("congestion_surcharge", MONEY),
        ("cbd_congestion_fee", MONEY),
    ]
)
# ehail_fee has never held a value; cbd_congestion_fee came with 2025
OPTIONAL_TRIP_COLUMNS = frozenset({"ehail_fee", "cbd_congestion_fee"})

# Beside the file's columns. Columns this project does not know are kept in extra_columns
# (`extra` is one of TLC's own: the miscellaneous surcharges).
RAW_TRIPS = pa.schema(
    [
        *TRIP_COLUMNS,
        ("source_month", pa.date32()),
        ("source_row", pa.int32()),
        ("extra_columns", pa.json_()),
    ]
)

ZONE_COLUMNS = pa.schema(
    [("locationid", pa.int32()), ("borough", pa.string()), ("zone", pa.string()), ("service_zone", pa.string())]
)
RAW_ZONES = pa.schema([*ZONE_COLUMNS, ("extra_columns", pa.json_())])

# Rows decoded, cast and sent at a time: memory does not grow with the file, and the server takes in one batch while
# the next is decoded. A month of 56,551 rows took 0.32 s with 4,096, 8,192 or 16,384 of them, and 0.38 s with 65,536.
BATCH_ROWS = 16_384


class FileContentError(Exception):
    """A file does not hold what it should. The message names file and column, and the row where there is one."""


@dataclass(frozen=True)
class Table:
    """One file's rows, in the declared schema, read as they are consumed."""

    rows: int
    unknown_columns: tuple[str, ...]
    schema: pa.Schema
    batches: Iterator[pa.RecordBatch]


def read_trips(file: Download, month: Month) -> Table:
    """The trips of one month's parquet file, numbered from 1 in the file's order (nothing else identifies a row).

    Raises FileContentError for what is not parquet, has no row, lacks a column or has one of another kind.
    The batches raise it too, for a value that cannot be cast, or that Postgres cannot hold.
    """
    try:
        # without these two the reader keeps whole row groups in memory, and a file of TLC's is one row group
        parquet = pa.parquet.ParquetFile(file.file, pre_buffer=False, buffer_size=2**16)
        found = parquet.schema_arrow
    except UnicodeDecodeError as error:
        raise FileContentError(f"{file.url} has a column whose name is not UTF-8: {error.object!r}") from error
    except (pa.ArrowInvalid, OSError) as error:
        file.file.seek(0)
        head = file.file.read(40)
        raise FileContentError(
            f"{file.url} is not a complete parquet file ({file.bytes:,} bytes, Content-Type {file.content_type}, "
            f"begins with {head!r}): {error}. If TLC's own copy opens, clear this task; otherwise wait for TLC."
        ) from error
    if parquet.metadata.num_rows == 0:
        raise FileContentError(f"{file.url} holds no rows. A month without trips is not plausible: ask TLC.")

    unknown = _unknown_columns(file, found, TRIP_COLUMNS, OPTIONAL_TRIP_COLUMNS)

    def batches() -> Iterator[pa.RecordBatch]:
        done = 0
        for batch in _whole(file, parquet.iter_batches(BATCH_ROWS)):
            given, rows = _lower_cased(batch), batch.num_rows
            columns = [_cast(file, field, given.get(field.name), rows, done) for field in TRIP_COLUMNS]
            source_month = pa.repeat(pa.scalar(month.first_day, pa.date32()), rows)
            source_row = pa.arange(done + 1, done + rows + 1).cast(pa.int32())
            extra_columns = as_json({name: given[name] for name in unknown}, rows)
            yield pa.record_batch([*columns, source_month, source_row, extra_columns], schema=RAW_TRIPS)
            done += rows

    return Table(parquet.metadata.num_rows, unknown, RAW_TRIPS, batches())


def read_zones(file: Download) -> Table:
    """The taxi zones of TLC's lookup table. `N/A` is text there, not a missing value."""
    try:
        table = pa.csv.read_csv(
            file.file,
            read_options=pa.csv.ReadOptions(use_threads=False),  # only so does an error name the row
            convert_options=pa.csv.ConvertOptions(null_values=[], strings_can_be_null=False),
        )
    except (pa.ArrowInvalid, OSError) as error:
        raise FileContentError(f"{file.url} is not the zone table in CSV ({file.content_type}): {error}") from error
    if table.num_rows == 0:
        raise FileContentError(f"{file.url} holds no zones")
    unknown = _unknown_columns(file, table.schema, ZONE_COLUMNS)

    def batches() -> Iterator[pa.RecordBatch]:
        done = 0
        for batch in table.to_batches():
            given, rows = _lower_cased(batch), batch.num_rows
            columns = [_cast(file, field, given[field.name], rows, done) for field in ZONE_COLUMNS]
            yield pa.record_batch([*columns, as_json({name: given[name] for name in unknown}, rows)], schema=RAW_ZONES)
            done += rows

    return Table(table.num_rows, unknown, RAW_ZONES, batches())


def _unknown_columns(
    file: Download, found: pa.Schema, declared: pa.Schema, optional: frozenset[str] = frozenset()
) -> tuple[str, ...]:
    """Names, lower-cased, that are not declared. Raises FileContentError where a declared one cannot be read."""
    columns = {field.name.lower(): field.type for field in found}
    if len(columns) < len(found):
        raise FileContentError(f"{file.url} names a column twice when lower-cased: {sorted(found.names)}")
    if missing := set(declared.names) - optional - set(columns):
        raise FileContentError(
            f"{file.url} lacks required column(s) {sorted(missing)}; it has {sorted(columns)}. "
            "If TLC renamed one, change the declared columns in include/tlc_files.py."
        )
    for field in declared:
        found_type = _plain(columns.get(field.name, field.type))
        # a cast would take a number for microseconds, and a time with a zone for another clock than New York's
        if field.type == TIMES and not (found_type in NAIVE_TIMES or found_type in TEXT):
            raise _type_error(file, field, found_type, "a time without zone, or text, is needed")
    return tuple(name for name in columns if name not in declared.names)


def _whole(file: Download, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    try:
        yield from batches
    except (pa.ArrowException, OSError) as error:
        raise FileContentError(f"{file.url} is damaged, though its end is there: {error}. Clear this task.") from error


def _lower_cased(batch: pa.RecordBatch) -> dict[str, pa.Array]:
    return {name.lower(): column for name, column in zip(batch.schema.names, batch.columns, strict=True)}


def _plain(type: pa.DataType) -> pa.DataType:
    """The type of the values, also where the column is dictionary-encoded."""
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
    """Raises pa.ArrowInvalid for what cannot be cast, and for what Postgres cannot hold."""
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if values.type in TEXT:
        values.validate(full=True)  # that it is UTF-8, which a cast does not look at
        values = values.cast(pa.large_string())  # the only type that a string view casts to
    cast = values.cast(declared, safe=True)
    if declared == pa.string():
        cast.validate(full=True)
        if pc.any(pc.match_substring(cast, "\0")).as_py():
            raise pa.ArrowInvalid("a NUL, which Postgres cannot hold in text")
    elif declared == TIMES and pc.any(pc.less(cast, FIRST_TIME)).as_py():
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
    [text] = as_json({"value": value}, 1).to_pylist()
    return text[len('{"value": ') : -1][:80]


def _type_error(file: Download, declared: pa.Field, found: pa.DataType, why: str) -> FileContentError:
    return FileContentError(
        f"{file.url}: column {declared.name} is {found} and cannot be cast to {declared.type}: {why}"
    )
