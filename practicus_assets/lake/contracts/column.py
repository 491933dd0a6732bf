"""Columns: what a contract promises of one column, and the checks that follow from it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from practicus_assets.errors import DeclarationError, SchemaMismatch
from practicus_assets.lake.contracts.check import Check, Kind, Severity, check_name, refuse_severity
from practicus_assets.lake.rows.casts import exact_scalar
from practicus_assets.lake.rows.type_text import as_type
from practicus_assets.lake.rows.types import stored_type


@dataclass(frozen=True)
class Column:
    """One column's promise.

    Attributes:
        type: an Arrow type; the text of one as Arrow prints it (`"int64"`, `"decimal128(18, 2)"`,
            `"timestamp[us, tz=UTC]"`, `"struct<a: int64, b: list<item: string>>"`) or as the Delta protocol
            has it (`"long"`, `"decimal(18,2)"`, `"timestamp"`, `"array<string>"`); or a type of deltalake.
        description: what the values mean, in which unit; shown in the catalog.
        nullable: whether nulls are allowed.
        minimum, maximum: inclusive bounds.
        allowed: the only values that may appear.
        pattern: a regular expression (RE2) that the whole text matches.
        severity: of the rules on this column; "WARN" records a failure and commits.

    """

    type: Any
    description: str = ""
    nullable: bool = True
    minimum: Any = None
    maximum: Any = None
    allowed: Sequence[Any] | None = None
    pattern: str | None = None
    severity: Severity = "ERROR"

    @property
    def arrow_type(self) -> pa.DataType:
        """The Arrow type.

        Raises:
            DeclarationError: if `type` names none.

        """
        return as_type(self.type)

    def field(self, name: str) -> pa.Field:
        """Return the column as an Arrow field, with its description under the key where Delta has it.

        Raises:
            DeclarationError: if `type` names none.

        """
        comment = {"comment": self.description} if self.description else None
        return pa.field(name, self.arrow_type, metadata=comment)


def column_checks(name: str, column: Column) -> list[Check]:
    """Return the rules on one column."""
    checks = []

    def add(kind: Kind, sentence: str, argument: Any = None) -> None:
        checks.append(Check(check_name(f"{name}_{kind}"), kind, (name,), sentence, column.severity, argument))

    if not column.nullable:
        add("not_null", f"{name} is never null")
    if column.minimum is not None and column.maximum is not None:
        bounds = (column.minimum, column.maximum)
        add("range", f"{name} is from {column.minimum} to {column.maximum}", bounds)
    elif column.minimum is not None:
        add("minimum", f"{name} is at least {column.minimum}", (column.minimum, None))
    elif column.maximum is not None:
        add("maximum", f"{name} is at most {column.maximum}", (None, column.maximum))
    if column.allowed is not None:
        add("allowed", f"{name} is one of {_listed(column.allowed)}", tuple(column.allowed))
    if column.pattern is not None:
        add("pattern", f"{name} matches {column.pattern}", column.pattern)
    return checks


def refuse_broken_column(name: str, column: Column) -> None:
    """Raise DeclarationError for a column that could never be kept: of no type, or with bounds of another."""
    try:
        arrow_type = column.arrow_type
    except DeclarationError as error:
        raise DeclarationError(f"column {name!r} of the contract: {error.problem}", error.advice) from None
    try:
        type_ = stored_type(arrow_type, name)
        for value in (column.minimum, column.maximum, *(column.allowed or ())):
            exact_scalar(value, type_)
        for bound in (column.minimum, column.maximum):
            if bound is not None:
                pc.less(exact_scalar(bound, type_), exact_scalar(bound, type_))
        if column.pattern is not None:
            pc.match_substring_regex(pa.array([""], type_), column.pattern)
        if isinstance(column.allowed, str):
            raise TypeError(f"allowed={column.allowed!r} is a text and no list")  # noqa: TRY301 one message for all
    except SchemaMismatch as error:
        raise DeclarationError(
            f"the contract: {error.problem}", "Declare a type that Delta Lake has."
        ) from error
    except (pa.ArrowException, ValueError, TypeError, OverflowError) as error:
        raise DeclarationError(
            f"column {name!r} of the contract: {error}.",
            "Bounds and allowed values are of the column's type.",
        ) from error
    refuse_severity(name, column.severity)
    if column.minimum is not None and column.maximum is not None and column.minimum > column.maximum:
        raise DeclarationError(f"column {name!r} of the contract: its minimum is above its maximum.")


def _listed(values: Sequence[Any]) -> str:
    shown = ", ".join(map(str, values[:10]))
    return shown if len(values) <= 10 else f"{shown}, … ({len(values)} values)"  # noqa: PLR2004 a line's worth
