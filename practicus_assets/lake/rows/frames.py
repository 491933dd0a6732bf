"""Python values to streams of record batches, and back: what authors return, and what they are given."""

import datetime as dt
import importlib
from collections.abc import Iterable, Iterator, Mapping
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import numpy as np
import pandas as pd
import pyarrow as pa

from practicus_assets.errors import DeclarationError, SchemaMismatch

BATCH_ROWS = 131_072
_EXHAUSTED = object()


def record_batches(value: Any) -> pa.RecordBatchReader:
    """Return a value's rows as a stream.

    Args:
        value: a pandas DataFrame, a `pyarrow.Table`, any object with `__arrow_c_stream__`
            (a `pyarrow.RecordBatchReader`, polars, DuckDB, arro3, …), or an iterable of record batches.

    Raises:
        SchemaMismatch: if the value is no table, or its columns are not named one by one.

    """
    reader = _reader(value)
    names = reader.schema.names
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise SchemaMismatch(f"the output has more than one column named {doubled}.", "Rename them.")
    return reader


def _reader(value: Any) -> pa.RecordBatchReader:
    if isinstance(value, pa.RecordBatchReader):
        return value
    if isinstance(value, pd.DataFrame):
        value = _from_pandas(value)
    if isinstance(value, pa.RecordBatch):
        value = pa.Table.from_batches([value])
    if isinstance(value, pa.Table):
        return value.to_reader(max_chunksize=BATCH_ROWS)
    if hasattr(value, "__arrow_c_stream__"):
        try:
            return pa.RecordBatchReader.from_stream(value)
        except pa.ArrowInvalid as error:
            raise SchemaMismatch(
                f"the function returned no table: {error}.", "Return all its columns."
            ) from error
    if value is None:
        raise SchemaMismatch("the function returned None.", "Return a table, or one without rows.")
    if isinstance(value, Iterable) and not isinstance(value, (str, bytes, dict, tuple)):
        return _from_iterable(value)
    raise SchemaMismatch(
        f"the function returned {type(value).__module__}.{type(value).__qualname__}, which is no table.",
        "Return a DataFrame, a pyarrow.Table, a RecordBatchReader, an object with __arrow_c_stream__, "
        "or a generator of record batches.",
    )


def _from_pandas(frame: pd.DataFrame) -> pa.Table:
    """Return a DataFrame as Arrow; levels of the index become columns if they are named."""
    unnamed = [i for i, name in enumerate(frame.index.names) if name is None]
    taken = [name for name in frame.index.names if name is not None and name in frame.columns]
    if taken:
        raise SchemaMismatch(
            f"{taken} name levels of the index and columns, too.",
            "Rename one, or drop the level (reset_index).",
        )
    if len(unnamed) < frame.index.nlevels:
        frame = frame.reset_index(level=[i for i in range(frame.index.nlevels) if i not in unnamed])
    odd = [label for label in frame.columns if not isinstance(label, str)]
    if odd:
        raise SchemaMismatch(f"column labels {odd[:5]} are not strings.", "Rename the columns.")
    if frame.columns.has_duplicates:
        doubled = sorted(set(frame.columns[frame.columns.duplicated()]))
        raise SchemaMismatch(f"the output has more than one column named {doubled}.", "Rename them.")
    arrays = []
    for name in frame.columns:
        try:
            array = pa.array(frame[name], from_pandas=True)
            if frame[name].dtype == object:
                _refuse_mixed(frame[name], array.type)
            arrays.append(array)
        except (pa.ArrowException, OverflowError, TypeError, ValueError) as error:
            raise SchemaMismatch(
                f"column {name!r} of dtype {frame[name].dtype} is no Arrow column: {error}.",
                "Give all its values one type.",
            ) from error
    return pa.table(arrays, names=list(frame.columns))


def _refuse_mixed(values: Iterable[Any], type_: pa.DataType) -> None:  # noqa: C901 a table of mixtures
    """Raise ValueError for Python objects that pyarrow would change in silence to fit the type it chose."""
    is_date, is_timestamp = pa.types.is_date(type_), pa.types.is_timestamp(type_)
    if not (
        is_date
        or is_timestamp
        or pa.types.is_floating(type_)
        or pa.types.is_binary(type_)
        or pa.types.is_nested(type_)
    ):
        return
    for value in values:
        if value is None or value is pd.NaT:
            continue
        if is_date and isinstance(value, dt.datetime):
            raise ValueError(f"{value!r} is among dates")
        if is_timestamp and isinstance(value, dt.datetime) and (value.tzinfo is None) != (type_.tz is None):
            raise ValueError(f"{value!r} is among times of type {type_}")
        if is_timestamp and getattr(value, "nanosecond", 0):
            raise ValueError(f"{value!r} is finer than microseconds")
        if pa.types.is_binary(type_) and isinstance(value, str):
            raise ValueError(f"{value!r} is among bytes")
        if pa.types.is_floating(type_) and isinstance(value, bool | np.bool_):
            raise ValueError(f"{value!r} is among numbers")
        if isinstance(value, Mapping) and pa.types.is_struct(type_):
            for item in type_:
                _refuse_mixed([value.get(item.name)], item.type)
        elif pa.types.is_list(type_) and getattr(value, "dtype", None) in (None, np.dtype(object)):
            _refuse_mixed(value, type_.value_type)


def _from_iterable(batches: Iterable[Any]) -> pa.RecordBatchReader:
    iterator = iter(batches)
    first = next(iterator, _EXHAUSTED)
    if first is _EXHAUSTED:
        return pa.RecordBatchReader.from_batches(pa.schema([]), [])

    def stream(schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        yield from _batches_of(first)
        for number, item in enumerate(iterator, start=2):
            for batch in _batches_of(item):
                if not batch.schema.equals(schema):
                    raise SchemaMismatch(
                        f"batch {number} has the columns {_shown(batch.schema)}, the first {_shown(schema)}.",
                        "Give all batches one schema.",
                    )
                yield batch

    schema = first.schema if isinstance(first, pa.Table) else _batches_of(first)[0].schema
    return pa.RecordBatchReader.from_batches(schema, stream(schema))


def _batches_of(item: Any) -> list[pa.RecordBatch]:
    if isinstance(item, pa.RecordBatch):
        return [item]
    if isinstance(item, pa.Table):
        return list(item.to_batches(max_chunksize=BATCH_ROWS))
    if hasattr(item, "__arrow_c_array__"):
        return [pa.record_batch(item)]
    raise SchemaMismatch(
        f"the function yielded {type(item).__module__}.{type(item).__qualname__}.", "Yield record batches."
    )


def _shown(schema: pa.Schema) -> str:
    return "{" + ", ".join(f"{field.name}: {field.type}" for field in schema) + "}"


def shown(rows: pa.RecordBatch | pa.Table) -> list[dict[str, Any]]:
    """Return rows for people: values that Python has no object for, such as the year 10000, as text."""
    columns = []
    for column in rows.columns:
        try:
            columns.append(column.to_pylist())
        except (OverflowError, ValueError):
            columns.append(column.cast(pa.string()).to_pylist())
    return [dict(zip(rows.schema.names, values, strict=True)) for values in zip(*columns, strict=True)]


def read_as(reader: pa.RecordBatchReader, annotation: Any) -> Any:
    """Return a stream as the type that a function's parameter asks for.

    Args:
        reader: the rows.
        annotation: `pd.DataFrame` (also where there is none), `pa.Table`, `pa.RecordBatchReader`,
            `pl.DataFrame` or `pl.LazyFrame`.

    Raises:
        DeclarationError: for another type.

    """
    if get_origin(annotation) in (Union, UnionType):  # X | None is given as X
        [annotation, *others] = [kind for kind in get_args(annotation) if kind is not NoneType]
        annotation = tuple if others else annotation
    if annotation in (None, Any, pd.DataFrame):
        return _to_pandas(reader.read_all())
    if annotation is pa.Table:
        return reader.read_all()
    if annotation is pa.RecordBatchReader:
        return reader
    module = getattr(annotation, "__module__", "")
    name = f"{module}.{getattr(annotation, '__qualname__', annotation)}"
    if name.startswith("polars.") and annotation.__qualname__ in {"DataFrame", "LazyFrame"}:
        frame = importlib.import_module("polars").DataFrame(reader.read_all())
        return frame if annotation.__qualname__ == "DataFrame" else frame.lazy()
    raise DeclarationError(
        f"an input cannot be given as {name}.",
        "Annotate it as pd.DataFrame, pa.Table, pa.RecordBatchReader, Snapshot, pl.DataFrame or "
        "pl.LazyFrame.",
    )


def annotated(function: Any, parameter: str) -> Any:
    """Return the annotation of a function's parameter, resolved; None where there is none."""
    try:
        return get_type_hints(function).get(parameter)
    except (NameError, TypeError):
        return None


def _to_pandas(table: pa.Table) -> pd.DataFrame:
    """Return Arrow as a DataFrame; integers and booleans with nulls stay what they are (Int64, boolean)."""
    columns = {}
    for name, column in zip(table.column_names, table.columns, strict=True):
        nullable = _PANDAS_NULLABLE.get(column.type) if column.null_count else None
        columns[name] = column.to_pandas(types_mapper={column.type: nullable}.get if nullable else None)
    return pd.DataFrame(columns, index=pd.RangeIndex(table.num_rows), copy=False)


_PANDAS_NULLABLE = {
    pa.bool_(): pd.BooleanDtype(),
    pa.int8(): pd.Int8Dtype(),
    pa.int16(): pd.Int16Dtype(),
    pa.int32(): pd.Int32Dtype(),
    pa.int64(): pd.Int64Dtype(),
}
