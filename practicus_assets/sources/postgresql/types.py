"""Types: as what each type of PostgreSQL is read, and what its author has to decide."""

from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa

from practicus_assets.errors import SchemaMismatch

_MOST_DIGITS = 38
_PLAIN = {
    "bool": pa.bool_(),
    "int2": pa.int16(),
    "int4": pa.int32(),
    "int8": pa.int64(),
    "float4": pa.float32(),
    "float8": pa.float64(),
    "text": pa.string(),
    "varchar": pa.string(),
    "bytea": pa.binary(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us"),
    "timestamptz": pa.timestamp("us", "UTC"),
}
_AS_TEXT = {"bpchar", "name", "char", "citext", "uuid", "json", "jsonb", "xml", "bit", "varbit"} | {
    "inet",
    "cidr",
    "macaddr",
    "macaddr8",
}
_AS_TEXT_BY_OUTPUT = {"inet"}  # whose cast writes a netmask that its output has not
_DECIMALS = {"numeric", "money"}
_DURATIONS = {"time", "timetz", "interval"}


@dataclass(frozen=True)
class Native:
    """A type of PostgreSQL, without the domains around it.

    Attributes:
        name: its name in `pg_type`.
        spelled: as casts spell it.
        kind: its `typtype`: b for base, e for enum, c for composite, r and m for ranges.
        typmod: its modifier, such as precision and scale; -1 if it has none.
        element: the type of an array's elements; None for others.
        is_wrapped: whether the elements are of a domain.

    """

    name: str
    spelled: str
    kind: str = "b"
    typmod: int = -1
    element: "Native | None" = None
    is_wrapped: bool = False


@dataclass(frozen=True)
class Reading:
    """How a column is read.

    Attributes:
        column: its name.
        native: its type in the database.
        type_: its Arrow type.
        wire: the Arrow type in which the driver gives it.
        expression: what is selected, made of the quoted column.

    """

    column: str
    native: Native
    type_: pa.DataType
    wire: pa.DataType
    expression: Callable[[str], str]

    @property
    def is_decimal(self) -> bool:
        """Whether its values, or its elements, are numbers that the driver writes as texts."""
        return (self.native.element or self.native).name in _DECIMALS

    @property
    def is_array(self) -> bool:
        """Whether it is read as a list, of which the driver would hide further dimensions."""
        return bool(pa.types.is_list(self.wire))


def reading(column: str, native: Native, declared: pa.DataType | None) -> Reading:
    """Return how a column is read.

    Args:
        column: its name.
        native: its type.
        declared: the type that the author declares; None if the column's own says everything.

    Raises:
        SchemaMismatch: if Delta Lake has no such type and nothing is declared; with the line to write.

    """
    if declared is not None and _is_text(declared):
        wire, cast = pa.string(), _output if native.name in _AS_TEXT_BY_OUTPUT else _cast("text")
        return Reading(column, native, pa.string(), wire, cast)
    if native.element is None:
        type_, wire, cast = _scalar(column, native, declared)
        return Reading(column, native, type_, wire, cast)
    element = declared.value_type if declared is not None and pa.types.is_list(declared) else None
    part = reading(column, native.element, element)
    if part.is_array:
        raise AssertionError("PostgreSQL has no arrays of arrays")
    return Reading(column, native, _list(part.type_), _list(part.wire), _array_cast(native, part))


def _scalar(
    column: str, native: Native, declared: pa.DataType | None
) -> tuple[pa.DataType, pa.DataType, Callable[[str], str]]:
    if native.name in _PLAIN and native.kind == "b":
        wire = _PLAIN[native.name]
        return declared or wire, wire, _as_it_is
    if native.name == "oid":
        return declared or pa.int64(), pa.int64(), _cast("int8")
    if native.kind == "e" or native.name in _AS_TEXT:
        output = native.name in _AS_TEXT_BY_OUTPUT
        return declared or pa.string(), pa.string(), _output if output else _cast("text")
    if native.name in _DECIMALS:
        cast = _cast("numeric") if native.name == "money" else _as_it_is
        return _decimal(column, native, declared), pa.string(), cast
    raise _refused(column, native)


def _decimal(column: str, native: Native, declared: pa.DataType | None) -> pa.DataType:
    """Return the decimal type of a column that is `numeric`, or the type that its author wants instead."""
    if declared is not None and (pa.types.is_decimal(declared) or pa.types.is_integer(declared)):
        return declared
    digits = _digits(native) if declared is None else None
    if digits is None:
        raise _refused(column, native, declared)
    return pa.decimal128(*digits)


def _digits(native: Native) -> tuple[int, int] | None:
    """Return precision and scale as Delta Lake has them; None if there are none or too many."""
    if native.typmod < 0 or native.name != "numeric":
        return None
    modifier = native.typmod - 4
    precision, scale = (modifier >> 16) & 0xFFFF, ((modifier & 0x7FF) ^ 0x400) - 0x400
    if scale < 0:  # numeric(3, -2) holds 99900
        precision, scale = precision - scale, 0
    precision = max(precision, scale)  # numeric(3, 5) holds 0.00999
    return (precision, scale) if precision <= _MOST_DIGITS else None


def _refused(column: str, native: Native, declared: pa.DataType | None = None) -> SchemaMismatch:
    """Return the error for a type that has no counterpart, with the line to write."""
    as_text = f'columns={{"{column}": "string"}}'
    if declared is not None:
        return SchemaMismatch(
            f"column {column!r} is {native.spelled} in PostgreSQL, and declared as {declared}.",
            f'Declare a decimal, columns={{"{column}": "decimal(18, 2)"}}, or cast it in a query.',
        )
    if native.name == "money":
        return SchemaMismatch(
            f"column {column!r} is money, whose digits depend on the server's locale.",
            f'Declare them: columns={{"{column}": "decimal(19, 2)"}}.',
        )
    if native.name == "numeric" and native.typmod < 0:
        return SchemaMismatch(
            f"column {column!r} is numeric without precision and scale, and Delta Lake has only decimals "
            "that have both.",
            f'Declare them: columns={{"{column}": "decimal(38, 9)"}}.',
        )
    if native.name == "numeric":
        return SchemaMismatch(
            f"column {column!r} is numeric of more than {_MOST_DIGITS} digits, and Delta Lake's decimals "
            "have at most that.",
            f'Declare fewer, columns={{"{column}": "decimal(38, 9)"}}, or read it as text: {as_text}.',
        )
    advice = f"Read it as text, {as_text}, or cast it in a query."
    if native.name in _DURATIONS:
        advice = f"Read it as text, {as_text}, or as a number by a query: extract(epoch from {column})."
    return SchemaMismatch(
        f"column {column!r} is of type {native.spelled}, which Delta Lake cannot hold.", advice
    )


def _is_text(type_: pa.DataType) -> bool:
    return type_ in (pa.string(), pa.large_string(), pa.string_view())


def _list(type_: pa.DataType) -> pa.DataType:
    return pa.list_(pa.field("element", type_))


def _as_it_is(column: str) -> str:
    return column


def _cast(type_: str) -> Callable[[str], str]:
    return lambda column: f"{column}::{type_}"


def _output(column: str) -> str:
    return f"inet_out({column})::text"


def _array_cast(native: Native, part: Reading) -> Callable[[str], str]:
    """Return the expression of an array whose elements are read in some way."""
    element = part.expression("")
    if part.expression is _output:
        return lambda column: f"{column}::text::text[]"
    if element:
        return lambda column: f"{column}{element}[]"
    if native.is_wrapped:
        return lambda column: f"{column}::{part.native.spelled}[]"
    return _as_it_is
