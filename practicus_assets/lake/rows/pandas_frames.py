"""pandas DataFrames to Arrow tables and back, so that no value and no type changes on the way."""

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pandas.arrays import ArrowExtensionArray

from practicus_assets.errors import SchemaMismatch
from practicus_assets.lake.rows.python_values import misfit, refuse_mixed
from practicus_assets.wording import enumerated, names_of

_NULLABLE = {
    pa.bool_(): pd.BooleanDtype(),
    pa.int8(): pd.Int8Dtype(),
    pa.int16(): pd.Int16Dtype(),
    pa.int32(): pd.Int32Dtype(),
    pa.int64(): pd.Int64Dtype(),
}


class NestedDtype(pd.ArrowDtype):
    """The dtype of a column of structs, lists or maps; null is None."""

    @property
    def na_value(self) -> Any:
        """The value of a null."""
        return None

    def construct_array_type(self) -> type["NestedArray"]:
        """Return the class of a column's values."""
        return NestedArray


class NestedArray(ArrowExtensionArray):
    """Structs, lists or maps, backed by Arrow; each value is a dict, a list, or a list of pairs.

    pandas' own array makes NumPy values of them in `Series.map` and the like, and so a float of an integer
    that has a null beside it.
    """

    def __init__(self, values: pa.Array | pa.ChunkedArray) -> None:
        super().__init__(values)
        self._dtype = NestedDtype(values.type)

    def to_numpy(self, dtype: Any = None, copy: bool = False, na_value: Any = None) -> Any:  # noqa: ARG002, FBT001, FBT002 pandas' signature
        """Return the values as Python objects, each integer an int."""
        objects = np.fromiter(iter(self), dtype=object, count=len(self))
        return objects if dtype is None else objects.astype(dtype, copy=False)

    @classmethod
    def _replace_with_mask(cls, values: Any, mask: Any, replacements: Any) -> pa.ChunkedArray:
        """Return the values with others where the mask is true, as `Series.where` and `Series.mask` need."""
        if isinstance(replacements, pa.Array | pa.ChunkedArray):
            given = pa.chunked_array([replacements]) if isinstance(replacements, pa.Array) else replacements
        else:
            scalar = replacements.as_py() if isinstance(replacements, pa.Scalar) else replacements
            given = pa.chunked_array([pa.array([scalar], values.type)])
        chunks = values.chunks if isinstance(values, pa.ChunkedArray) else [values]
        positions = np.arange(len(values))
        chosen = np.broadcast_to(mask, len(values))
        positions[chosen] = len(values) + (np.arange(chosen.sum()) if len(given) > 1 else 0)
        return pa.chunked_array([*chunks, *given.cast(values.type).chunks]).take(pa.array(positions))

    def _from_pyarrow_array(self, pa_array: Any) -> ArrowExtensionArray:
        kind = NestedArray if pa.types.is_nested(pa_array.type) else ArrowExtensionArray
        return kind(pa_array)


def from_pandas(frame: pd.DataFrame) -> pa.Table:
    """Return a DataFrame as Arrow; levels of the index become columns if they are named.

    Raises:
        SchemaMismatch: if a column has no name of its own, or values that share no Arrow type.

    """
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
        raise SchemaMismatch(
            f"the {names_of('column label', odd[:5])} {'is' if len(odd) == 1 else 'are'} no text.",
            "Rename the columns.",
        )
    if frame.columns.has_duplicates:
        doubled = sorted(set(frame.columns[frame.columns.duplicated()]))
        raise SchemaMismatch(
            f"the output has more than one column named {enumerated([*map(repr, doubled)])}.", "Rename them."
        )
    return pa.table([_to_arrow(name, frame[name]) for name in frame.columns], names=list(frame.columns))


def _to_arrow(name: str, column: "pd.Series[Any]") -> pa.Array | pa.ChunkedArray:
    try:
        array = pa.array(column, from_pandas=True)
        if column.dtype == object:
            refuse_mixed(column, array.type)
    except (pa.ArrowException, OverflowError, TypeError, ValueError) as error:
        problem = f"column {name!r} of dtype {column.dtype} is no Arrow column"
        values = [None if null else value for value, null in zip(column, column.isna(), strict=True)]
        raise misfit(problem, values, error) from error
    return array


def to_pandas(table: pa.Table) -> pd.DataFrame:
    """Return Arrow as a DataFrame that `from_pandas` makes the same table of."""
    columns = {
        name: _to_series(column) for name, column in zip(table.column_names, table.columns, strict=True)
    }
    return pd.DataFrame(columns, index=pd.RangeIndex(table.num_rows), copy=False)


def _to_series(column: pa.ChunkedArray) -> "pd.Series[Any]":
    """Return a column as NumPy's or pandas' own dtype where that holds it exactly, else backed by Arrow."""
    if pa.types.is_nested(column.type):
        return pd.Series(NestedArray(column), copy=False)
    if _needs_arrow(column):
        return pd.Series(ArrowExtensionArray(column), copy=False)
    nullable = _NULLABLE.get(column.type) if column.null_count else None
    try:
        series: pd.Series[Any] = column.to_pandas(
            types_mapper={column.type: nullable}.get if nullable else None
        )
    except (OverflowError, ValueError):  # a date that Python does not have, such as one in the year 10000
        return pd.Series(ArrowExtensionArray(column), copy=False)
    return series


def _needs_arrow(column: pa.ChunkedArray) -> bool:
    """Return whether pandas would lose a decimal's digits, a NaN beside nulls, or a type without values."""
    if pa.types.is_floating(column.type):
        return bool(pc.any(pc.is_nan(column)).as_py())
    is_object = pa.types.is_date(column.type) or pa.types.is_binary(column.type)
    return bool(pa.types.is_decimal(column.type) or (is_object and column.null_count == len(column)))
