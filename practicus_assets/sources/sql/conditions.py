"""Conditions: scopes as SQL, whose values are bound and stand in no statement."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import pyarrow as pa

from practicus_assets.lake.partitions.bounds import Bounds, Condition, Range
from practicus_assets.lake.partitions.values import Value


@dataclass(frozen=True)
class Operand:
    """What a condition is on: a column or an expression.

    Attributes:
        text: the quoted column, or the expression in parentheses.
        type_: the Arrow type of its values.
        native: its type in the database, as casts spell it.

    """

    text: str
    type_: pa.DataType
    native: str


OperandT = TypeVar("OperandT", bound=Operand)


def types_of(operands: Mapping[str, OperandT]) -> pa.Schema:
    """Return the types of operands, by the columns of a scope."""
    return pa.schema([(column, operand.type_) for column, operand in operands.items()])


class Parameters(ABC, Generic[OperandT]):
    """The values of one statement, in the order of their placeholders."""

    @abstractmethod
    def one(self, value: Value, operand: OperandT) -> str:
        """Bind a value that is compared with an operand, and return what stands for it."""

    @abstractmethod
    def equals_any(self, operand: OperandT, values: Sequence[Value]) -> str:
        """Return the condition that an operand has one of some values, which are bound."""

    def within(self, operand: OperandT, ranges: Sequence[Range]) -> str:
        """Return the condition that an operand is in one of some half-open ranges, whose ends are bound."""
        terms = []
        for each in ranges:
            low, high = self.one(each.low, operand), self.one(each.high, operand)
            terms.append(f"({operand.text} >= {low} AND {operand.text} < {high})")
        return _any_of(terms)


def condition(
    bounds: Bounds, operands: Mapping[str, OperandT], parameters: Parameters[OperandT]
) -> str | None:
    """Return a scope as a condition of SQL; None for all rows.

    Adjacent windows are one range, and the values of one column are one list: 365 days are one condition.

    Args:
        bounds: the scope on its columns' types.
        operands: what each column of the scope is in the database.
        parameters: the statement's, to which values are added.

    """
    if not bounds.columns:
        return None
    first, *others = (operands[column] for column in bounds.columns)
    by_rest: dict[tuple[Condition, ...], list[Condition]] = {}
    for part in bounds.merged:
        by_rest.setdefault(part[1:], []).append(part[0])
    alternatives = []
    for rest, firsts in by_rest.items():
        terms = [_on(first, firsts, parameters)]
        terms += [_on(operand, [one], parameters) for operand, one in zip(others, rest, strict=True)]
        alternatives.append(terms[0] if len(terms) == 1 else f"({' AND '.join(terms)})")
    return _any_of(alternatives)


def _on(operand: OperandT, conditions: Sequence[Condition], parameters: Parameters[OperandT]) -> str:
    values = [each for each in conditions if not isinstance(each, Range)]
    ranges = [each for each in conditions if isinstance(each, Range)]
    terms = [parameters.equals_any(operand, values)] if values else []
    terms += [parameters.within(operand, ranges)] if ranges else []
    return _any_of(terms)


def _any_of(terms: Sequence[str]) -> str:
    return terms[0] if len(terms) == 1 else f"({' OR '.join(terms)})"
