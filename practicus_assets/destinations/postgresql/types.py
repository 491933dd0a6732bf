"""Types of PostgreSQL: which columns take a table's columns exactly, and in which form COPY does."""

import re

import pyarrow as pa
import pyarrow.compute as pc

from practicus_assets.destinations.cells import Cells, Convert, TargetColumn, mismatch, refused
from practicus_assets.destinations.export import Export
from practicus_assets.destinations.json_values import json_texts, refuse_unwritable
from practicus_assets.errors import LossyValues

_INTEGERS = {"smallint": pa.int16(), "integer": pa.int32(), "bigint": pa.int64()}
_EXACT_BITS = {"real": 16, "double precision": 32}  # integers of so many bits, floats hold exactly
_TEXTS = {"text", "citext", "json", "character varying"}
_NULL = "\x00"
_FIRST_DAY, _LAST_DAY = -2_440_588, 2_145_042_905  # 4714-11-24 BC to 5874897-12-31, since 1970
_FIRST_US = -210_866_803_200_000_000
_LAST_US = 2**63 - 2  # the last one is PostgreSQL's infinity
_UUID = re.compile(r"[0-9a-fA-F]{8}(-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12}")


def created_type(type_: pa.DataType, column: str) -> str:  # noqa: PLR0911 a table of types
    """Return the type of PostgreSQL that holds each value of a type of Delta Lake."""
    if pa.types.is_boolean(type_):
        return "boolean"
    if pa.types.is_integer(type_):
        return {8: "smallint", 16: "smallint", 32: "integer"}.get(type_.bit_width, "bigint")
    if pa.types.is_floating(type_):
        return "real" if type_.bit_width <= 32 else "double precision"  # noqa: PLR2004 bits
    if pa.types.is_decimal(type_):
        return f"numeric({type_.precision},{type_.scale})"
    if pa.types.is_string(type_):
        return "text"
    if pa.types.is_date(type_):
        return "date"
    if pa.types.is_timestamp(type_):
        return "timestamp with time zone" if type_.tz else "timestamp without time zone"
    if pa.types.is_binary(type_):
        return "bytea"
    refuse_unwritable(type_, column)
    return "jsonb"


def cells(export: Export, columns: dict[str, TargetColumn], kinds: dict[str, str]) -> Cells:
    """Return how an export's columns are sent.

    Args:
        export: the export.
        columns: the target's columns by name; each has those of the export.
        kinds: the type of each without its parameters, a domain's own; `enum` for an enumeration.

    Raises:
        SchemaMismatch: for a column whose type does not hold each value of the table's type.

    """
    fields, converts = [], []
    for field in export.schema:
        column = columns[field.name]
        found = _sent(field, column, kinds[field.name], export.snapshot.sample_rows)
        if found is None:
            raise mismatch(export, field, column, created_type(field.type, field.name))
        type_, convert = found
        fields.append(pa.field(field.name, type_))
        converts.append(_required(convert, column))
    return Cells(pa.schema(fields), converts)


def _sent(  # noqa: C901, PLR0911, PLR0912 a table of types
    field: pa.Field, column: TargetColumn, kind: str, sample_rows: int
) -> tuple[pa.DataType, Convert] | None:
    """Return the type in which a column is sent, and what makes it; None if values would change."""
    type_, name = field.type, field.name
    if pa.types.is_boolean(type_):
        return (type_, _as_it_is) if kind == "boolean" else None
    if pa.types.is_integer(type_):
        if kind in _INTEGERS and _INTEGERS[kind].bit_width >= type_.bit_width:
            return _cast(_INTEGERS[kind])
        digits = len(str(2 ** (type_.bit_width - 1)))
        if kind == "numeric" and _digits(column.type) >= digits and _scale(column.type) >= 0:
            return _cast(pa.decimal128(19))
        if type_.bit_width <= _EXACT_BITS.get(kind, 0):
            return _cast(pa.float32() if kind == "real" else pa.float64())
        return None
    if pa.types.is_floating(type_):
        if kind == "double precision" or (kind == "real" and type_.bit_width <= 32):  # noqa: PLR2004 bits
            return _cast(pa.float64() if kind == "double precision" else pa.float32())
        return None
    if pa.types.is_decimal(type_):
        whole, scale = _digits(column.type), _scale(column.type)
        fits = kind == "numeric" and whole >= type_.precision - type_.scale and scale >= type_.scale
        return (type_, _as_it_is) if fits else None
    if pa.types.is_string(type_):
        return _text(name, column, kind, sample_rows)
    if pa.types.is_date(type_):
        days = _between(name, pa.int32(), _FIRST_DAY, _LAST_DAY, sample_rows)
        return (type_, days) if kind == "date" else None
    if pa.types.is_timestamp(type_):
        fits = kind == ("timestamp with time zone" if type_.tz else "timestamp without time zone")
        fits = fits and not re.search(r"\(\d\)", column.type)  # fewer digits would round
        return (type_, _between(name, pa.int64(), _FIRST_US, _LAST_US, sample_rows)) if fits else None
    if pa.types.is_binary(type_):
        return (type_, _as_it_is) if kind == "bytea" else None
    if kind in {"json", "jsonb"}:
        refuse_unwritable(type_, name)
        if kind == "json":
            return pa.string(), lambda array: json_texts(array, name)
        return pa.binary(), lambda array: _jsonb(json_texts(array, name))
    return None


def _text(name: str, column: TargetColumn, kind: str, sample_rows: int) -> tuple[pa.DataType, Convert] | None:
    def clean(array: pa.Array) -> pa.Array:
        bad = pc.match_substring(array, _NULL)
        what, advice = "texts with the character \\0", "PostgreSQL has none: remove it."
        refused(array, bad, name, what, advice=advice, sample_rows=sample_rows)
        return array

    limit = re.search(r"\((\d+)\)", column.type) if kind == "character varying" else None
    if limit is not None:

        def short(array: pa.Array) -> pa.Array:
            what = f"texts longer than {limit[1]} characters"
            bad = pc.greater(pc.utf8_length(array), int(limit[1]))
            advice = f"The column is {column.type}: widen it there."
            refused(array, bad, name, what, advice=advice, sample_rows=sample_rows)
            return clean(array)

        return pa.string(), short
    if kind in _TEXTS or kind == "enum":
        return pa.string(), clean
    if kind == "jsonb":
        return pa.binary(), lambda array: _jsonb(clean(array))
    if kind == "uuid":
        return pa.binary(), lambda array: _uuids(array, name)
    return None


def _required(convert: Convert, column: TargetColumn) -> Convert:
    """Return a conversion that refuses nulls where the column takes none."""
    if column.nullable:
        return convert

    def required(array: pa.Array) -> pa.Array:
        if array.null_count:
            advice = "The column is NOT NULL there: fill the nulls in, or allow them there."
            refused(array, array.is_null(), column.name, "nulls", advice=advice, sample_rows=0)
        return convert(array)

    return required


def _between(name: str, number: pa.DataType, low: int, high: int, sample_rows: int) -> Convert:
    def between(array: pa.Array) -> pa.Array:
        numbers = array.cast(number)
        ends = pc.min_max(numbers).as_py()
        if ends["min"] is not None and (ends["min"] < low or ends["max"] > high):
            bad = pc.or_(pc.less(numbers, low), pc.greater(numbers, high))
            what = "dates that PostgreSQL does not have (before 4713 BC, or too late)"
            advice = "Make them null in the table."
            refused(array, bad, name, what, advice=advice, sample_rows=sample_rows)
        return array

    return between


def _cast(type_: pa.DataType) -> tuple[pa.DataType, Convert]:
    return type_, lambda array: array.cast(type_)


def _as_it_is(array: pa.Array) -> pa.Array:
    return array


def _jsonb(texts: pa.Array) -> pa.Array:
    """Return JSON texts in the binary form of jsonb: a version number, then the text."""
    return pc.binary_join_element_wise(pa.scalar("\x01"), texts, "").cast(pa.binary())


def _uuids(array: pa.Array, name: str) -> pa.Array:
    values = array.to_pylist()
    wrong = [value for value in values if value is not None and not _UUID.fullmatch(value)]
    if wrong:
        raise LossyValues(f"column {name!r} holds texts that are no UUIDs.", "Fix them in the table.")
    return pa.array([None if v is None else bytes.fromhex(v.replace("-", "")) for v in values], pa.binary())


def _parameters(type_: str) -> tuple[int, int] | None:
    found = re.search(r"numeric\((\d+),(-?\d+)\)", type_)
    return (int(found[1]), int(found[2])) if found else None


def _digits(type_: str) -> int:
    """Return how many digits a numeric type has before the point."""
    parameters = _parameters(type_)
    return parameters[0] - max(parameters[1], 0) if parameters else 1000


def _scale(type_: str) -> int:
    """Return how many digits a numeric type has behind the point."""
    parameters = _parameters(type_)
    return parameters[1] if parameters else 1000
