"""Pandera models as contracts: their declarations are read, and pandera runs only their custom checks."""

import importlib
import inspect
import re
import tokenize
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from practicus_assets.errors import DataRefused, DeclarationError
from practicus_assets.lake.contracts.column import Column
from practicus_assets.lake.contracts.contract import Contract
from practicus_assets.lake.contracts.rule import RowRule
from practicus_assets.lake.rows.casts import exact_scalar
from practicus_assets.lake.rows.frames import read_as
from practicus_assets.lake.rows.types import stored_type

_NO_PROMISE = {
    "coerce": "coerce would change values: convert them in the function",
    "parsers": "parsers would change values: convert them in the function",
    "drop_invalid_rows": "drop_invalid_rows would lose rows: drop them in the function",
    "add_missing_columns": "add_missing_columns would add values: add them in the function",
    "regex": "a regex column names no column",
    "index": "a table has no index",
    "ordered": "the columns of a table have no order that is kept",
}


def contract_of(declaration: Any) -> Contract:
    """Return the contract that a pandera `DataFrameModel` or `DataFrameSchema` declares.

    Types, nullability, uniqueness, `strict`, and the checks `ge`, `le`, `in_range` and `isin` become rules
    that run on Arrow; every other check runs as pandera's own, batch by batch.
    `raise_warning=True` makes a rule's severity "WARN".

    Args:
        declaration: of pandera's pandas or polars backend.

    Raises:
        DeclarationError: for what cannot be promised of a table: regex columns, an index, optional columns,
            parsers, `coerce`, and checks that group rows.

    """
    schema: Any = declaration
    if isinstance(declaration, type):
        schema = declaration.to_schema()  # type: ignore[attr-defined]
    _refuse(schema, schema.name or "schema")
    columns: dict[str, Column] = {}
    rules: list[RowRule] = []
    for name, column in schema.columns.items():
        _refuse(column, name)
        type_ = _arrow_type(column.dtype, name)
        promise: dict[str, Any] = {}
        for check in column.checks:
            translated = _translated(check, stored_type(type_, name))
            if translated is None or set(translated) & set(promise):
                rules.append(_rule(check, name, schema, rules))
            else:
                promise |= translated
        columns[name] = Column(type_, column.description or "", nullable=column.nullable, **promise)
    for check in schema.checks:
        rules.append(_rule(check, None, schema, rules))
    unique = [[name] for name, column in schema.columns.items() if column.unique]
    if schema.unique:
        unique.append([schema.unique] if isinstance(schema.unique, str) else list(schema.unique))
    return Contract(columns, unique=unique, rules=rules, closed=schema.strict is True)


def _refuse(part: Any, name: str) -> None:
    problems = [why for attribute, why in _NO_PROMISE.items() if _is_set(getattr(part, attribute, None))]
    if getattr(part, "required", True) is False:
        problems.append("an optional column is no promise")
    if getattr(part, "strict", None) == "filter":
        problems.append('strict="filter" would lose columns: select them in the function')
    if getattr(part, "default", None) is not None:
        problems.append("a default would change nulls: fill them in the function")
    if problems:
        raise DeclarationError(
            f"{name!r} of the pandera schema: {'; '.join(problems)}.", "Declare a Contract instead."
        )


def _is_set(value: Any) -> bool:
    return value is not None and value is not False and not (isinstance(value, list) and not value)


def _translated(check: Any, type_: pa.DataType) -> dict[str, Any] | None:
    """Return a built-in check as attributes of `Column`; None if it has no such form."""
    given = check.statistics or {}
    promise: dict[str, Any] | None = None
    if check.raise_warning or not check.ignore_na:
        return None
    if check.registry_name == "greater_than_or_equal_to":
        promise = {"minimum": given["min_value"]}
    elif check.registry_name == "less_than_or_equal_to":
        promise = {"maximum": given["max_value"]}
    elif (
        check.registry_name == "in_range"
        and given.get("include_min", True)
        and given.get("include_max", True)
    ):
        promise = {"minimum": given["min_value"], "maximum": given["max_value"]}
    elif check.registry_name == "isin":
        promise = {"allowed": list(given["allowed_values"])}
    try:
        for bound in (promise or {}).values():
            for value in bound if isinstance(bound, list) else [bound]:
                exact_scalar(value, type_)
    except (pa.ArrowException, ValueError, TypeError, OverflowError):
        return None  # such as a date written as text: pandera knows what is meant
    return promise


def _rule(check: Any, column: str | None, schema: Any, earlier: list[RowRule]) -> RowRule:
    plain = re.sub(r"\W+", "_", str(check.name or "check"), flags=re.ASCII).strip("_") or "check"
    name = "_".join(filter(None, [column and re.sub(r"\W", "_", column, flags=re.ASCII), plain]))
    taken = {rule.name for rule in earlier}
    name = next(n for n in (name, *(f"{name}_{i}" for i in range(2, len(taken) + 3))) if n not in taken)
    if check.groupby is not None:
        raise DeclarationError(
            f"check {name!r} groups rows, and runs on batches.", "Use a TableRule instead."
        )
    text = (
        check.description or (check.error if isinstance(check.error, str) else "") or name.replace("_", " ")
    )
    is_polars = type(schema).__module__.startswith("pandera.api.polars")
    return RowRule(
        name,
        _Custom(check, column, name, is_polars=is_polars),
        text,
        "WARN" if check.raise_warning else "ERROR",
    )


class _Custom:
    """Runs one pandera check on a batch, and returns one boolean a row."""

    def __init__(self, check: Any, column: str | None, name: str, *, is_polars: bool) -> None:
        self._check = check
        self._column = column
        self._name = name
        self._is_polars = is_polars

    def __call__(self, rows: pa.Table) -> pa.Array:
        if not rows.num_rows:
            return pa.array([], pa.bool_())
        return self._on_polars(rows) if self._is_polars else self._on_pandas(rows)

    def __str__(self) -> str:
        """Describe the check, the same in each process, for the contract's digest."""
        try:
            source = inspect.getsource(self._check._check_fn)  # noqa: SLF001 pandera has no other access to it
        except (OSError, TypeError, AttributeError, SyntaxError, tokenize.TokenError):
            source = ""
        return f"{self._name} {self._check.statistics} {source}"

    def _on_pandas(self, rows: pa.Table) -> pa.Array:
        frame = read_as(rows.to_reader(), pd.DataFrame)
        output = self._check(frame[self._column] if self._column else frame).check_output
        if isinstance(output, pd.DataFrame):
            output = output.all(axis=1)
        if not isinstance(output, pd.Series):
            raise self._one_answer()
        ignored = bool(self._check.ignore_na)  # nulls: pandera leaves their rows out, or their answer is null
        good = output.astype("boolean").reindex(frame.index).fillna(value=ignored)
        return pa.array(good.to_numpy(dtype=bool))

    def _on_polars(self, rows: pa.Table) -> pa.Array:
        lazy = importlib.import_module("polars").DataFrame(rows).lazy()
        output = (self._check(lazy, self._column) if self._column else self._check(lazy)).check_output
        if not hasattr(output, "collect"):
            raise self._one_answer()
        good = output.collect()["check_output"]
        if len(good) != rows.num_rows:
            raise self._one_answer()
        return pa.array(np.asarray(good.fill_null(value=bool(self._check.ignore_na)), dtype=bool))

    def _one_answer(self) -> DataRefused:
        return DataRefused(
            f"check {self._name!r} gives one answer for all rows, and runs on batches.",
            "Return one boolean a row, or declare a Contract with a TableRule.",
        )


def _arrow_type(dtype: Any, column: str) -> pa.DataType:
    """Return the Arrow type of a pandera column's dtype."""
    type_ = getattr(dtype, "type", None)
    if type_ is None:
        raise DeclarationError(f"column {column!r} of the pandera schema has no type.", "Declare one.")
    modules = {getattr(type_, "__module__", "") or "", type(type_).__module__}
    try:
        if any(module.startswith("polars") for module in modules):
            return importlib.import_module("polars").Series([], dtype=type_).to_arrow().type
        return pa.Array.from_pandas(pd.Series([], dtype=type_)).type
    except (TypeError, ValueError, pa.ArrowException) as error:
        raise DeclarationError(
            f"column {column!r} of the pandera schema is of type {dtype}: {error}.", "Declare an Arrow type."
        ) from error
