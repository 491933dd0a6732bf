"""Casts to the types of a table's columns, which change no value."""

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from practicus_assets.errors import LossyValues
from practicus_assets.lake.rows.samples import shown
from practicus_assets.lake.rows.types import is_encoded, is_list

_EXACT_INTEGERS = {
    16: 1 << 11,
    32: 1 << 24,
    64: 1 << 53,
}  # by a float's bits: from there on neighbours share one
_SHOWN_ROWS = 3


def exact_cast(array: pa.Array, type_: pa.DataType, column: str, first_row: int = 0) -> pa.Array:
    """Return the array as another type, each value unchanged.

    Args:
        array: the values of a column in one batch.
        type_: a type that `stored_type` returns.
        column: the column's name, for the error.
        first_row: the batch's position in the output, for the error.

    Raises:
        LossyValues: naming the column, the first rows that would change, and both types.

    """
    if array.type == type_:
        return array
    if is_encoded(array.type):
        return exact_cast(_decoded(array), type_, column, first_row)
    if not _same_kind(array.type, type_):
        raise LossyValues(
            f"column {column!r} is of type {array.type}, and the table's column of type {type_}.",
            _advice(array.type, type_),
        )
    if len(array) == array.null_count:
        return pa.nulls(len(array), type_)
    try:
        return _checked_cast(array, type_)
    except pa.ArrowInvalid as error:
        rows = _rows_that_fail(array, lambda part: _checked_cast(part, type_))
        if not rows:
            raise LossyValues(
                f"column {column!r} has a batch of {len(array):,} rows of type {array.type} "
                f"that do not fit into type {type_} at once: {error}.",
                "Return smaller batches.",
            ) from error
        found = shown(pa.table({column: array.take(pa.array(rows))}))
        values = ", ".join(
            f"row {first_row + row}: {value[column]!r}" for row, value in zip(rows, found, strict=True)
        )
        raise LossyValues(
            f"column {column!r} has values of type {array.type} that type {type_} cannot hold exactly "
            f"({values}).",
            "Round or convert them on purpose, or change the column's type.",
        ) from None


def exact_scalar(value: object, type_: pa.DataType) -> pa.Scalar:
    """Return a Python value as a scalar of a type.

    Raises:
        ValueError, TypeError, OverflowError: if it is none; pyarrow would make 1.5 the integer 1.

    """
    scalar = pa.scalar(value, type_)
    if pa.types.is_integer(type_) and value is not None and scalar.as_py() != value:
        raise ValueError(f"{value!r} is no {type_}")
    return scalar


def _decoded(array: pa.Array) -> pa.Array:
    return array.dictionary_decode() if pa.types.is_dictionary(array.type) else pc.run_end_decode(array)


def _same_kind(  # noqa: C901, PLR0911, PLR0912 a table of types
    source: pa.DataType, target: pa.DataType
) -> bool:
    """Whether values of one type can be values of the other at all: 7 is no text, noon is no instant."""
    is_int, is_float, is_decimal = pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal
    if is_encoded(source):
        return _same_kind(source.value_type, target)
    if pa.types.is_null(source):
        return True
    if is_int(source):
        return bool(is_int(target) or is_float(target) or is_decimal(target))
    if is_float(source):
        return bool(is_int(target) or is_float(target))
    if is_decimal(source):
        return bool(is_decimal(target) or is_int(target))
    if pa.types.is_timestamp(source):
        if pa.types.is_date(target):
            return source.tz is None
        return bool(pa.types.is_timestamp(target) and (source.tz is None) == (target.tz is None))
    if pa.types.is_date(source):
        return bool(pa.types.is_date(target))
    if is_list(source):
        return is_list(target) and _same_kind(source.value_type, target.value_type)
    if pa.types.is_map(source):
        return bool(
            pa.types.is_map(target)
            and _same_kind(source.key_type, target.key_type)
            and _same_kind(source.item_type, target.item_type)
        )
    if pa.types.is_struct(source):
        return (
            pa.types.is_struct(target)
            and {f.name for f in source} == {f.name for f in target}
            and all(_same_kind(f.type, target.field(f.name).type) for f in source)
        )
    text = (pa.string(), pa.large_string(), pa.string_view())
    if source in text:
        return target in text
    if source in (pa.binary(), pa.large_binary(), pa.binary_view()) or pa.types.is_fixed_size_binary(source):
        return bool(target == pa.binary())
    return bool(source == target)


def _advice(source: pa.DataType, target: pa.DataType) -> str:
    if pa.types.is_timestamp(source) and pa.types.is_timestamp(target):
        return "Give the times a zone (tz_localize) on purpose, or take it away (tz_localize(None))."
    return "Convert the column on purpose before you return it, or change the table's schema."


def _checked_cast(array: pa.Array, type_: pa.DataType) -> pa.Array:  # noqa: C901, PLR0911 a table of types
    """Cast, and raise ArrowInvalid for any value that changes; pyarrow's safe cast lets some pass."""
    source = array.type
    if source == type_:
        return array
    if pa.types.is_null(source):
        return pa.nulls(len(array), type_)
    if is_encoded(source):
        return _checked_cast(_decoded(array), type_)
    if is_list(source):
        return _cast_list(array, type_)
    if pa.types.is_map(source):
        return _cast_map(array, type_)
    if pa.types.is_struct(source):
        children = dict(zip(source.names, array.flatten(), strict=True))
        cast = [_checked_cast(children[f.name], f.type) for f in type_]
        return pa.StructArray.from_arrays(cast, fields=list(type_), mask=array.is_null())
    if pa.types.is_floating(source) and pa.types.is_integer(type_):
        exact = float(_EXACT_INTEGERS[source.bit_width])
        array = array.cast(pa.float64())
        if pc.any(pc.greater_equal(pc.abs(array), exact)).as_py() or not pc.all(pc.is_finite(array)).as_py():
            raise pa.ArrowInvalid("an integer that a float cannot tell from its neighbour")
    if pa.types.is_integer(source) and pa.types.is_decimal(type_):
        array = array.cast(pa.decimal128(38, type_.scale))  # pyarrow refuses what might not fit, unseen
    result = array.cast(type_)
    if source != pa.float16() and (pa.types.is_floating(type_) or pa.types.is_date(type_)):
        back = result.cast(source, safe=False)
        same = pc.equal(back, array)
        if pa.types.is_floating(source):
            same = pc.or_(same, pc.and_(pc.is_nan(back), pc.is_nan(array)))
        if pc.any(pc.invert(same)).as_py():
            raise pa.ArrowInvalid("a value that does not come back")
    return result


def _cast_list(array: pa.Array, type_: pa.DataType) -> pa.Array:
    values = _checked_cast(
        array.flatten(), type_.value_type
    )  # without what lies under nulls or outside a slice
    return pa.ListArray.from_arrays(_offsets(array), values, type=type_, mask=_mask(array))


def _cast_map(array: pa.Array, type_: pa.DataType) -> pa.Array:
    entry = pa.struct([pa.field("key", array.type.key_type), pa.field("value", array.type.item_type)])
    lists = array.cast(pa.list_(entry))
    keys, items = lists.flatten().flatten()
    keys, items = _checked_cast(keys, type_.key_type), _checked_cast(items, type_.item_type)
    return pa.MapArray.from_arrays(_offsets(lists), keys, items, type=type_, mask=_mask(lists))


def _offsets(lists: pa.Array) -> pa.Array:
    lengths = np.asarray(pc.fill_null(pc.list_value_length(lists), 0))
    return pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int32())


def _mask(array: pa.Array) -> pa.Array | None:
    return array.is_null() if array.null_count else None


def _rows_that_fail(array: pa.Array, attempt: Callable[[pa.Array], object]) -> list[int]:
    """Return the first few rows on which `attempt` raises, found by halving."""
    found: list[int] = []
    pending = [(0, len(array))]
    while pending and len(found) < _SHOWN_ROWS:
        start, length = pending.pop()
        try:
            attempt(array.slice(start, length))
        except pa.ArrowInvalid:
            if length == 1:
                found.append(start)
            else:
                half = length // 2
                pending += [(start + half, length - half), (start, half)]
    return found
