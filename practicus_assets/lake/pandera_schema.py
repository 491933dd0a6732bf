"""Pandera models as contracts: their declarations are read, and pandera runs only their custom checks."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd
import pyarrow as pa

from practicus_assets.errors import DeclarationError
from practicus_assets.lake.contract import Column, Contract, RowRule, Severity


def contract_of(declaration: Any) -> Contract:
    """Return the contract that a pandera `DataFrameModel` or `DataFrameSchema` declares.

    Types, nullability, uniqueness, `strict`, and the checks `ge`, `le`, `in_range`, `isin` and `str_matches`
    become rules that run on Arrow; every other check runs as pandera's own, batch by batch.
    `raise_warning=True` makes a rule's severity "WARN".

    Args:
        declaration: of pandera's pandas or polars backend.

    Raises:
        DeclarationError: for what cannot be promised of a table: regex columns, an index, optional columns,
            parsers, `coerce`, and checks that group rows.

    """
    schema = declaration.to_schema() if isinstance(declaration, type) else declaration
    _refuse(schema, schema.name or "schema")
    columns: dict[str, Column] = {}
    rules: list[RowRule] = []
    for name, column in schema.columns.items():
        _refuse(column, name)
        promise: dict[str, Any] = {}
        for number, check in enumerate(column.checks):
            translated = _translated(check)
            if translated is None or check.raise_warning or set(translated) & set(promise):
                rules.append(_rule(check, name, f"{name}_{_name(check, number)}"))
            else:
                promise |= translated
        type_ = _arrow_type(column.dtype, name)
        columns[name] = Column(type_, column.description or "", nullable=column.nullable, **promise)
    rules += [_rule(check, None, _name(check, number)) for number, check in enumerate(schema.checks)]
    unique = [[name] for name, column in schema.columns.items() if column.unique]
    if schema.unique:
        unique.append([schema.unique] if isinstance(schema.unique, str) else list(schema.unique))
    return Contract(columns, unique=unique, rules=rules, closed=schema.strict is True)


def _refuse(part: Any, name: str) -> None:
    problems = {
        "coerce": "coerce would change values: convert them in the function",
        "regex": "a regex column names no column",
        "parsers": "parsers would change values: convert them in the function",
        "index": "a table has no index",
    }
    found = [why for attribute, why in problems.items() if getattr(part, attribute, None)]
    if getattr(part, "required", True) is False:
        found.append("an optional column is no promise")
    if found:
        raise DeclarationError(f"{name!r} of the pandera schema: {'; '.join(found)}.", "Declare a Contract instead.")


def _translated(check: Any) -> dict[str, Any] | None:
    """Return a built-in check as attributes of `Column`; None if it has no such form."""
    given = check.statistics or {}
    if check.registry_name == "greater_than_or_equal_to":
        return {"minimum": given["min_value"]}
    if check.registry_name == "less_than_or_equal_to":
        return {"maximum": given["max_value"]}
    if check.registry_name == "in_range" and given.get("include_min", True) and given.get("include_max", True):
        return {"minimum": given["min_value"], "maximum": given["max_value"]}
    if check.registry_name == "isin":
        return {"allowed": sorted(given["allowed_values"])}
    return None


def _rule(check: Any, column: str | None, name: str) -> RowRule:
    if check.groupby is not None:
        raise DeclarationError(f"check {name!r} groups rows, and runs on batches.", "Use a TableRule instead.")
    severity: Severity = "WARN" if check.raise_warning else "ERROR"
    text = check.description or (check.error if isinstance(check.error, str) else "") or name.replace("_", " ")
    return RowRule(name, _Custom(check, column), text, severity)


class _Custom:
    """Runs one pandera check on a batch, and returns one boolean a row."""

    def __init__(self, check: Any, column: str | None) -> None:
        self._check = check
        self._column = column

    def __call__(self, rows: pa.Table) -> pa.Array:
        frame = rows.to_pandas(types_mapper=pd.ArrowDtype)
        output = self._check(frame[self._column] if self._column else frame).check_output
        if isinstance(output, pd.DataFrame):
            output = output.all(axis=1)
        if isinstance(output, pd.Series):  # nulls were left out
            good = output.reindex(frame.index, fill_value=True)
            return pa.array(good.astype("boolean").fillna(value=True).to_numpy(dtype=bool))
        return pa.array([bool(output)] * rows.num_rows)


def _name(check: Any, number: int) -> str:
    return str(check.name or getattr(check, "_check_fn", None) or f"check_{number}")


def _arrow_type(dtype: Any, column: str) -> pa.DataType:
    """Return the Arrow type of a pandera column's dtype."""
    type_ = getattr(dtype, "type", None)
    if type_ is None:
        raise DeclarationError(f"column {column!r} of the pandera schema has no type.", "Declare one.")
    module = getattr(type_, "__module__", "") or type(type_).__module__
    if module.startswith("polars"):
        import polars as pl  # noqa: PLC0415 only where a polars schema needs it

        return pl.Series([], dtype=type_).to_arrow().type
    return pa.Array.from_pandas(pd.Series([], dtype=type_)).type
