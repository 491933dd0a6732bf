"""Types of MySQL: which columns take a table's columns exactly, and values as literals of its SQL."""

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from practicus_assets.destinations.cells import Cells, Convert, TargetColumn, mismatch, refused
from practicus_assets.destinations.export import Export
from practicus_assets.destinations.json_values import json_texts, refuse_unwritable
from practicus_assets.errors import SchemaMismatch

_BITS = {"tinyint": 8, "smallint": 16, "mediumint": 24, "int": 32, "bigint": 64}
_EXACT_BITS = {"float": 16, "double": 32}  # integers of so many bits, floats hold exactly
_BYTES = {  # that a text or a blob holds
    "tinytext": 255, "text": 65_535, "mediumtext": 2**24 - 1, "longtext": 2**32 - 1,
    "tinyblob": 255, "blob": 65_535, "mediumblob": 2**24 - 1, "longblob": 2**32 - 1,
}  # fmt: skip
_MAX_SCALE = 30
_FIRST_DAY, _LAST_DAY = -719_162, 2_932_896  # 0001-01-01 to 9999-12-31, since 1970
_DAY_US = 86_400_000_000
_FIRST_US, _LAST_US = _FIRST_DAY * _DAY_US, (_LAST_DAY + 1) * _DAY_US - 1
_EPOCH_US, _LAST_STAMP_US = 1_000_000, (2**31 - 1) * 1_000_000 + 999_999  # of TIMESTAMP
_DATES = "dates that MySQL does not have (before the year 1, or after 9999)"
_STAMP = "times that no TIMESTAMP is (they begin in 1970 and end in 2038)"
_HEX = np.frombuffer("".join(f"{byte:02X}" for byte in range(256)).encode(), np.uint16)


def created_type(  # noqa: PLR0911 a table of types
    type_: pa.DataType, column: str, *, indexed: bool = False
) -> str:
    """Return the type of MySQL that holds each value of a type of Delta Lake.

    Args:
        type_: the type in the table.
        column: the column's name, for errors.
        indexed: whether it is in a key or an index, where texts must be short.

    Raises:
        SchemaMismatch: if there is none.

    """
    if pa.types.is_boolean(type_):
        return "boolean"
    if pa.types.is_integer(type_):
        return {8: "tinyint", 16: "smallint", 32: "int"}.get(type_.bit_width, "bigint")
    if pa.types.is_floating(type_):
        return "float" if type_.bit_width <= 32 else "double"  # noqa: PLR2004 bits
    if pa.types.is_decimal(type_):
        if type_.scale > _MAX_SCALE:
            raise SchemaMismatch(
                f"column {column!r} is of type {type_}, and decimals of MySQL have at most {_MAX_SCALE} "
                "digits behind the point.",
                "Cast it in the table.",
            )
        return f"decimal({type_.precision},{type_.scale})"
    if pa.types.is_string(type_):
        return "varchar(255)" if indexed else "longtext"
    if pa.types.is_date(type_):
        return "date"
    if pa.types.is_timestamp(type_):
        return "datetime(6)"  # in UTC, for TIMESTAMP ends in 2038
    if pa.types.is_binary(type_):
        return "varbinary(255)" if indexed else "longblob"
    refuse_unwritable(type_, column)
    return "json"


def exact_text(column: str) -> str:
    """Return a column of text, quoted, as what compares byte by byte, whatever its collation.

    `=` of most collations takes `a` and `A` for the same, and texts that differ in blanks at their ends.
    """
    return f"CAST(CONVERT({column} USING utf8mb4) AS BINARY)"


def cells(export: Export, columns: dict[str, TargetColumn]) -> Cells:
    """Return how an export's columns become literals.

    Raises:
        SchemaMismatch: for a column whose type does not hold each value of the table's type.

    """
    converts = []
    for field in export.schema:
        column = columns[field.name]
        convert = _literals(field, column, export.snapshot.sample_rows)
        if convert is None:
            raise mismatch(export, field, column, created_type(field.type, field.name))
        converts.append(_with_nulls(convert, column))
    return Cells(pa.schema([(name, pa.string()) for name in export.schema.names]), converts)


def _literals(  # noqa: C901, PLR0911 a table of types
    field: pa.Field, column: TargetColumn, sample_rows: int
) -> Convert | None:
    """Return what makes the literals of a column; None if values would change."""
    type_, name = field.type, field.name
    kind, unsigned = re.split(r"[ (]", column.type.lower())[0], "unsigned" in column.type.lower()
    numbers = [int(number) for number in re.findall(r"\d+", column.type)]
    if pa.types.is_boolean(type_):
        return (lambda array: array.cast(pa.int8()).cast(pa.string())) if kind in _BITS else None
    if pa.types.is_integer(type_):
        digits = len(str(2 ** (type_.bit_width - 1)))
        fits = _BITS.get(kind, 0) >= type_.bit_width or type_.bit_width <= _EXACT_BITS.get(kind, 0)
        fits = fits or (kind == "decimal" and numbers[0] - numbers[1] >= digits)
        return (lambda array: array.cast(pa.string())) if fits and not unsigned else None
    if pa.types.is_floating(type_):
        fits = kind == "double" or (kind == "float" and type_.bit_width <= 32)  # noqa: PLR2004 bits
        return _floats(name, sample_rows) if fits and not unsigned and not numbers else None
    if pa.types.is_decimal(type_):
        fits = kind == "decimal" and not unsigned and numbers[1] >= type_.scale
        fits = fits and numbers[0] - numbers[1] >= type_.precision - type_.scale
        return (lambda array: _in_quotes(array.cast(pa.string()))) if fits else None
    if pa.types.is_string(type_):
        return _texts(name, column, kind, sample_rows)
    if pa.types.is_date(type_):
        days = _between(name, pa.int32(), (_FIRST_DAY, _LAST_DAY), _DATES, sample_rows)
        return (lambda array: _in_quotes(days(array).cast(pa.string()))) if kind == "date" else None
    if pa.types.is_timestamp(type_):
        if numbers != [6] or kind not in ({"datetime", "timestamp"} if type_.tz else {"datetime"}):
            return None
        ends = (_EPOCH_US, _LAST_STAMP_US) if kind == "timestamp" else (_FIRST_US, _LAST_US)
        what = _STAMP if kind == "timestamp" else _DATES
        moments = _between(name, pa.int64(), ends, what, sample_rows)
        return lambda array: _in_quotes(moments(array).cast(pa.timestamp("us")).cast(pa.string()))
    if pa.types.is_binary(type_):
        limit = numbers[0] if kind == "varbinary" else _BYTES.get(kind, 0) if kind.endswith("blob") else 0
        return _blobs(name, column, limit, sample_rows) if limit else None
    if kind in {"json", "longtext"}:
        refuse_unwritable(type_, name)
        return lambda array: _escaped(json_texts(array, name))
    return None


def _texts(name: str, column: TargetColumn, kind: str, sample_rows: int) -> Convert | None:
    if kind in {"json", "enum", "uuid"}:
        return _escaped
    limit = int(re.findall(r"\d+", column.type)[0]) if kind == "varchar" else _BYTES.get(kind, 0)
    if not limit or kind.endswith("blob"):
        return None

    def texts(array: pa.Array) -> pa.Array:
        lengths = pc.utf8_length(array) if kind == "varchar" else pc.binary_length(array)
        what = f"texts longer than {limit} {'characters' if kind == 'varchar' else 'bytes'}"
        advice = f"The column is {column.type}: widen it there."
        bad = pc.greater(lengths, limit)
        refused(array, bad, name, what, advice=advice, sample_rows=sample_rows)
        return _escaped(array)

    return texts


def _floats(name: str, sample_rows: int) -> Convert:
    def floats(array: pa.Array) -> pa.Array:
        bad = pc.invert(pc.is_finite(array))
        advice = "MySQL has none: make them null in the table."
        refused(array, bad, name, "NaN or infinities", advice=advice, sample_rows=sample_rows)
        return _in_quotes(array.cast(pa.string()))

    return floats


def _blobs(name: str, column: TargetColumn, limit: int, sample_rows: int) -> Convert:
    def blobs(array: pa.Array) -> pa.Array:
        bad = pc.greater(pc.binary_length(array), limit)
        advice = f"The column is {column.type}: widen it there."
        refused(array, bad, name, f"values longer than {limit} bytes", advice=advice, sample_rows=sample_rows)
        return pc.binary_join_element_wise(pa.scalar("X'"), _hexadecimal(array), "'", "")

    return blobs


def _between(name: str, number: pa.DataType, ends: tuple[int, int], what: str, sample_rows: int) -> Convert:
    def between(array: pa.Array) -> pa.Array:
        numbers = array.cast(number)
        found = pc.min_max(numbers).as_py()
        if found["min"] is not None and (found["min"] < ends[0] or found["max"] > ends[1]):
            bad = pc.or_(pc.less(numbers, ends[0]), pc.greater(numbers, ends[1]))
            advice = "Make the column DATETIME(6), which has UTC then, or make them null in the table."
            refused(array, bad, name, what, advice=advice, sample_rows=sample_rows)
        return array

    return between


def _with_nulls(convert: Convert, column: TargetColumn) -> Convert:
    """Return a conversion whose nulls are literals, too, or are refused where the column takes none."""

    def literals(array: pa.Array) -> pa.Array:
        if array.null_count and not column.nullable:
            advice = "The column is NOT NULL there: fill the nulls in, or allow them there."
            refused(array, array.is_null(), column.name, "nulls", advice=advice, sample_rows=0)
        return pc.fill_null(convert(array), "NULL")

    return literals


def _in_quotes(texts: pa.Array) -> pa.Array:
    return pc.binary_join_element_wise(pa.scalar("'"), texts, "'", "")


def _escaped(texts: pa.Array) -> pa.Array:
    r"""Return texts as literals; in utf8mb4, `'` and `\` are the characters that end or escape."""
    for character, escaped in (("\\", "\\\\"), ("'", "\\'"), ("\0", "\\0")):
        texts = pc.replace_substring(texts, character, escaped)
    return _in_quotes(texts)


def _hexadecimal(array: pa.Array) -> pa.Array:
    """Return bytes as hexadecimal digits."""
    plain = pa.array(array, pa.binary()) if array.offset == 0 else pa.concat_arrays([array])
    validity, offsets, data = plain.buffers()
    ends = np.frombuffer(offsets, np.int32)[: len(plain) + 1]
    start = int(ends[0])
    digits = _HEX[np.frombuffer(data or b"", np.uint8)[start : int(ends[-1])]]
    moved = ((ends - start) * 2).astype(np.int32)
    buffers = [validity, pa.py_buffer(moved), pa.py_buffer(digits)]
    return pa.Array.from_buffers(pa.string(), len(plain), buffers, plain.null_count)
