"""Statistics of a data file: how many nulls each column has, and between which values its others lie."""

import datetime as dt
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
        self._bounds: dict[str, tuple[Any, Any] | None] = {}
        self._bounded = {f.name for f in flat if _has_bounds(f.type)}

    def add(self, batch: pa.RecordBatch) -> None:
        """Add rows of the file, which have its columns among theirs."""
        for name in self._nulls:
            column = batch.column(name)
            self._nulls[name] += column.null_count
            if name not in self._bounded or column.null_count == len(column):
                continue
            if pa.types.is_floating(column.type) and not pc.all(pc.is_finite(column)).as_py():
                self._bounded.discard(name)
                continue
            low, high = pc.min_max(column).values()
            try:
                low, high = low.as_py(), high.as_py()
            except (ValueError, OverflowError):  # a time that Python does not know, such as the year 10000
                self._bounded.discard(name)
                continue
            known = self._bounds.get(name)
            self._bounds[name] = (min(known[0], low), max(known[1], high)) if known else (low, high)

    def result(self, rows: int) -> dict[str, Any]:
        """Return the statistics of a file of so many rows, as the log has them."""
        low: dict[str, Any] = {}
        high: dict[str, Any] = {}
        for name, bounds in self._bounds.items():
            if name in self._bounded and bounds is not None:
                texts = _bound(bounds[0], -0.0), _bound(bounds[1], 0.0)
                if not any(isinstance(text, str) and len(text) > _LONGEST_BOUND for text in texts):
                    low[name], high[name] = texts
        return {"numRecords": rows, "minValues": low, "maxValues": high, "nullCount": self._nulls}


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
