"""Inferred contracts: what rows happen to keep, as a contract to begin with."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from practicus_assets.lake.contracts.column import Column
from practicus_assets.lake.contracts.type_text import type_source
from practicus_assets.lake.rows.frames import record_batches
from practicus_assets.lake.rows.types import stored_type

_MOST_KEPT = 2_000_000  # values of one column that is looked at as a key: some 16 to 100 MB


@dataclass(frozen=True)
class Inferred:
    """What rows happen to keep.

    Attributes:
        columns: their columns, NOT NULL where no null was seen.
        keys: the columns of which no two rows have the same value, and none has null.
        rows: how many rows were seen.

    """

    columns: dict[str, Column]
    keys: tuple[str, ...]
    rows: int


def inferred(rows: Any, seen: Callable[[int], None] = lambda _: None) -> Inferred:
    """Read rows once, and return what they keep.

    Args:
        rows: the rows, as any value that a table asset may return; a `Snapshot` is one.
        seen: a function that is called with the number of rows that were read.

    Raises:
        SchemaMismatch: if the rows are no table, or a column is of a type that Delta Lake cannot hold.

    """
    reader = record_batches(rows)
    nulls = dict.fromkeys(reader.schema.names, 0)
    keys = {field.name: _Key() for field in reader.schema if _may_be_key(field.type)}
    count = 0
    for batch in reader:
        count += batch.num_rows
        seen(count)
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            nulls[name] += column.null_count
            if name in keys and not keys[name].take(column):
                del keys[name]
    columns = {
        field.name: Column(
            type_source(_stored(field)), _comment(field), nullable=nulls[field.name] > 0 or not count
        )
        for field in reader.schema
    }
    unique = tuple(name for name, key in keys.items() if count > 1 and key.is_unique())
    return Inferred(columns, unique, count)


class _Key:
    """The values of a column that may tell rows apart."""

    def __init__(self) -> None:
        self._values: list[pa.Array] = []
        self._count = 0

    def take(self, values: pa.Array) -> bool:
        """Take further values; return False once the column cannot be a key, or is too long to know."""
        self._count += len(values)
        self._values.append(values)
        few = self._count <= _MOST_KEPT
        return few and not values.null_count and pc.count_distinct(values).as_py() == len(values)

    def is_unique(self) -> bool:
        """Return whether no two values are equal."""
        return bool(pc.count_distinct(pa.chunked_array(self._values)).as_py() == self._count)


def _may_be_key(type_: pa.DataType) -> bool:
    return bool(
        pa.types.is_integer(type_)
        or pa.types.is_string(type_)
        or pa.types.is_large_string(type_)
        or pa.types.is_date(type_)
        or pa.types.is_timestamp(type_)
    )


def _stored(field: pa.Field) -> pa.DataType:
    return stored_type(field.type, field.name)


def _comment(field: pa.Field) -> str:
    return str((field.metadata or {}).get(b"comment", b""), "utf-8", "replace")
