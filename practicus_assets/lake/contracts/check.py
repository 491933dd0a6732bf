"""Checks: the rules of a contract, as an audit runs them and Dagster shows them."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_type_hints

Severity = Literal["ERROR", "WARN"]

Kind = Literal[
    "schema",
    "not_null",
    "minimum",
    "maximum",
    "range",
    "allowed",
    "pattern",
    "unique",
    "row_count",
    "row",
    "table",
]


@dataclass(frozen=True)
class Check:
    """One rule of a contract.

    Attributes:
        name: the name of the asset check.
        kind: how the rule is run.
        columns: the columns that it reads; none for a rule on whole rows or on the table.
        description: what is promised, in words.
        severity: "ERROR" ends the transaction, "WARN" is recorded.
        argument: the bounds, values, pattern or function of the rule.

    """

    name: str
    kind: Kind
    columns: tuple[str, ...]
    description: str
    severity: Severity
    argument: Any = None


def rows_parameter(function: Callable[[Any], Any]) -> Any:
    """Return the annotation of a rule function's first parameter; None where there is none."""
    parameters = list(inspect.signature(function).parameters)
    try:
        return get_type_hints(function).get(parameters[0]) if parameters else None
    except (NameError, TypeError):
        return None
