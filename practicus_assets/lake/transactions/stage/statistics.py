"""Statistics of a data file: how many nulls each column has, and between which values its others lie."""

import datetime as dt
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_INDEXED_COLUMNS = 32  # the default of delta.dataSkippingNumIndexedCols
_LONGEST_BOUND = 64  # characters; longer minima and maxima would bloat the log


class Statistics:
    """Per-file statistics (Delta protocol, "Per-file Statistics"): counts of nulls, minima and maxima.

    Left out are types whose bounds would not survive JSON, columns with a NaN, and long text.

    Args:
        schema: the columns of the file.

    """

    def __init__(self, schema: pa.Schema) -> None:
        flat = [f for f in schema if not pa.types.is_nested(f.type)][:_INDEXED_COLUMNS]
        self._nulls = {f.name: 0 for f in flat}
        self._bounds: dict[str, tuple[Any, Any]] = {}
        self._bounded = {f.name for f in flat if _has_bounds(f.type)}

    def another(self) -> "Statistics":
        """Return statistics of another file of the same columns, of which no row was seen."""
        another = Statistics.__new__(Statistics)
        another._nulls = dict.fromkeys(self._nulls, 0)  # noqa: SLF001 of the same class
        another._bounds, another._bounded = {}, set(self._bounded)  # noqa: SLF001
        return another

    def add(self, batch: pa.RecordBatch) -> None:
        """Add rows of the file, which have its columns among theirs."""
        for name in self._nulls:
            self.add_column(name, batch.column(name))

    def add_column(self, name: str, column: pa.Array) -> None:
        """Add one column of rows of the file."""
        if name not in self._nulls:
            return
        self._nulls[name] += column.null_count
        if name not in self._bounded or column.null_count == len(column):
            return
        if pa.types.is_floating(column.type) and not _is_finite(column):
            self._bounded.discard(name)
            return
        if pa.types.is_dictionary(column.type):  # it may have values that no row of these has
            column = column.dictionary.take(column.indices.unique().drop_null())
        low, high = pc.min_max(column).values()
        try:
            self._widen(name, low.as_py(), high.as_py())
        except (ValueError, OverflowError):  # a time that Python does not know, such as the year 10000
            self._bounded.discard(name)

    def add_bounds(self, name: str, low: Any, high: Any) -> None:
        """Add one column of rows of the file by its bounds; it has no null."""
        if name not in self._bounded:
            return
        if isinstance(low, float) and not (math.isfinite(low) and math.isfinite(high)):  # a NaN is both
            self._bounded.discard(name)
        else:
            self._widen(name, low, high)

    def merge(self, further: "Statistics") -> None:
        """Add rows of the file that others were made of, for the same columns."""
        for name, count in further._nulls.items():  # noqa: SLF001 of the same class
            self._nulls[name] += count
        self._bounded &= further._bounded  # noqa: SLF001
        for name, bounds in further._bounds.items():  # noqa: SLF001
            self._widen(name, *bounds)

    def _widen(self, name: str, low: Any, high: Any) -> None:
        known = self._bounds.get(name)
        self._bounds[name] = (min(known[0], low), max(known[1], high)) if known else (low, high)

    def result(self, rows: int) -> dict[str, Any]:
        """Return the statistics of a file of so many rows, as the log has them."""
        low: dict[str, Any] = {}
        high: dict[str, Any] = {}
        for name, bounds in self._bounds.items():
            if name in self._bounded:
                texts = _bound(bounds[0], -0.0), _bound(bounds[1], 0.0)
                if not any(isinstance(text, str) and len(text) > _LONGEST_BOUND for text in texts):
                    low[name], high[name] = texts
        return {"numRecords": rows, "minValues": low, "maxValues": high, "nullCount": self._nulls}


def add_each(files: Sequence[Statistics], batch: pa.RecordBatch, lengths: Sequence[int]) -> None:
    """Add rows of several files to the statistics of each, in less time than one after the other takes.

    Args:
        files: the statistics of files of the same columns.
        batch: the rows of all of them, one file's after the other's.
        lengths: how many rows of each there are.

    """
    starts = np.append(0, np.cumsum(lengths))
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        bounds = _bounds_of_each(column, starts[:-1]) if len(files) > 1 and min(lengths) else None
        if bounds is not None:
            for file, low, high in zip(files, *bounds, strict=True):
                file.add_bounds(name, low, high)
        else:
            for file, start, length in zip(files, starts.tolist(), lengths, strict=False):
                file.add_column(name, column.slice(start, length))


def _bounds_of_each(column: pa.Array, starts: Any) -> tuple[Sequence[Any], Sequence[Any]] | None:
    """Return the minima and the maxima of the pieces that begin at some rows; None if each is to be asked."""
    type_, values = column.type, None
    if column.null_count:
        return None
    if pa.types.is_dictionary(type_) and _has_bounds(type_.value_type):
        order = pc.sort_indices(column.dictionary)
        values = column.dictionary.take(order)
        words: Any = np.argsort(order.to_numpy()).take(column.indices.to_numpy())
    elif pa.types.is_integer(type_) or pa.types.is_floating(type_):
        words = column.to_numpy()
    elif pa.types.is_temporal(type_) and _has_bounds(type_):
        words = column.view(pa.int32() if pa.types.is_date32(type_) else pa.int64()).to_numpy()
    else:
        return None
    both = [pa.array(edge.reduceat(words, starts)) for edge in (np.minimum, np.maximum)]
    try:
        low, high = ((values.take(e) if values is not None else e.view(type_)).to_pylist() for e in both)
    except (ValueError, OverflowError):  # some file has a time that Python does not know
        return None
    return low, high


def _is_finite(column: pa.Array) -> bool:
    """Return whether there is neither a NaN nor an infinite number; a sum has it if there is one."""
    return math.isfinite(pc.sum(column).as_py()) or bool(pc.all(pc.is_finite(column)).as_py())


def _has_bounds(type_: pa.DataType) -> bool:
    return bool(
        pa.types.is_integer(type_)
        or pa.types.is_floating(type_)
        or pa.types.is_date(type_)
        or pa.types.is_timestamp(type_)
        or pa.types.is_string(type_)
    )


def _bound(value: Any, zero: float) -> Any:
    """Return a bound as JSON; of the two zeros the outer one, for some readers order them."""
    if isinstance(value, dt.datetime):
        text = value.replace(tzinfo=None).isoformat(timespec="microseconds")
        return text + "Z" if value.tzinfo else text
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, float) and value == 0:
        return zero
    return value
