"""Values: what the driver gives, as the exact type of a column; what Delta Lake cannot hold is refused."""

import datetime as dt
from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc

from practicus_assets.errors import DataRefused, LossyValues
from practicus_assets.lake.rows.casts import exact_cast
from practicus_assets.lake.rows.samples import shown
from practicus_assets.sources.postgresql.types import Reading
from practicus_assets.wording import number_of, readable

_NOT_NUMBERS = ("nan", "inf", "-inf")  # as the driver writes them
_MOST_DIGITS = 38
_SHOWN = 3
_DAY_US = 86_400_000_000
_FIRST_DAY = (dt.date(1, 1, 1) - dt.date(1970, 1, 1)).days
_LAST_DAY = (dt.date(9999, 12, 31) - dt.date(1970, 1, 1)).days
_DAYS_FROM_2000 = 10_957  # PostgreSQL counts from 2000 on, and the driver adds them also to infinity
_WRAP = {
    32: (2**31 - 1 + _DAYS_FROM_2000 - 2**32, -(2**31) + _DAYS_FROM_2000),
    64: (2**63 - 1 + _DAYS_FROM_2000 * _DAY_US - 2**64, -(2**63) + _DAYS_FROM_2000 * _DAY_US),
}


def converted(array: pa.Array, reading: Reading, first_row: int) -> pa.Array:
    """Return a column of a batch as its type, each value as it is in the database.

    Args:
        array: the column as the driver gives it.
        reading: how it is read.
        first_row: the batch's position in the stream, for errors.

    Raises:
        DataRefused: for NaN, infinities, and dates outside of the years 1 to 9999.
        LossyValues: for values that the declared type cannot hold.

    """
    if not reading.is_array:
        return _scalars(_stored(array), reading.type_, reading, reading.column, first_row)
    parts = _scalars(_stored(array.values), reading.type_.value_type, reading, f"{reading.column}[]", 0)
    missing = array.is_null() if array.null_count else None
    return pa.ListArray.from_arrays(array.offsets, parts, type=reading.type_, mask=missing)


def refuse_dimensions(dimensions: pa.Array, reading: Reading, first_row: int) -> None:
    """Raise DataRefused if arrays of a column have more than one dimension."""
    many = pc.greater(dimensions, 1)
    if pc.any(many).as_py():
        raise _refused(
            f"column {reading.column!r} has arrays of several dimensions", many, first_row, reading.column
        )


def stored(type_: pa.DataType) -> pa.DataType:
    """Return the type under an extension type, and under that of a list's elements."""
    if pa.types.is_list(type_):
        return pa.list_(pa.field("element", stored(type_.value_type)))
    return type_.storage_type if isinstance(type_, pa.BaseExtensionType) else type_


def _stored(array: pa.Array) -> pa.Array:
    """Return the values under an extension type."""
    return array.storage if isinstance(array, pa.ExtensionArray) else array


def _scalars(array: pa.Array, type_: pa.DataType, reading: Reading, column: str, first_row: int) -> pa.Array:
    source = array.type
    if reading.is_decimal and not pa.types.is_string(type_):
        array = _decimals(array, type_, column, first_row)
    elif pa.types.is_date(source):
        _refuse_outside(array.view(pa.int32()), 1, column, first_row)
    elif pa.types.is_timestamp(source):
        _refuse_outside(array.view(pa.int64()), _DAY_US, column, first_row)
    return exact_cast(array, type_, column, first_row)


def _decimals(texts: pa.Array, type_: pa.DataType, column: str, first_row: int) -> pa.Array:
    """Return numbers that are written as texts as decimals."""
    wanted = type_ if pa.types.is_decimal(type_) else pa.decimal128(_MOST_DIGITS, 0)
    odd = pc.is_in(texts, pa.array(_NOT_NUMBERS))
    if pc.any(odd).as_py():
        first = texts.filter(odd)[0].as_py()
        name = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[first]
        raise _refused(f"column {column!r} has {name}, which is no decimal", odd, first_row, column)
    longest = pc.max(pc.utf8_length(texts)).as_py()
    try:
        if longest is not None and longest > _MOST_DIGITS:  # pyarrow overflows in silence
            texts = _checked(texts, wanted)
        return texts.cast(wanted)
    except pa.ArrowInvalid:
        raise _too_wide(texts, wanted, column, first_row) from None


def _checked(texts: pa.Array, type_: pa.DataType) -> pa.Array:
    """Return numbers in as few digits as they need; raises ArrowInvalid for those that need too many."""
    written = []
    for text in texts.to_pylist():
        if text is None or len(text) <= _MOST_DIGITS:
            written.append(text)
            continue
        if not _fits(text, type_):
            raise pa.ArrowInvalid(text)
        number = Decimal(text)
        digits = number.as_tuple()
        cut = "".join(map(str, digits.digits)).rstrip("0") or "0"
        exponent = int(digits.exponent) + len(digits.digits) - len(cut)
        whole = Decimal((digits.sign, tuple(map(int, cut)), exponent)) if number else Decimal(0)
        written.append(f"{whole:f}")
    return pa.array(written, pa.string())


def _fits(text: str, type_: pa.DataType) -> bool:
    """Return whether a decimal type holds a number exactly."""
    digits = Decimal(text).as_tuple()
    places = list(digits.digits)
    exponent = int(digits.exponent)
    while len(places) > 1 and places[-1] == 0:
        places.pop()
        exponent += 1
    if places == [0]:
        return True
    scale, precision = int(type_.scale), int(type_.precision)
    return -exponent <= scale and len(places) + exponent <= precision - scale


def _too_wide(texts: pa.Array, type_: pa.DataType, column: str, first_row: int) -> LossyValues:
    rows = [row for row, text in enumerate(texts.to_pylist()) if text is not None and not _fits(text, type_)]
    values = [shown(pa.table({column: texts.slice(row, 1)}))[0][column] for row in rows[:_SHOWN]]
    sample = ", ".join(
        f"row {first_row + row}: {readable(value)}" for row, value in zip(rows, values, strict=False)
    )
    return LossyValues(
        f"column {column!r} has {number_of(len(rows), 'value')} that {type_} cannot hold exactly.",
        "Declare more digits, or round them in a query.",
        f"E.g. {sample}.",
    )


def _refuse_outside(numbers: pa.Array, per_day: int, column: str, first_row: int) -> None:
    """Refuse infinities, and moments outside of the years that readers of Delta tables know."""
    first, last = _FIRST_DAY * per_day, (_LAST_DAY + 1) * per_day - 1
    found = pc.min_max(numbers)
    lowest, highest = found["min"].as_py(), found["max"].as_py()
    if lowest is None or (lowest >= first and highest <= last):
        return
    upper, lower = _WRAP[numbers.type.bit_width]
    for value, name in ((upper, "infinity"), (lower, "-infinity")):
        infinite = pc.equal(numbers, value)
        if pc.any(infinite).as_py():
            raise _refused(
                f"column {column!r} has {name}, which is no date or time in Delta Lake",
                infinite,
                first_row,
                column,
            )
    outside = pc.or_(pc.less(numbers, first), pc.greater(numbers, last))
    raise _refused(f"column {column!r} has dates outside of the years 1 to 9999", outside, first_row, column)


def _refused(problem: str, rows: pa.Array, first_row: int, column: str) -> DataRefused:
    """Return the error for values that are refused.

    Args:
        problem: which values, in which column.
        rows: whether each row of the batch has one.
        first_row: the batch's position in the stream.
        column: the column's name.

    """
    at = [row for row, is_refused in enumerate(rows.to_pylist()) if is_refused]
    return DataRefused(
        f"{problem}: {number_of(len(at), 'value')} of a batch, the first in row {first_row + at[0]}.",
        f"Leave these rows out by a query, or make {column.removesuffix('[]')} null there.",
    )
