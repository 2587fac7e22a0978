"""Arrow values in a form that JSON and Postgres' jsonb can hold.

docs/explanation/decisions/extra-columns.md lists it by type.
"""

from __future__ import annotations

import base64
import json
import math
from typing import Any

import pyarrow as pa


def as_json(columns: dict[str, pa.Array], rows: int) -> pa.Array:
    """A JSON object for each row, with the columns' values by name; null for each where there are no columns."""
    if not columns:
        return pa.nulls(rows, pa.json_())
    values = {jsonb_key(name): json_values(column) for name, column in columns.items()}
    return pa.array(
        [json.dumps(dict(zip(values, row, strict=True))) for row in zip(*values.values(), strict=True)], pa.json_()
    )


def jsonb_key(name: str) -> str:
    """The name as a key in jsonb, which cannot hold a NUL: it becomes the six characters \\u0000."""
    return name.replace("\0", "\\u0000")


def json_values(values: pa.Array) -> list[Any]:
    """Each value in a form that `json.dumps` writes as strict JSON, None for null."""
    type = values.type
    if isinstance(values, pa.ExtensionArray):
        return json_values(values.storage)
    if pa.types.is_dictionary(type):
        return json_values(values.dictionary_decode())
    if pa.types.is_null(type) or pa.types.is_boolean(type) or pa.types.is_integer(type):
        plain: list[Any] = values.to_pylist()
        return plain
    if pa.types.is_floating(type):
        return [_number(value) for value in values.to_pylist()]
    if pa.types.is_decimal(type):
        return _each(values.to_pylist(), str)
    if pa.types.is_string(type) or pa.types.is_large_string(type) or pa.types.is_string_view(type):
        # read as bytes: pyarrow has not checked that they are UTF-8
        return _each(values.cast(pa.large_string()).view(pa.large_binary()).to_pylist(), _text)
    if pa.types.is_struct(type):
        return _structs(values)
    if pa.types.is_map(type) or (pa.types.is_nested(type) and hasattr(type, "value_type")):  # lists of every kind
        return [None if not each.is_valid else json_values(each.values) for each in values]
    if pa.types.is_temporal(type):
        return _times(values)
    if pa.types.is_binary_view(type):
        values = values.cast(pa.large_binary())
        return _each(values.to_pylist(), _bytes)
    if pa.types.is_binary(type) or pa.types.is_large_binary(type) or pa.types.is_fixed_size_binary(type):
        return _each(values.to_pylist(), _bytes)
    return _each(values.to_pylist(), str)


def _each(values: list[Any], form: Any) -> list[Any]:
    return [None if value is None else form(value) for value in values]


def _number(value: float | None) -> float | str | None:
    """The number; NaN and the infinities, which JSON does not have, as text."""
    return value if value is None or math.isfinite(value) else str(float(value))


def _text(value: bytes) -> str | dict[str, str]:
    """The text; its bytes where it is not UTF-8, or holds a NUL, which jsonb cannot hold."""
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return _bytes(value)
    return _bytes(value) if "\0" in text else text


def _bytes(value: bytes) -> dict[str, str]:
    return {"base64": base64.b64encode(value).decode()}


def _structs(values: pa.StructArray) -> list[Any]:
    """An object for each struct; a list of pairs where two fields have the same name."""
    names = [jsonb_key(field.name) for field in values.type]
    columns = [json_values(column) for column in values.flatten()]
    rows = zip(*columns, strict=True) if columns else [()] * len(values)
    form = dict if len(set(names)) == len(names) else list
    return [
        form(zip(names, row, strict=True)) if valid else None
        for row, valid in zip(rows, values.is_valid().to_pylist(), strict=True)
    ]


def _times(values: pa.Array) -> list[Any]:
    """Arrow's text, without zeros at the end of a fraction. A timestamp with a time zone is in UTC and ends in Z."""
    type = values.type
    if pa.types.is_duration(type):
        return _each(values.cast(pa.int64()).to_pylist(), lambda count: f"{count} {type.unit}")
    if pa.types.is_interval(type):
        return _each(values.to_pylist(), lambda each: f"{each[0]} months {each[1]} days {each[2]} ns")
    suffix = ""
    if pa.types.is_timestamp(type) and type.tz:
        values, suffix = values.view(pa.int64()).view(pa.timestamp(type.unit)), "Z"
    return _each(values.cast(pa.string()).to_pylist(), lambda text: _without_zeros(text) + suffix)


def _without_zeros(text: str) -> str:
    return text.rstrip("0").rstrip(".") if "." in text else text
