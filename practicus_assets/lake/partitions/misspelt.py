"""Misspelt partition columns: one that is filled in beside the column that was meant."""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from practicus_assets.errors import SchemaMismatch, did_you_mean
from practicus_assets.lake.partitions.values import serialized
from practicus_assets.wording import readable


class Misspelt:
    """Looks in rows for a column of a similar name that holds exactly what is filled in.

    Args:
        filled: the value that is filled in, by partition column.
        names: the names of the output's columns.
        starts: the beginning of the partition's window of time, by partition column that has one.

    """

    def __init__(
        self, filled: Mapping[str, pa.Scalar], names: Sequence[str], starts: Mapping[str, dt.datetime]
    ) -> None:
        self._filled = {column: value.as_py() for column, value in filled.items()}
        self._texts = {
            column: _texts(value) | (_texts_of_start(starts[column]) if column in starts else set())
            for column, value in self._filled.items()
        }
        self._values: dict[str, Any] = {}
        self._pairs = {(c, name) for c in filled for name in names if _is_near(c, name)}
        self._rows = 0

    def observe(self, rows: pa.RecordBatch) -> None:
        """Look at some rows."""
        self._rows += rows.num_rows
        self._pairs = {
            (column, name) for column, name in self._pairs if _holds(rows.column(name), self._texts[column])
        }
        for name in {name for _, name in self._pairs} if rows.num_rows else ():
            self._values[name] = rows.column(name)[0].as_py()

    def refuse(self) -> None:
        """Raise SchemaMismatch if a column was found, once all rows were seen."""
        for column, name in sorted(self._pairs if self._rows else ()):
            value = self._filled[column]
            if isinstance(value, str) and isinstance(self._values[name], dt.date):
                value = self._values[name]  # an hour is not written like its partition's key
            raise SchemaMismatch(
                f"the output has no partition column {column!r}, and each row of its column {name!r} has "
                f"{readable(value)}, which is the partition.",
                f"Did you mean partition_by={name!r}? If both are meant, return {column!r} as well.",
            )


def _is_near(column: str, name: str) -> bool:
    """Return whether one is a misspelling of the other; `run_day` is none of `day`, but says more."""
    words = [set(text.lower().replace("-", "_").split("_")) for text in (column, name)]
    return bool(did_you_mean(column, [name])) and not (words[0] < words[1] or words[1] < words[0])


def _holds(values: pa.Array, wanted: set[str]) -> bool:
    """Return whether each value can be written as one of the wanted texts, whatever its type."""
    if pa.types.is_nested(values.type) or values.null_count:
        return False
    distinct = pc.unique(values)
    if len(distinct) > 1:
        return False
    return all(bool(_texts(value) & wanted) for value in distinct.to_pylist())


def _texts(value: object) -> set[str]:
    """Return the texts that a value can be written as, the day among them for a midnight."""
    texts = {str(value)}
    if isinstance(value, dt.date):
        texts |= {serialized(value), value.isoformat()}
    if isinstance(value, dt.datetime) and value.time() == dt.time():
        texts.add(value.date().isoformat())
    return texts


def _texts_of_start(start: dt.datetime) -> set[str]:
    """Return the texts of a window's beginning, with its time zone and without."""
    local = start.replace(tzinfo=None)
    to_the_minute = {local.isoformat(sep=separator, timespec="minutes") for separator in "T "}
    return _texts(start) | _texts(local) | to_the_minute
