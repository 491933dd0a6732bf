"""Statistics of a data file: how many nulls each column has, and between which values its others lie."""

import datetime as dt
import math
from typing import Any

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

    def add(self, batch: pa.RecordBatch) -> None:
        """Add rows of the file, which have its columns among theirs."""
        for name in self._nulls:
            column = batch.column(name)
            self._nulls[name] += column.null_count
            if name not in self._bounded or column.null_count == len(column):
                continue
            if pa.types.is_floating(column.type) and not _is_finite(column):
                self._bounded.discard(name)
                continue
            if pa.types.is_dictionary(column.type):  # it may have values that no row of these has
                column = column.dictionary.take(column.indices.unique().drop_null())
            low, high = pc.min_max(column).values()
            try:
                low, high = low.as_py(), high.as_py()
            except (ValueError, OverflowError):  # a time that Python does not know, such as the year 10000
                self._bounded.discard(name)
                continue
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
