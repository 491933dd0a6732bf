"""Frames: what authors return as streams of record batches, and streams as the frames they ask for."""

import importlib
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin

import pyarrow as pa

from practicus_assets.errors import DeclarationError, SchemaMismatch

BATCH_ROWS = 131_072
_EXHAUSTED = object()
_POLARS_ONLY = {"Int128", "UInt128", "Object"}


class RowSource(ABC):
    """Rows that are read from their beginning each time they are asked for."""

    @abstractmethod
    def scan(self) -> pa.RecordBatchReader:
        """Stream all rows."""


def record_batches(value: Any) -> pa.RecordBatchReader:
    """Return a value's rows as a stream.

    Args:
        value: a pandas DataFrame, a `pyarrow.Table`, a `Snapshot`, any object with `__arrow_c_stream__`
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
    if isinstance(value, RowSource):  # its stream through Arrow's C interface would lose the class of errors
        return value.scan()
    if "pandas" in sys.modules and isinstance(value, sys.modules["pandas"].DataFrame):
        from practicus_assets.lake.rows.pandas_frames import from_pandas  # noqa: PLC0415 pandas is slow to load

        value = from_pandas(value)
    if isinstance(value, pa.RecordBatch):
        value = pa.Table.from_batches([value])
    if isinstance(value, pa.Table):
        return value.to_reader(max_chunksize=BATCH_ROWS)
    if hasattr(value, "__arrow_c_stream__"):
        _refuse_polars_types(value)
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


def _refuse_polars_types(value: Any) -> None:
    """Raise SchemaMismatch for columns of a polars frame that Arrow has no type for.

    polars gives the addresses of Python objects as bytes.
    """
    if not type(value).__module__.startswith("polars.") or not hasattr(value, "schema"):
        return
    odd = [f"{name} ({dtype})" for name, dtype in value.schema.items() if _POLARS_ONLY & _dtypes(dtype)]
    if odd:
        raise SchemaMismatch(
            f"the columns {odd} are of types that Arrow does not have.",
            "Cast them: 128-bit integers to Decimal(38, 0), objects to what they hold.",
        )


def _dtypes(dtype: Any) -> set[str]:
    """Return the names of a polars dtype and of those inside of it."""
    inner = [getattr(dtype, name) for name in ("inner", "key", "value") if hasattr(dtype, name)]
    inner += [field.dtype for field in getattr(dtype, "fields", ())]
    return {str(dtype.base_type()), *(name for part in inner for name in _dtypes(part))}


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
    if annotation is pa.Table:
        return reader.read_all()
    if annotation is pa.RecordBatchReader:
        return reader
    module = getattr(annotation, "__module__", "")
    name = f"{module}.{getattr(annotation, '__qualname__', annotation)}"
    if annotation in (None, Any) or (name.startswith("pandas.") and name.endswith(".DataFrame")):
        from practicus_assets.lake.rows.pandas_frames import to_pandas  # noqa: PLC0415 pandas is slow to load

        return to_pandas(reader.read_all())
    if name.startswith("polars.") and annotation.__qualname__ in {"DataFrame", "LazyFrame"}:
        frame = importlib.import_module("polars").DataFrame(reader.read_all())
        return frame if annotation.__qualname__ == "DataFrame" else frame.lazy()
    raise DeclarationError(
        f"an input cannot be given as {name}.",
        "Annotate it as pd.DataFrame, pa.Table, pa.RecordBatchReader, Snapshot, pl.DataFrame or "
        "pl.LazyFrame.",
    )
