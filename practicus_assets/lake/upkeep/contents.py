"""Contents: what a data file really holds, and where the log says otherwise."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from practicus_assets.lake.delta.data_file import DataFile
from practicus_assets.wording import number_of, readable

_TIME_STEP = timedelta(milliseconds=1)  # some writers cut bounds of times to it


class Contents:
    """What a file really holds: rows, and bounds and nulls of columns."""

    def __init__(self) -> None:
        self.rows = 0
        self.nulls: dict[str, int] = {}
        self.low: dict[str, Any] = {}
        self.high: dict[str, Any] = {}

    @classmethod
    def of_footer(cls, metadata: Any, schema: pa.Schema) -> "Contents":
        """Return what a Parquet file's footer says of its columns that are not nested."""
        actual = cls()
        actual.rows = metadata.num_rows
        incomplete: set[str] = set()
        for group in range(metadata.num_row_groups):
            for number in range(metadata.num_columns):
                column = metadata.row_group(group).column(number)
                name, statistics = column.path_in_schema, column.statistics
                if name not in schema.names or statistics is None or not statistics.has_null_count:
                    incomplete.add(name)
                    continue
                actual.nulls[name] = actual.nulls.get(name, 0) + statistics.null_count
                if statistics.has_min_max:
                    actual.widen(name, statistics.min, statistics.max)
        for name in incomplete:
            for part in (actual.nulls, actual.low, actual.high):
                part.pop(name, None)
        return actual

    def add(self, batch: pa.RecordBatch, file: DataFile) -> None:
        """Add rows; only columns for which the file has bounds or counts are looked at."""
        self.rows += batch.num_rows
        for name in file.nulls:
            if name in batch.schema.names:
                self.nulls[name] = self.nulls.get(name, 0) + batch.column(name).null_count
        for name in {*file.low, *file.high} & set(batch.schema.names):
            column = batch.column(name).drop_null()
            if pa.types.is_floating(column.type):
                column = column.filter(pc.invert(pc.is_nan(column)))
            if len(column):
                low, high = pc.min_max(column).values()
                self.widen(name, low.as_py(), high.as_py())

    def widen(self, name: str, low: Any, high: Any) -> None:
        """Let the bounds of a column hold two more values."""
        low, high = _zoned(low), _zoned(high)
        self.low[name] = min(self.low.get(name, low), low)
        self.high[name] = max(self.high.get(name, high), high)

    def wrong_rows(self, file: DataFile) -> str:
        """Return in words that the log has another number of rows; empty if it has not."""
        if file.rows is None or file.rows + file.deleted == self.rows:
            return ""
        return f"it has {number_of(self.rows, 'row')}, and the log says {file.rows + file.deleted:,}."

    def wrong_statistics(self, file: DataFile) -> str:
        """Return in words what statistics of the log are not true; bounds may be wider than the values."""
        wrong = [
            f"{name} has {number_of(self.nulls[name], 'null')}, not {count:,}"
            for name, count in file.nulls.items()
            if name in self.nulls and self.nulls[name] != count and not file.deleted
        ]
        wrong += [
            f"{name} has the value {readable(self.low[name])}, below {readable(low)}"
            for name, low in _comparable(file.low, self.low)
            if self.low[name] < low
        ]
        wrong += [
            f"{name} has the value {readable(self.high[name])}, above {readable(high)}"
            for name, high in _comparable(file.high, self.high)
            if self.high[name] > (high + _TIME_STEP if isinstance(high, datetime) else high)
        ]
        return (
            f"its statistics are not true, so that queries may miss rows: {'; '.join(wrong)}."
            if wrong
            else ""
        )


def _zoned(value: Any) -> Any:
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) and value.tzinfo is None else value


def _comparable(bounds: Mapping[str, Any], actual: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, bound in bounds.items():
        value = _zoned(bound)
        if name in actual and type(value) is type(actual[name]):
            yield name, value
