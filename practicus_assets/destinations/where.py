"""Where clauses: a scope as a condition in SQL whose values are bound parameters."""

from collections.abc import Callable
from typing import Any

import pyarrow as pa

from practicus_assets.lake.partitions.bounds import Bounds, Condition, Range

Column = Callable[[str, pa.DataType], str]
Parameter = Callable[[int], str]

_ALTERNATIVES = 500  # of one condition: servers nest them


def where(bounds: Bounds, column: Column, parameter: Parameter) -> list[tuple[str, list[Any]]]:
    """Return conditions that together hold for the rows of a scope, each row once, with their values.

    Args:
        bounds: the scope, on the columns there.
        column: returns a column, quoted, by its name and type.
        parameter: returns the placeholder of the n-th value, counted from 1.

    """
    if not bounds.columns:
        return [("TRUE", [])]
    conditions = []
    for some in bounds.divided(_ALTERNATIVES):
        values: list[Any] = []

        def bound(value: Any, values: list[Any] = values) -> str:
            values.append(value)
            return parameter(len(values))

        alternatives = [
            " AND ".join(
                _condition(column(name, type_), condition, bound)
                for name, type_, condition in zip(some.columns, some.types, part, strict=True)
            )
            for part in some.parts
        ]
        conditions.append((" OR ".join(f"({one})" for one in alternatives), values))
    return conditions


def _condition(column: str, condition: Condition, bound: Callable[[Any], str]) -> str:
    if isinstance(condition, Range):
        return f"{column} >= {bound(condition.low)} AND {column} < {bound(condition.high)}"
    return f"{column} = {bound(condition)}"
