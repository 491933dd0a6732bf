"""Casts to the types of a table's columns, which change no value."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from practicus_assets.errors import LossyValues, SchemaMismatch
from practicus_assets.lake.rows.samples import shown
from practicus_assets.lake.rows.types import has_required, is_encoded, is_list
from practicus_assets.wording import number_of, readable

_EXACT_INTEGERS = {
    16: 1 << 11,
    32: 1 << 24,
    64: 1 << 53,
}  # by a float's bits: from there on neighbours share one
_SHOWN_ROWS = 3
_TAKEN = {pa.string_view(): pa.string(), pa.binary_view(): pa.binary()}  # pyarrow cannot take from views


class _NoValue(pa.ArrowInvalid):  # type: ignore[misc] # pyarrow has no types
    """A null where a column, or a part of its values, is NOT NULL."""


def exact_cast(array: pa.Array, type_: pa.DataType, column: str, first_row: int = 0) -> pa.Array:
    """Return the array as another type, each value unchanged.

    Args:
        array: the values of a column in one batch.
        type_: the type of a table's column.
        column: the column's name, for the error.
        first_row: the batch's position in the output, for the error.

    Raises:
        LossyValues: naming the column, the first rows that would change, and both types.
        SchemaMismatch: naming the part of a nested column that is NOT NULL, and the first rows that have
            none.

    """
    if array.type == type_ and not has_required(type_):
        return array
    if is_encoded(array.type):
        return exact_cast(_decoded(array), type_, column, first_row)
    if not _same_kind(array.type, type_):
        raise LossyValues(
            f"column {column!r} is of type {array.type}, and the table's column of type {type_}.",
            _advice(array.type, type_),
        )
    try:
        return _checked_cast(array, type_, column)
    except pa.ArrowInvalid as error:
        rows = _rows_that_fail(array, type(error), lambda part: _checked_cast(part, type_, column))
        if not rows:
            raise LossyValues(
                f"column {column!r} has a batch of {number_of(len(array), 'row')} of type {array.type} "
                f"that do not fit into type {type_} at once.",
                "Return smaller batches.",
                f"pyarrow says: {error}.",
            ) from error
        values = [shown(pa.table({column: array.slice(row, 1)}))[0][column] for row in rows]
        sample = ", ".join(
            f"row {first_row + row}: {readable(v)}" for row, v in zip(rows, values, strict=True)
        )
        if isinstance(error, _NoValue):
            raise SchemaMismatch(str(error), "Fill or drop these rows.", f"E.g. {sample}.") from None
        raise LossyValues(
            f"column {column!r} has values of type {array.type} that type {type_} cannot hold exactly.",
            "Round or convert them on purpose, or change the column's type.",
            f"E.g. {sample}.",
        ) from None


def exact_batch(batch: pa.RecordBatch, schema: pa.Schema, first_row: int = 0) -> pa.RecordBatch:
    """Return rows as the columns of a schema, each value unchanged; those that they lack are null.

    Raises:
        LossyValues, SchemaMismatch: as `exact_cast` does.

    """
    arrays = [
        exact_cast(batch.column(field.name), field.type, field.name, first_row)
        if field.name in batch.schema.names
        else pa.nulls(batch.num_rows, field.type)
        for field in schema
    ]
    return pa.record_batch(arrays, schema=schema) if arrays else batch.select([])


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
    """Return categories or runs as an array of their values."""
    if pa.types.is_dictionary(array.type):
        values, positions = array.dictionary, array.indices
    else:
        ends = np.asarray(array.run_ends)
        at = np.searchsorted(ends, np.arange(array.offset, array.offset + len(array)), side="right")
        values, positions = array.values, pa.array(at)
    if is_encoded(values.type):
        values = _decoded(values)
    return values.cast(_TAKEN.get(values.type, values.type)).take(positions)


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
    if is_list(source) and pa.types.is_map(target):  # polars has no other maps
        pair = source.value_type
        return (
            pa.types.is_struct(pair)
            and pair.names == ["key", "value"]
            and _same_kind(pa.map_(pair.field(0).type, pair.field(1).type), target)
        )
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
            and {f.name for f in source} <= {f.name for f in target}
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


def _checked_cast(  # noqa: C901, PLR0911 a table of types
    array: pa.Array, type_: pa.DataType, path: str
) -> pa.Array:
    """Cast, and raise ArrowInvalid for any value that changes; pyarrow's safe cast lets some pass."""
    source = array.type
    if source == type_ and not has_required(type_):
        return array
    if pa.types.is_null(source):
        return _nulls(len(array), type_)
    if is_encoded(source):
        return _checked_cast(_decoded(array), type_, path)
    if pa.types.is_map(type_):
        return _cast_map(array, type_, path)
    if is_list(source):
        return _cast_list(array, type_, path)
    if pa.types.is_struct(source):
        return _cast_struct(array, type_, path)
    if pa.types.is_floating(source) and pa.types.is_integer(type_):
        exact = float(_EXACT_INTEGERS[source.bit_width])
        array = array.cast(pa.float64())
        odd = pc.or_(pc.greater_equal(pc.abs(array), exact), pc.invert(pc.is_finite(array)))
        if pc.any(odd).as_py():
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


def _cast_struct(array: pa.Array, type_: pa.DataType, path: str) -> pa.Array:
    """Cast the fields of structs; those that the structs lack are null."""
    children = dict(zip(array.type.names, array.flatten(), strict=True))
    missing = array.is_null()
    fields = []
    for f in type_:
        child = children.get(f.name)
        if child is None:
            child = pa.nulls(len(array), pa.null())
        cast = _checked_cast(child, f.type, f"{path}.{f.name}")
        fields.append(cast if f.nullable else _required(cast, missing, f"{path}.{f.name}"))
    return pa.StructArray.from_arrays(fields, fields=list(type_), mask=missing)


def _cast_list(array: pa.Array, type_: pa.DataType, path: str) -> pa.Array:
    # flattened without what lies under nulls or outside a slice
    values = _checked_cast(array.flatten(), type_.value_type, f"{path}[]")
    if not type_.value_field.nullable:
        values = _required(values, None, f"{path}[]")
    return pa.ListArray.from_arrays(_offsets(array), values, type=type_, mask=_mask(array))


def _cast_map(array: pa.Array, type_: pa.DataType, path: str) -> pa.Array:
    if pa.types.is_map(array.type):
        # not by a cast, which gives other values where they are run-end encoded
        pairs = pa.StructArray.from_arrays([array.keys, array.items], ["key", "value"])
        offsets = pa.array(np.asarray(array.offsets))
        array = pa.ListArray.from_arrays(offsets, pairs, mask=_mask(array))
    keys, items = array.flatten().flatten()
    keys = _required(_checked_cast(keys, type_.key_type, f"{path}.key"), None, f"{path}.key")
    items = _checked_cast(items, type_.item_type, f"{path}.value")
    if not type_.item_field.nullable:
        items = _required(items, None, f"{path}.value")
    return pa.MapArray.from_arrays(_offsets(array), keys, items, type=type_, mask=_mask(array))


def _required(array: pa.Array, missing: pa.Array | None, path: str) -> pa.Array:
    """Return values of a part that is NOT NULL, with some value, not seen, under each missing parent."""
    nulls = array.is_null()
    if missing is not None:
        nulls = pc.and_not(nulls, missing)
    if pc.any(nulls).as_py():
        raise _NoValue(f"{path!r} is NOT NULL in the table, and some rows have no value there.")
    if not array.null_count:
        return array
    filler = _fillers(1, array.type)
    positions = np.where(np.asarray(array.is_null()), len(array), np.arange(len(array)))
    return pa.concat_arrays([array, filler]).take(pa.array(positions))


def _nulls(count: int, type_: pa.DataType) -> pa.Array:
    if not pa.types.is_struct(type_) or not has_required(type_):
        return pa.nulls(count, type_)
    parts = [_nulls(count, f.type) if f.nullable else _fillers(count, f.type) for f in type_]
    return pa.StructArray.from_arrays(parts, fields=list(type_), mask=pa.array(np.ones(count, dtype=bool)))


def _fillers(count: int, type_: pa.DataType) -> pa.Array:
    return pa.array([_some_value(type_)], type_).take(pa.array(np.zeros(count, dtype=np.int64)))


def _some_value(type_: pa.DataType) -> Any:
    """Return any value of a type, as Python has it."""
    if pa.types.is_struct(type_):
        return {f.name: _some_value(f.type) for f in type_}
    if pa.types.is_nested(type_):
        return []
    if pa.types.is_boolean(type_):
        return False
    return "" if pa.types.is_string(type_) or pa.types.is_binary(type_) else 0


def _offsets(lists: pa.Array) -> pa.Array:
    lengths = np.asarray(pc.fill_null(pc.list_value_length(lists), 0))
    return pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int32())


def _mask(array: pa.Array) -> pa.Array | None:
    return array.is_null() if array.null_count else None


def _rows_that_fail(
    array: pa.Array, kind: type[Exception], attempt: Callable[[pa.Array], object]
) -> list[int]:
    """Return the first few rows on which `attempt` raises an error of this kind, by halving."""
    rows: list[int] = []
    pending = [(0, len(array))]
    while pending and len(rows) < _SHOWN_ROWS:
        start, length = pending.pop()
        try:
            attempt(array.slice(start, length))
        except pa.ArrowInvalid as error:
            if length == 1:
                rows += [start] if type(error) is kind else []
            else:
                half = length // 2
                pending += [(start + half, length - half), (start, half)]
    return rows
