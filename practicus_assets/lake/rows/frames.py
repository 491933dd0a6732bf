"""Frames: what authors return as streams of record batches, and streams as the frames they ask for."""

import contextlib
import importlib
import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from practicus_assets.errors import DeclarationError, SchemaMismatch
from practicus_assets.lake.rows.annotations import without_none, written
from practicus_assets.lake.rows.chunks import BATCH_ROWS, fitted, naming_chunk, typed_as
from practicus_assets.lake.rows.polars_frames import from_lazy, is_lazy, refuse_polars_types
from practicus_assets.lake.rows.python_values import NO_COLUMNS, from_columns, from_dicts
from practicus_assets.wording import enumerated

_EXHAUSTED = object()


class RowSource(ABC):
    """Rows that are read from their beginning each time they are asked for."""

    @abstractmethod
    def scan(self) -> pa.RecordBatchReader:
        """Stream all rows."""


def record_batches(value: Any, declared: pa.Schema = NO_COLUMNS) -> pa.RecordBatchReader:
    """Return a value's rows as a stream.

    Args:
        value: a DataFrame of pandas or polars, a polars `LazyFrame` (streamed), a `pyarrow.Table`, a dataset
            of pyarrow, a `Snapshot`, any object with `__arrow_c_stream__` (a `pyarrow.RecordBatchReader`,
            DuckDB, arro3, …), a list of dicts, a dict of columns, or an iterable of chunks: of any of these
            but streams, or of rows that are dicts.
        declared: the columns of a contract. Python values, and chunks one by one, take their types.

    Raises:
        SchemaMismatch: if the value is no table, or its columns are not named one by one.

    """
    reader = _reader(value, declared)
    names = reader.schema.names
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise SchemaMismatch(
            f"the output has more than one column named {enumerated([*map(repr, doubled)])}.", "Rename them."
        )
    return reader


def polars_frame(reader: pa.RecordBatchReader) -> Any:
    """Return a stream as a polars DataFrame.

    Raises:
        DeclarationError: if polars is not installed.

    """
    try:
        polars = importlib.import_module("polars")
    except ImportError as error:
        raise DeclarationError(
            "polars is not installed.", "Install it: pip install 'practicus-assets[polars]'."
        ) from error
    return read_as(reader, polars.DataFrame)


def _reader(value: Any, declared: pa.Schema) -> pa.RecordBatchReader:
    value = _scanned(value)
    if isinstance(value, pa.RecordBatchReader):
        return value
    if isinstance(value, RowSource):  # its stream through Arrow's C interface would lose the class of errors
        return value.scan()
    table = _table(value, declared)
    if table is not None:
        return table.to_reader(max_chunksize=BATCH_ROWS)
    if is_lazy(value):
        return _from_chunks(from_lazy(value, BATCH_ROWS), declared)
    if hasattr(value, "__arrow_c_stream__"):
        refuse_polars_types(value)
        try:
            return pa.RecordBatchReader.from_stream(value)
        except pa.ArrowInvalid as error:
            raise _no_table(value) from error
    if isinstance(value, Iterable) and not isinstance(value, (str, bytes, Mapping, tuple, set, np.ndarray)):
        return _from_chunks(_with_rows_together(value), declared)
    raise _no_table(value)


def _scanned(value: Any) -> Any:
    """Return a dataset of pyarrow, or a scanner of one, as a stream; any other value as it is."""
    if "pyarrow.dataset" in sys.modules:
        dataset = sys.modules["pyarrow.dataset"]
        if isinstance(value, dataset.Dataset):
            value = value.scanner(batch_size=BATCH_ROWS)
        if isinstance(value, dataset.Scanner):
            value = pa.RecordBatchReader.from_batches(value.projected_schema, _read(value))
    return value


def _read(scanner: Any) -> Iterator[pa.RecordBatch]:
    try:
        yield from scanner.to_batches()
    except (pa.ArrowException, OSError) as error:
        raise SchemaMismatch(
            f"the dataset cannot be read: {type(error).__name__}.",
            "Its files must be there and have the columns and types of its schema.",
            f"pyarrow says: {str(error).splitlines()[0]}.",
        ) from error


def _table(value: Any, declared: pa.Schema) -> pa.Table | None:
    """Return a value that holds all its rows as a table; None for any other."""
    # another thread may be importing pandas just now, and then no value is of it
    pandas = sys.modules.get("pandas")
    if pandas is not None and hasattr(pandas, "DataFrame") and isinstance(value, pandas.DataFrame):
        from practicus_assets.lake.rows.pandas_frames import from_pandas  # noqa: PLC0415 pandas is slow to load

        return from_pandas(value)
    if isinstance(value, pa.Table):
        return value
    if isinstance(value, pa.RecordBatch):
        return pa.Table.from_batches([value])
    if isinstance(value, list) and value and all(isinstance(row, Mapping) for row in value):
        return from_dicts(value, declared)
    if isinstance(value, Mapping) and value:
        return from_columns(value, declared)
    return None


def _from_chunks(chunks: Iterable[Any], declared: pa.Schema) -> pa.RecordBatchReader:
    """Return chunks as one stream, whose columns are those of the first."""
    iterator = enumerate(chunks, start=1)
    _, first = next(iterator, (0, _EXHAUSTED))
    if first is _EXHAUSTED:
        return pa.RecordBatchReader.from_batches(NO_COLUMNS, [])
    chunk = _chunk(1, first, declared)
    schema = typed_as(chunk.schema, declared)

    def stream() -> Iterator[pa.RecordBatch]:
        first_row = chunk.num_rows
        yield from fitted(1, chunk, schema, 0).to_batches(max_chunksize=BATCH_ROWS)
        for number, item in iterator:
            table = _chunk(number, item, declared)
            yield from fitted(number, table, schema, first_row).to_batches(max_chunksize=BATCH_ROWS)
            first_row += table.num_rows

    return pa.RecordBatchReader.from_batches(schema, stream())


def _chunk(number: int, item: Any, declared: pa.Schema) -> pa.Table:
    """Return one chunk as a table."""
    with naming_chunk(number):
        table = _table(item, declared)
        if table is not None:
            return table
        if is_lazy(item):
            item = item.collect()
        refuse_polars_types(item)
        if hasattr(item, "__arrow_c_array__") and not hasattr(item, "__arrow_c_stream__"):
            return pa.Table.from_batches([pa.record_batch(item)])
        if hasattr(item, "__arrow_c_stream__") and not isinstance(item, pa.Array | pa.ChunkedArray):
            with contextlib.suppress(pa.ArrowInvalid):  # a column of its own, such as a Series
                return pa.RecordBatchReader.from_stream(item).read_all()
        raise SchemaMismatch(
            f"it is {_kind(item)}.", "Yield DataFrames, Arrow tables or record batches, or lists of dicts."
        )


def _with_rows_together(items: Iterable[Any]) -> Iterator[Any]:
    """Yield the items, but rows that come one by one, as dicts, as lists of many."""
    rows: list[Any] = []
    for item in items:
        if isinstance(item, Mapping):
            rows.append(item)
            if len(rows) == BATCH_ROWS:
                yield rows
                rows = []
            continue
        if rows:
            yield rows
            rows = []
        if not isinstance(item, list) or item:  # a list of no rows says nothing of the columns
            yield item
    if rows:
        yield rows


def _no_table(value: Any) -> SchemaMismatch:
    """Return the error for a value that is no table, with the line to write instead."""
    if value is None:
        return SchemaMismatch(
            "the function returned None.",
            "Return a table, or one without rows. Where None says that there is nothing new, annotate "
            "`-> pd.DataFrame | None`, or declare output_required=False; a @dg.asset that stores no table is "
            "annotated `-> None`.",
        )
    advice = (
        "Return a DataFrame, a LazyFrame, a pyarrow.Table, a RecordBatchReader, an object with "
        "__arrow_c_stream__, a list of dicts, or a generator of chunks."
    )
    if type(value).__name__ == "Series":
        advice = 'Write series.to_frame("name"), with the name of the column.'
    elif type(value) is tuple:
        advice = "Return one table; of several chunks, a list. (A comma at the end of a line makes a tuple.)"
    elif isinstance(value, str | os.PathLike):
        advice = f"To return what a file holds, read it: pl.scan_parquet({str(value)!r}), for one."
    elif isinstance(value, np.ndarray):
        advice = "Name its columns: pd.DataFrame(array, columns=[…])."
    elif isinstance(value, Mapping):
        advice = "For a table without rows, return [] or an empty DataFrame."
    elif isinstance(value, pa.Array | pa.ChunkedArray):
        advice = 'Name its column: pa.table({"name": array}).'
    return SchemaMismatch(f"the function returned {_kind(value)}, which is no table.", advice)


def _kind(value: Any) -> str:
    module = type(value).__module__
    name = type(value).__qualname__
    qualified = name if module == "builtins" else f"{module}.{name}"
    return f"an {qualified}" if qualified[0] in "aeiou" else f"a {qualified}"


def read_as(reader: pa.RecordBatchReader, annotation: Any) -> Any:
    """Return a stream as the type that a function's parameter asks for.

    Args:
        reader: the rows.
        annotation: `pd.DataFrame` (also where there is none), `pa.Table`, `pa.RecordBatchReader`,
            `pyarrow.dataset.Dataset` (in memory), `pl.DataFrame` or `pl.LazyFrame`.

    Raises:
        DeclarationError: for another type.

    """
    annotation = without_none(annotation)
    if annotation is pa.Table:
        return reader.read_all()
    if annotation is pa.RecordBatchReader:
        return reader
    module = getattr(annotation, "__module__", "")
    name = f"{module}.{getattr(annotation, '__qualname__', annotation)}"
    if annotation in (None, Any) or (name.startswith("pandas.") and name.endswith(".DataFrame")):
        from practicus_assets.lake.rows.pandas_frames import to_pandas  # noqa: PLC0415 pandas is slow to load

        return to_pandas(reader.read_all())
    if name == "pyarrow._dataset.Dataset":
        return importlib.import_module("pyarrow.dataset").dataset(reader.read_all())
    if name.startswith("polars.") and name.endswith((".DataFrame", ".LazyFrame")):
        frame = importlib.import_module("polars").DataFrame(reader.read_all())
        return frame if annotation.__qualname__ == "DataFrame" else frame.lazy()
    raise DeclarationError(
        f"an input cannot be given as {written(annotation)}.",
        "Annotate it as pd.DataFrame, pa.Table, pa.RecordBatchReader, Snapshot, pl.DataFrame or "
        "pl.LazyFrame; several partitions also as a mapping, such as dict[str, pl.DataFrame].",
    )


def is_no_table(data: Any) -> bool:
    """Return whether a value could hold no rows of any kind, such as a number or a text."""
    if isinstance(data, str | bytes | tuple | set | frozenset):
        return True
    readable_as = ("__arrow_c_stream__", "collect", "scanner", "to_batches", "scan")
    return not isinstance(data, Iterable) and not any(hasattr(data, name) for name in readable_as)
