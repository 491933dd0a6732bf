"""Python values as Arrow: lists of dicts and dicts of columns, none of whose values changes on the way."""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa

from practicus_assets.errors import SchemaMismatch
from practicus_assets.wording import enumerated, readable

_LISTED = (list, tuple, range, np.ndarray, pa.Array, pa.ChunkedArray)
NO_COLUMNS = pa.schema([])


def from_dicts(rows: Sequence[Mapping[Any, Any]], columns: pa.Schema = NO_COLUMNS) -> pa.Table:
    """Return rows that are dicts as a table; a key that a dict lacks is null.

    Args:
        rows: the rows, at least one.
        columns: the columns that a contract declares, which the table has in any case.

    Raises:
        SchemaMismatch: for a key that is no string, or values that share no Arrow type.

    """
    names = dict.fromkeys(name for row in rows for name in row)
    _refuse_odd_names(names)
    types = {field.name: field.type for field in columns}
    arrays = {
        name: _array(name, [row.get(name) for row in rows], types.get(name)) for name in {**types, **names}
    }
    return pa.table(arrays)


def from_columns(columns: Mapping[Any, Any], declared: pa.Schema = NO_COLUMNS) -> pa.Table:
    """Return a dict of columns as a table.

    Args:
        columns: the values of each column, by its name.
        declared: the columns that a contract declares.

    Raises:
        SchemaMismatch: if they are no columns of one length, or values of a column share no Arrow type.

    """
    _refuse_odd_names(columns)
    single = [name for name, values in columns.items() if not _is_listed(values)]
    if single:
        raise SchemaMismatch(
            f"the function returned a dict whose {single[0]!r} is no list of values.",
            "Of one row, return [row]; of columns, return a dict with a list for each.",
        )
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        raise SchemaMismatch(f"the columns have different lengths: {lengths}.", "Give all one length.")
    types = {field.name: field.type for field in declared}
    return pa.table({name: _column(name, values, types.get(name)) for name, values in columns.items()})


def refuse_mixed(values: Iterable[Any], type_: pa.DataType) -> None:  # noqa: C901 a table of mixtures
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
        if value is None or _is_pandas_null(type(value)):
            continue
        if is_date and isinstance(value, dt.datetime):
            raise ValueError(f"{readable(value)} is among dates")
        if is_timestamp and isinstance(value, dt.datetime) and (value.tzinfo is None) != (type_.tz is None):
            raise ValueError(f"{readable(value)} is among times of type {type_}")
        if is_timestamp and getattr(value, "nanosecond", 0):
            raise ValueError(f"{value!r} is finer than microseconds")
        if pa.types.is_binary(type_) and isinstance(value, str):
            raise ValueError(f"{readable(value)} is among bytes")
        if pa.types.is_floating(type_) and isinstance(value, bool | np.bool_):
            raise ValueError(f"{readable(value)} is among numbers")
        if isinstance(value, Mapping) and pa.types.is_struct(type_):
            for item in type_:
                refuse_mixed([value.get(item.name)], item.type)
        elif pa.types.is_list(type_) and getattr(value, "dtype", None) in (None, np.dtype(object)):
            refuse_mixed(value, type_.value_type)


def misfit(problem: str, values: Iterable[Any], error: Exception) -> SchemaMismatch:
    """Return the error for values that are no column: in our words where the cause is known.

    Args:
        problem: the column, and that it is none.
        values: the values.
        error: what pyarrow raised, or `refuse_mixed`; its text may quote values.

    """
    cause, advice = _cause(values, error)
    if cause:
        return SchemaMismatch(f"{problem}: {cause}.", advice)
    text = f"{str(error).splitlines()[0]}."
    is_ours = type(error) is ValueError  # those of pyarrow are of classes of their own
    return SchemaMismatch(f"{problem}.", advice, text if is_ours else f"pyarrow says: {text}")


def _cause(values: Iterable[Any], error: Exception) -> tuple[str, str]:
    """Return why values are no column, without any of them, and what to do; no cause if it quotes some."""
    advice = "Give all its values one type."
    if type(error) is ValueError:  # those of pyarrow are of classes of their own
        return "", advice
    mixture = _mixture(values)
    names = enumerated([kind.__name__ for kind in mixture])
    if len(mixture) > 1:
        if set(mixture) == {int, float}:
            advice = "An integer beyond 2**53 is no exact float: give Decimals, or floats alone."
        elif float in mixture and any(value != value for value in values if type(value) is float):  # noqa: PLR0124 NaN
            advice += " A null is None, and NaN is a number."
        else:
            advice += _first_odd(values)
        return f"they are of the types {names}", advice
    if isinstance(error, OverflowError) and mixture == [int]:
        return "an integer needs more than 64 bits", "Give Decimals, of 38 digits at most, or text."
    if "did not recognize Python value type" in str(error):
        return f"they are of the type {names}", "Convert them to text, numbers, dates, lists or dicts."
    return "", "Correct the values, or convert them."


def _first_odd(values: Iterable[Any]) -> str:
    """Return where the first value of the rarest type is, as a sentence; nothing inside of nested ones."""
    kinds = [type(value) for value in values if value is not None]
    rarest = min(reversed(dict.fromkeys(kinds)), key=kinds.count)
    if issubclass(rarest, list | tuple | Mapping):
        return ""
    row = next(i for i, value in enumerate(values) if type(value) is rarest)
    return f" The first {rarest.__name__} is in row {row}."


def _mixture(values: Iterable[Any]) -> list[type]:
    """Return the types of values; those inside of lists or dicts if all are lists, or all are dicts."""
    values = [value for value in values if value is not None]
    kinds = list(dict.fromkeys(map(type, values)))
    if kinds and all(issubclass(kind, list | tuple | np.ndarray) for kind in kinds):
        return _mixture([item for value in values for item in value])
    if kinds and all(issubclass(kind, Mapping) for kind in kinds):
        names = dict.fromkeys(name for value in values for name in value)
        inside = [_mixture([value.get(name) for value in values]) for name in names]
        return max(inside, key=len, default=kinds)
    return kinds


def _without_pandas_nulls(values: Iterable[Any]) -> Any:
    """Return values with None where they, or lists and dicts among them, have a NaT or NA of pandas."""
    kinds = set(map(type, values))
    if any(issubclass(kind, list | tuple | dict) or _is_pandas_null(kind) for kind in kinds):
        return [_without_pandas_null(value) for value in values]
    return values


def _without_pandas_null(value: Any) -> Any:
    if isinstance(value, dict):
        return dict(zip(value, _without_pandas_nulls(value.values()), strict=True))
    if isinstance(value, list | tuple):
        items = _without_pandas_nulls(value)
        return tuple(items) if isinstance(value, tuple) else items
    return None if _is_pandas_null(type(value)) else value


def _is_pandas_null(kind: type) -> bool:
    """Return whether a type is that of pandas' `NaT` or `NA`, by its name: pandas need not be loaded."""
    return kind.__name__ in {"NaTType", "NAType"}


def _refuse_odd_names(names: Iterable[Any]) -> None:
    odd = [name for name in names if not isinstance(name, str)]
    if odd:
        raise SchemaMismatch(f"the keys {odd[:5]} are not strings.", "Name the columns by strings.")


def _is_listed(values: Any) -> bool:
    return isinstance(values, _LISTED) or type(values).__name__ == "Series"


def _column(name: str, values: Any, declared: pa.DataType | None) -> pa.Array | pa.ChunkedArray:
    if isinstance(values, pa.Array | pa.ChunkedArray):
        return values
    return _array(name, values, declared)


def _array(name: str, values: Any, declared: pa.DataType | None) -> pa.Array | pa.ChunkedArray:
    """Return a column of Python values, of the type that they have."""
    if isinstance(values, list | tuple) or getattr(values, "dtype", None) == np.dtype(object):
        values = _without_pandas_nulls(values)
    try:
        if declared is not None and pa.types.is_map(declared):  # a dict of its own is a struct
            return _maps(values, declared)
        try:
            array = pa.array(values)
        except pa.ArrowInvalid:
            if not any(isinstance(value, Decimal) for value in values):
                raise
            # to pyarrow, an integer before a decimal says how many digits there are
            array = pa.array([Decimal(value) if type(value) is int else value for value in values])
        refuse_mixed(values, array.type)
    except (pa.ArrowException, OverflowError, TypeError, ValueError) as error:
        raise misfit(f"column {name!r} has values that are no Arrow column", values, error) from error
    return array


def _maps(values: Sequence[Any], declared: pa.DataType) -> pa.Array:
    pairs = [list(value.items()) if isinstance(value, Mapping) else value for value in values]
    array = pa.array(pairs, declared)
    for value, stored in zip(pairs, array.to_pylist(), strict=True):
        if value is not None and [tuple(pair) for pair in value] != stored:
            raise ValueError(f"{value!r} would be {stored!r}")
    return array
