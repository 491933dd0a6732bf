"""Columns: what a contract promises of one column, and the checks that follow from it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from practicus_assets.errors import DeclarationError, SchemaMismatch
from practicus_assets.lake.contracts.check import Check, Kind, Severity, check_name, refuse_severity
from practicus_assets.lake.contracts.declared_types import as_type
from practicus_assets.lake.rows.casts import exact_scalar
from practicus_assets.lake.rows.types import stored_type
from practicus_assets.parameters import named_parameters
from practicus_assets.wording import readable

_EXAMPLES = (  # of values, by what asks whether a type is theirs
    (pa.types.is_integer, "a whole number, e.g. 1"),
    (pa.types.is_floating, "a number, e.g. 0.5"),
    (pa.types.is_decimal, 'a decimal, e.g. Decimal("0.50")'),
    (pa.types.is_boolean, "True or False"),
    (pa.types.is_date, "a date, e.g. datetime.date(2026, 1, 6)"),
    (lambda type_: pa.types.is_timestamp(type_) and type_.tz, "a datetime with tzinfo=datetime.UTC"),
    (pa.types.is_timestamp, "a datetime without a time zone"),
    (pa.types.is_string, 'a text, e.g. "a"'),
    (pa.types.is_binary, 'bytes, e.g. b"a"'),
)


@named_parameters
@dataclass(frozen=True)
class Column:
    """One column's promise.

    Attributes:
        type: an Arrow type; the text of one as Arrow prints it (`"int64"`, `"decimal128(18, 2)"`,
            `"timestamp[us, tz=UTC]"`, `"struct<a: int64, b: list<item: string>>"`) or as the Delta protocol
            has it (`"long"`, `"decimal(18,2)"`, `"timestamp"`, `"array<string>"`); a type of deltalake; or
            a plain type of Python, numpy, pandas or polars (`int`, `str`, `datetime.date`).
        description: what the values mean, in which unit; shown in the catalog.
        nullable: whether nulls are allowed.
        minimum, maximum: inclusive bounds.
        allowed: the only values that may appear.
        pattern: a regular expression (RE2) that the whole text matches.
        severity: the severity of the rules on this column; "WARN" records a failure and commits, and
            "QUARANTINE" commits all but the bad rows, which go to the table of rejected rows.
        comes_from: the columns that its values are computed from, by the name of their table:
            `{"orders": "amount", "shop/rates": ["currency", "rate"]}`; shown as column lineage.

    Raises:
        DeclarationError: if `type` names no type, or `comes_from` no columns.

    """

    type: Any
    description: str = ""
    nullable: bool = True
    minimum: Any = None
    maximum: Any = None
    allowed: Sequence[Any] | None = None
    pattern: str | None = None
    severity: Severity = "ERROR"
    comes_from: Mapping[str, str | Sequence[str]] | None = None

    def __post_init__(self) -> None:
        """Refuse a type or a source that is none, where it is written."""
        as_type(self.type)
        _refuse_sources(self.comes_from)

    @property
    def source_columns(self) -> list[tuple[str, str]]:
        """The table and the name of each column that the values are computed from."""
        named = (self.comes_from or {}).items()
        return [(table, name) for table, names in named for name in _listed_names(names)]

    @property
    def arrow_type(self) -> pa.DataType:
        """The Arrow type."""
        return as_type(self.type)

    def field(self, name: str) -> pa.Field:
        """Return the column as an Arrow field, with its description under the key where Delta has it."""
        comment = {"comment": self.description} if self.description else None
        return pa.field(name, self.arrow_type, metadata=comment)


def _listed_names(names: str | Sequence[str]) -> Sequence[str]:
    return [names] if isinstance(names, str) else names


def _refuse_sources(comes_from: Any) -> None:
    """Raise DeclarationError for what does not name columns of tables."""
    if comes_from is None:
        return
    named = isinstance(comes_from, Mapping) and all(
        isinstance(table, str) and table and isinstance(names, str | list | tuple) and names
        for table, names in comes_from.items()
    )
    if not named or not all(isinstance(n, str) for ns in comes_from.values() for n in _listed_names(ns)):
        raise DeclarationError(
            f"comes_from={comes_from!r} does not name columns of tables.",
            'Write comes_from={"orders": "amount"}, or a list of columns for each table.',
        )


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
    """Raise DeclarationError for a column that could never be kept, or whose promises cannot be checked."""
    arrow_type, label = column.arrow_type, f"column {name!r} of the contract"
    try:
        type_ = stored_type(arrow_type, name)
    except SchemaMismatch as error:
        raise DeclarationError(
            f"the contract: {error.problem}", "Declare a type that Delta Lake has."
        ) from error
    for attribute, kind in (("description", str), ("nullable", bool)):
        if not isinstance(getattr(column, attribute), kind):
            what = "a text" if kind is str else "True or False"
            raise DeclarationError(
                f"{label} has {attribute}={getattr(column, attribute)!r}.", f"Write {what}."
            )
    _refuse_values(label, column, arrow_type, type_)
    _refuse_pattern(label, column, arrow_type, type_)
    refuse_severity(name, column.severity)


def _refuse_values(label: str, column: Column, declared: pa.DataType, type_: pa.DataType) -> None:
    """Raise DeclarationError for bounds and allowed values that are no values of the column's type."""
    allowed = column.allowed if column.allowed is not None else ()
    if isinstance(allowed, str | bytes) or not isinstance(allowed, Sequence | set | frozenset):
        raise DeclarationError(f"{label} has allowed={allowed!r}, which is no list.", f"Write [{allowed!r}].")
    if column.allowed is not None and not allowed:
        raise DeclarationError(
            f"{label} has allowed={allowed!r}, which no value can keep.",
            "List the values that may appear, or leave allowed out.",
        )
    bounds = {"minimum": column.minimum, "maximum": column.maximum}
    pairs = [*bounds.items(), *(("allowed", value) for value in allowed)]
    for attribute, value in pairs:
        if value is None:
            continue
        try:
            scalar = exact_scalar(value, type_)
            if attribute != "allowed":
                pc.less(scalar, scalar)
        except pa.ArrowNotImplementedError as error:
            raise DeclarationError(
                f"{label} is of type {declared}, whose values have no order for its {attribute}.",
                "Write a RowRule instead.",
            ) from error
        except (pa.ArrowException, ValueError, TypeError, OverflowError) as error:
            verb = "allows" if attribute == "allowed" else f"has the {attribute}"
            example = next((text for fits, text in _EXAMPLES if fits(type_)), "a value of that type")
            raise DeclarationError(
                f"{label} is of type {declared}, and {verb} {value!r}, which is no value of that type.",
                f"Write {example}.",
            ) from error
    if None not in bounds.values():
        low, high = (exact_scalar(value, type_) for value in bounds.values())
        if pc.greater(low, high).as_py():
            raise DeclarationError(
                f"{label}: its minimum is above its maximum: {readable(column.minimum)} is more than "
                f"{readable(column.maximum)}.",
                "Swap them.",
            )


def _refuse_pattern(label: str, column: Column, declared: pa.DataType, type_: pa.DataType) -> None:
    """Raise DeclarationError for a pattern that is no regular expression, or of a column without texts."""
    if column.pattern is None:
        return
    if not pa.types.is_string(type_):
        raise DeclarationError(
            f"{label} is of type {declared}, and has a pattern.", "Only columns of type string take one."
        )
    try:
        pc.match_substring_regex(pa.array([""], type_), column.pattern)
    except (pa.ArrowException, TypeError) as error:
        raise DeclarationError(
            f"{label} has the pattern {column.pattern!r}: {error}.", "Write a regular expression (RE2)."
        ) from error


def _listed(values: Sequence[Any]) -> str:
    shown = ", ".join(map(str, list(values)[:10]))
    return shown if len(values) <= 10 else f"{shown}, … ({len(values)} values)"  # noqa: PLR2004 a line's worth
