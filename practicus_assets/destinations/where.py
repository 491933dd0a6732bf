"""Where clauses: a scope as a condition in SQL whose values are bound parameters."""

from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa

from practicus_assets.lake.partitions.bounds import Bounds, Condition, Range

Column = Callable[[str, pa.DataType], Sequence[str]]
Parameter = Callable[[int], str]

_ALTERNATIVES = 500  # of one condition: servers nest them


def where(bounds: Bounds, column: Column, parameter: Parameter) -> list[tuple[str, list[Any]]]:
    """Return conditions that together hold for the rows of a scope, each row once, with their values.

    Args:
        bounds: the scope, on the columns there.
        column: returns what is to have a value, by a column's name and type: the column, quoted, and what
            else tells its values apart.
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


def _condition(operands: Sequence[str], condition: Condition, bound: Callable[[Any], str]) -> str:
    column = operands[0]
    if isinstance(condition, Range):
        return f"{column} >= {bound(condition.low)} AND {column} < {bound(condition.high)}"
    return " AND ".join(f"{operand} = {bound(condition)}" for operand in operands)
