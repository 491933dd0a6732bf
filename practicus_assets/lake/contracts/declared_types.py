"""Declared types: an author's type of a column, of whichever library, as an Arrow type."""

import datetime as dt
import importlib
import inspect
from decimal import Decimal
from types import GenericAlias, NoneType, UnionType
from typing import Any, Union, get_args, get_origin

import numpy as np
import pyarrow as pa

from practicus_assets.errors import DeclarationError, SchemaMismatch
from practicus_assets.lake.contracts.type_text import (
    EITHER_TIMESTAMP,
    NO_TIME,
    TYPES,
    WITH_DIGITS,
    TypeText,
    refuse_unknown_zones,
)
from practicus_assets.lake.rows.types import stored_type

_CLASSES: dict[Any, pa.DataType] = {
    int: pa.int64(),
    float: pa.float64(),
    bool: pa.bool_(),
    str: pa.string(),
    bytes: pa.binary(),
    dt.date: pa.date32(),
    np.str_: pa.string(),
    np.bytes_: pa.binary(),
}
_WRITE: dict[Any, str] = {  # what to write for a class that says too little
    dt.datetime: EITHER_TIMESTAMP,
    np.datetime64: EITHER_TIMESTAMP,
    Decimal: WITH_DIGITS,
    dt.time: NO_TIME,
    dt.timedelta: NO_TIME,
    np.timedelta64: NO_TIME,
    list: "Write what is in it: list<int64>.",
    tuple: "Write what is in it: list<int64>.",
    dict: "Write struct<a: int64, b: string>, or map<string, int64>.",
    object: "Write string, and convert the values.",
}


def as_type(declared: Any) -> pa.DataType:
    """Return the Arrow type that a declaration names.

    Args:
        declared: an Arrow type; its text as Arrow prints it, e.g. `"timestamp[us, tz=UTC]"` or
            `"struct<a: int64, b: list<item: string>>"`; the text of a Delta type, e.g. `"decimal(18,2)"` or
            `"array<string>"`; a type of the package deltalake; one of Python, e.g. `int` or `list[str]`; or a
            dtype of numpy, pandas or polars. In a text, a field's name that has a colon, or a space at its
            end, stands in backquotes.

    Raises:
        DeclarationError: if there is no such type, or several could be meant.

    """
    if isinstance(declared, str):
        return TypeText(declared).whole()
    type_ = declared if isinstance(declared, pa.DataType) else _translated(declared)
    if type_ is None:
        raise _refused(declared)
    refuse_unknown_zones(type_)
    return type_


def _translated(declared: Any) -> pa.DataType | None:
    """Return the Arrow type of another library's; None if there is none."""
    if isinstance(declared, type) and declared in _CLASSES:
        return _CLASSES[declared]
    if get_origin(declared) in (Union, UnionType):
        return _only_one([part for part in get_args(declared) if part is not NoneType])
    if isinstance(declared, GenericAlias) or get_origin(declared) is not None:
        return _generic(get_origin(declared), [as_type(part) for part in get_args(declared)])
    type_ = _of_library(declared)
    if type_ is None:
        return None
    try:
        return stored_type(type_, "", keeps_required=True)
    except SchemaMismatch:
        return type_  # the contract refuses it, by its column


def _of_library(declared: Any) -> pa.DataType | None:
    """Return the Arrow type of a type of deltalake, or a dtype of polars, numpy or pandas."""
    if isinstance(declared, np.dtype) and declared.kind in "US":
        return _CLASSES[declared.type]
    library = (getattr(declared, "__module__", None) or type(declared).__module__).partition(".")[0]
    try:
        if library == "deltalake":
            from deltalake import Field, Schema  # noqa: PLC0415 contracts need no Delta Lake otherwise

            return pa.schema(Schema([Field("x", declared)]).to_arrow()).field(0).type
        if library == "polars":
            polars = importlib.import_module("polars")
            says_it = declared is not polars.Object and declared is not polars.Decimal
            return polars.Series([], dtype=declared).to_arrow().type if says_it else None
        if library in {"numpy", "pandas"} and _write(declared) is None:
            pandas = importlib.import_module("pandas")
            return pa.Array.from_pandas(pandas.Series([], dtype=declared)).type
    except (TypeError, ValueError, AttributeError, NotImplementedError, pa.ArrowException):
        pass
    return None


def _only_one(types: list[Any]) -> pa.DataType | None:
    return as_type(types[0]) if len(types) == 1 else None


def _generic(origin: Any, parts: list[pa.DataType]) -> pa.DataType | None:
    """Return the type of Python's `list[…]` and `dict[…, …]`."""
    if origin is list and len(parts) == 1:
        return pa.list_(parts[0])
    return pa.map_(*parts) if origin is dict and len(parts) == 2 else None  # noqa: PLR2004 key and value


def _write(declared: Any) -> str | None:
    """Return what to write for a type that says too little; None if there is nothing to say."""
    kind = declared
    if isinstance(declared, np.dtype):
        kind = {"M": np.datetime64, "m": np.timedelta64, "O": object}.get(declared.kind, declared.type)
    if isinstance(kind, type):
        if kind.__name__ == "Decimal":  # polars has one without digits
            return WITH_DIGITS
        return _WRITE.get(kind, EITHER_TIMESTAMP if issubclass(kind, dt.datetime) else None)
    return "Write string, and convert the values." if "Categorical" in type(kind).__name__ else None


def _refused(declared: Any) -> DeclarationError:
    name = declared.__name__ if isinstance(declared, type) else repr(declared)
    if inspect.isroutine(declared) and (declared.__module__ or "").startswith("pyarrow"):
        name, advice = f"pa.{declared.__name__}", f"Call it: pa.{declared.__name__}(…)."
    else:
        advice = _write(declared) or f"Use an Arrow type, or its text: {TYPES}."
    return DeclarationError(f"{name} is no type of a column.", advice)
