"""Partition values: how keys become values, and values texts, folder names and SQL literals."""

import datetime as dt
import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from practicus_assets.errors import OutOfScope

_MAX_NAME_BYTES = 255  # of one folder name, on every common file system
_PLAIN_VALUE = re.compile(r"[A-Za-z0-9._~-]")
# in columns' names: what delta-rs refuses, takes for a folder within a folder, or reads as a URL's scheme
_ESCAPED_IN_NAME = re.compile(r"[\x00-\x1f\x7f/:]")
_SMALL_PARTS = 8  # so many parts of a batch, or more, are small
_NULL_FOLDER = "__HIVE_DEFAULT_PARTITION__"  # what readers of folder names take for null

Value = str | int | bool | dt.date | dt.datetime
Positions = np.ndarray[Any, np.dtype[np.int64]]


def can_partition(type_: pa.DataType) -> bool:
    """Return whether tables here can be partitioned by columns of a type."""
    return bool(
        pa.types.is_string(type_)
        or pa.types.is_integer(type_)
        or pa.types.is_boolean(type_)
        or pa.types.is_date(type_)
        or pa.types.is_timestamp(type_)
    )


def is_null(value: Value | None) -> bool:
    """Return whether some reader takes a partition value for null."""
    return value is None or value in ("", _NULL_FOLDER)


def parsed(key: str, type_: pa.DataType) -> Value:
    """Return the value of a column that a partition key stands for.

    Raises:
        ValueError: if it stands for none.

    """
    if is_null(key):
        raise ValueError("it would be read as null")
    if pa.types.is_string(type_):
        return key
    if pa.types.is_integer(type_):
        if not re.fullmatch(r"-?[0-9]+", key):
            raise ValueError("it is not an integer")
        pa.scalar(int(key), type_)
        return int(key)
    if pa.types.is_boolean(type_):
        if key.lower() not in {"true", "false"}:
            raise ValueError("it is neither true nor false")
        return key.lower() == "true"
    if pa.types.is_date(type_):
        return dt.date.fromisoformat(key)
    if pa.types.is_timestamp(type_):
        moment = dt.datetime.fromisoformat(key)
        if (moment.tzinfo is None) != (type_.tz is None):
            raise ValueError("one of both has a time zone and the other has none")
        return moment if type_.tz is None else moment.astimezone(dt.UTC)
    raise ValueError("Delta partitions here are strings, integers, booleans, dates or timestamps")


def serialized(value: Value) -> str:
    """Return a partition value as the Delta protocol writes it ("Partition Value Serialization")."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dt.datetime):
        if value.tzinfo is not None:  # a time without Z would be read in the time zone of a Spark session
            return value.astimezone(dt.UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
        return value.isoformat(sep=" ", timespec="microseconds")
    return value.isoformat() if isinstance(value, dt.date) else str(value)


def text_of(value: Value | None) -> str | None:
    """Return a partition value as an action of the log has it; None for null."""
    return serialized(value) if value is not None else None


def deserialized(text: str, type_: pa.DataType) -> Value:
    """Return the value that a partition value in the log stands for.

    Raises:
        ValueError: if it is none of the type.

    """
    if pa.types.is_timestamp(type_):
        moment = dt.datetime.fromisoformat(text)
        if type_.tz is None:
            return moment.replace(tzinfo=None)
        return moment.replace(tzinfo=moment.tzinfo or dt.UTC).astimezone(dt.UTC)
    return parsed(text, type_)


def folder(column: str, value: Value) -> str:
    """Return the name of a partition's folder, as delta-rs names it: `day=2013-07-04`.

    Values are escaped, and columns are not: polars and others look for a column by its folder's name.

    Raises:
        OutOfScope: if the name would be longer than a file system takes.

    """
    column_text = _ESCAPED_IN_NAME.sub(lambda match: _escaped(match[0]), column)
    text = "".join(c if _PLAIN_VALUE.match(c) else _escaped(c) for c in serialized(value))
    name = f"{column_text}={text}"
    size = len(name.encode())
    if size > _MAX_NAME_BYTES:
        raise OutOfScope(
            f"a value of partition column {column!r} makes a folder name of {size} bytes, "
            f"and file systems take {_MAX_NAME_BYTES}.",
            "Partition by a shorter value.",
            f"It begins with {str(value)[:40]!r}.",
        )
    return name


def _escaped(character: str) -> str:
    return "".join(f"%{byte:02X}" for byte in character.encode())


def split(batch: pa.RecordBatch, columns: Sequence[str]) -> Iterator[tuple[tuple[Any, ...], Positions]]:
    """Yield each distinct combination of partition values, and the positions of its rows in their order."""
    everything = np.arange(batch.num_rows)
    if not columns or not batch.num_rows:
        if batch.num_rows:
            yield (), everything
        return
    names = [str(i) for i in range(len(columns))]
    rows = pa.table([*map(batch.column, columns), everything], names=[*names, "rows"])
    groups = rows.group_by(names, use_threads=False).aggregate([("rows", "list")])
    for i in range(groups.num_rows):
        yield tuple(groups[name][i].as_py() for name in names), groups["rows_list"][i].values.to_numpy()


def taken(batch: pa.RecordBatch, positions: Positions) -> pa.RecordBatch:
    """Return rows of a batch; without a copy if they are in one piece, which is no small part of the batch.

    A small part would keep all of the batch in memory.
    """
    count = len(positions)
    if count and positions[-1] - positions[0] + 1 == count and count * _SMALL_PARTS >= batch.num_rows:
        return batch.slice(positions[0], count)
    return batch.take(pa.array(positions))


def identifier(column: str) -> str:
    """Return a column's name quoted for SQL."""
    return '"' + column.replace('"', '""') + '"'


def literal(value: Value, type_: pa.DataType) -> str:
    """Return a value as SQL."""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, int):
        return str(value)
    if isinstance(value, dt.datetime):
        cast = "arrow_cast('{}', 'Timestamp(Microsecond, {})')"
        zone = 'Some("UTC")' if type_.tz else "None"
        return cast.format(value.replace(tzinfo=None).isoformat(), zone)
    if isinstance(value, dt.date):
        return f"DATE '{value.isoformat()}'"
    return "'" + value.replace("'", "''") + "'"
