"""Nested values as JSON text, in which every number keeps all of its digits."""

import datetime as dt
import json
import math
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pyarrow as pa

from practicus_assets.errors import LossyValues, SchemaMismatch
from practicus_assets.lake.rows.types import is_list

_Text = Callable[[Any], str]


def json_texts(array: pa.Array, column: str) -> pa.Array:
    """Return lists, structs and maps as JSON text; nulls stay nulls.

    Times with zone are written in UTC. A map with text keys becomes an object.

    Raises:
        SchemaMismatch: for a type that JSON has no counterpart of.
        LossyValues: for NaN and infinities.

    """
    text = _writer(array.type, column)
    values = [None if value is None else text(value) for value in array.to_pylist(maps_as_pydicts=None)]
    return pa.array(values, pa.string())


def refuse_unwritable(type_: pa.DataType, column: str) -> None:
    """Raise SchemaMismatch for a nested type that JSON has no counterpart of."""
    _writer(type_, column)


def _writer(type_: pa.DataType, column: str) -> _Text:  # noqa: PLR0911 a table of types
    """Return a function that writes a value of a type."""
    if is_list(type_):
        element = _nullable(_writer(type_.value_type, f"{column}[]"))
        return lambda values: f"[{','.join(map(element, values))}]"
    if pa.types.is_struct(type_):
        parts = [
            (json.dumps(f.name), f.name, _nullable(_writer(f.type, f"{column}.{f.name}"))) for f in type_
        ]
        return lambda row: f"{{{','.join(f'{name}:{text(row[key])}' for name, key, text in parts)}}}"
    if pa.types.is_map(type_) and pa.types.is_string(type_.key_type):
        item = _nullable(_writer(type_.item_type, f"{column}.value"))
        return lambda pairs: f"{{{','.join(f'{_string(k, column)}:{item(v)}' for k, v in pairs)}}}"
    if pa.types.is_boolean(type_):
        return lambda value: "true" if value else "false"
    if pa.types.is_integer(type_):
        return str
    if pa.types.is_decimal(type_):
        return lambda value: f"{Decimal(value):f}"
    if pa.types.is_floating(type_):
        return lambda value: _finite(value, column)
    if pa.types.is_string(type_):
        return lambda value: _string(value, column)
    if pa.types.is_date(type_) or pa.types.is_timestamp(type_):
        return lambda value: json.dumps(_moment(value))
    raise SchemaMismatch(
        f"{column!r} is of type {type_}, which JSON has no counterpart of.",
        "Leave the column out with columns=, or convert it in the table.",
    )


def _nullable(text: _Text) -> _Text:
    return lambda value: "null" if value is None else text(value)


def _finite(value: float, column: str) -> str:
    if not math.isfinite(value):
        raise LossyValues(
            f"column {column!r} holds {value}, which JSON cannot.", "Make it null in the table."
        )
    return repr(value)


def _string(value: str, column: str) -> str:
    if "\0" in value:
        raise LossyValues(
            f"column {column!r} holds a text with the character \\0, which databases refuse in JSON.",
            "Remove it in the table.",
        )
    return json.dumps(value, ensure_ascii=False)


def _moment(value: dt.date) -> str:
    if isinstance(value, dt.datetime) and value.tzinfo is not None:
        return value.astimezone(dt.UTC).replace(tzinfo=None).isoformat() + "Z"
    return value.isoformat()
