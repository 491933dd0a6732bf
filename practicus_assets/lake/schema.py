"""Column types: what Delta Lake can hold, casts that change no value, and changes of a table's schema."""

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from practicus_assets.errors import LossyValues, SchemaMismatch

SchemaChange = Literal["add", "refuse", "replace"]

_EXACT_FLOAT = 1 << 53  # from here on neighbouring integers share one float64
_MAX_DECIMAL_DIGITS = 38
_SHOWN_ROWS = 3

_STORED: dict[pa.DataType, pa.DataType] = {
    pa.uint8(): pa.int16(),
    pa.uint16(): pa.int32(),
    pa.uint32(): pa.int64(),
    pa.uint64(): pa.int64(),
    pa.float16(): pa.float32(),
    pa.large_string(): pa.string(),
    pa.string_view(): pa.string(),
    pa.large_binary(): pa.binary(),
    pa.binary_view(): pa.binary(),
    pa.date64(): pa.date32(),
}
_AS_THEY_ARE = {
    *(pa.bool_(), pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.float32(), pa.float64()),
    *(pa.string(), pa.binary(), pa.date32()),
}


def stored_type(type_: pa.DataType, column: str) -> pa.DataType:
    """Return the Arrow type in which a Delta table holds values of a type.

    Source: Delta protocol, "Schema Serialization Format", primitive and nested types.

    Raises:
        SchemaMismatch: if there is none.

    """
    if type_ in _AS_THEY_ARE:
        return type_
    if type_ in _STORED:
        return _STORED[type_]
    if pa.types.is_timestamp(type_):
        return pa.timestamp("us", "UTC" if type_.tz else None)
    if pa.types.is_decimal(type_) and type_.precision <= _MAX_DECIMAL_DIGITS and type_.scale >= 0:
        return pa.decimal128(type_.precision, type_.scale)
    if pa.types.is_dictionary(type_) or pa.types.is_run_end_encoded(type_):
        return stored_type(type_.value_type, column)
    if pa.types.is_fixed_size_binary(type_):
        return pa.binary()
    if _is_list(type_):
        return pa.list_(pa.field("element", stored_type(type_.value_type, f"{column}[]")))
    if pa.types.is_map(type_):
        key = stored_type(type_.key_type, f"{column}.key")
        return pa.map_(key, stored_type(type_.item_type, f"{column}.value"))
    if pa.types.is_struct(type_):
        return pa.struct([pa.field(f.name, stored_type(f.type, f"{column}.{f.name}")) for f in type_])
    if pa.types.is_null(type_):
        raise SchemaMismatch(
            f"column {column!r} holds only nulls, so its type is unknown.",
            "Declare it in the contract, or give the column a type.",
        )
    raise SchemaMismatch(
        f"column {column!r} is of type {type_}, which Delta Lake cannot hold.", "Convert it before you return it."
    )


def _is_list(type_: pa.DataType) -> bool:
    return bool(
        pa.types.is_list(type_)
        or pa.types.is_large_list(type_)
        or pa.types.is_fixed_size_list(type_)
        or pa.types.is_list_view(type_)
        or pa.types.is_large_list_view(type_)
    )


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
    if pa.types.is_dictionary(array.type) or pa.types.is_run_end_encoded(array.type):
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
    except pa.ArrowInvalid:
        rows = _rows_that_fail(array, lambda part: _checked_cast(part, type_))
        values = ", ".join(f"row {first_row + row}: {array[row].as_py()!r}" for row in rows)
        raise LossyValues(
            f"column {column!r} has values of type {array.type} that type {type_} cannot hold exactly ({values}).",
            "Round or convert them on purpose, or change the column's type.",
        ) from None


def _decoded(array: pa.Array) -> pa.Array:
    return array.dictionary_decode() if pa.types.is_dictionary(array.type) else pc.run_end_decode(array)


def _same_kind(source: pa.DataType, target: pa.DataType) -> bool:
    """Whether values of one type can be values of the other at all: 7 is no text, noon is no instant."""
    is_int, is_float, is_decimal = pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal
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
    if _is_list(source):
        return _is_list(target) and _same_kind(source.value_type, target.value_type)
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


def _checked_cast(array: pa.Array, type_: pa.DataType) -> pa.Array:
    """Cast, and raise ArrowInvalid for any value that changes; pyarrow's safe cast lets some pass."""
    source = array.type
    if source == type_ or pa.types.is_null(source):
        return array.cast(type_)
    if _is_list(source) and _is_list(type_):
        return _cast_list(array, type_)
    if pa.types.is_struct(source):
        children = [_checked_cast(array.field(f.name), f.type) for f in type_]
        return pa.StructArray.from_arrays(children, fields=list(type_), mask=array.is_null())
    if pa.types.is_map(source):
        keys = _checked_cast(array.keys, type_.key_type)
        items = _checked_cast(array.items, type_.item_type)
        return pa.MapArray.from_arrays(array.offsets, keys, items, type=type_, mask=_mask(array))
    if pa.types.is_floating(source) and pa.types.is_integer(type_):
        beyond = pc.any(pc.greater_equal(pc.abs(array), pa.scalar(float(_EXACT_FLOAT), source)))
        if beyond.as_py() or pc.any(pc.invert(pc.is_finite(array))).as_py():
            raise pa.ArrowInvalid("an integer that a float cannot tell from its neighbour")
    result = array.cast(type_)
    if pa.types.is_floating(type_) or pa.types.is_date(type_):
        back = result.cast(source, safe=False)
        same = pc.equal(back, array)
        if pa.types.is_floating(source):
            same = pc.or_(same, pc.and_(pc.is_nan(back), pc.is_nan(array)))
        if pc.any(pc.invert(same)).as_py():
            raise pa.ArrowInvalid("a value that does not come back")
    return result


def _mask(array: pa.Array) -> pa.Array | None:
    return array.is_null() if array.null_count else None


def _cast_list(array: pa.Array, type_: pa.DataType) -> pa.Array:
    lists = array.cast(pa.list_(array.type.value_type))  # large, fixed size and view lists as plain ones
    lists = pa.concat_arrays([lists])
    values = _checked_cast(lists.flatten(), type_.value_type)
    lengths = np.asarray(pc.fill_null(pc.list_value_length(lists), 0))
    offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int32())
    return pa.ListArray.from_arrays(offsets, values, type=type_, mask=_mask(lists))


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


def reconcile(
    output: pa.Schema,
    table: pa.Schema | None,
    declared: pa.Schema | None,
    filled: Sequence[str],
    change: SchemaChange,
    *,
    all_rows: bool,
) -> pa.Schema:
    """Return the schema that the table has after the commit.

    Args:
        output: the columns that the author's function returned.
        table: the table's columns now; None before its first commit.
        declared: the contract's columns, which decide types.
        filled: partition columns that the scope fills in where the output lacks them.
        change: what may change in an existing table.
        all_rows: whether the transaction replaces every row of the table.

    Raises:
        SchemaMismatch: for a column that is missing, new without leave, or of a type Delta cannot hold.

    """
    if change == "replace" and not all_rows:
        raise SchemaMismatch(
            'on_schema_change="replace" would change rows that this transaction does not replace.',
            "Use it on a table that each run replaces as a whole.",
        )
    promised = {f.name: f.type for f in declared} if declared is not None else {}
    existing = {f.name: f for f in table} if table is not None and change != "replace" else {}
    names = [*output.names, *(column for column in filled if column not in output.names)]
    missing = [name for name in {**existing, **promised} if name not in names]
    if missing:
        raise SchemaMismatch(
            f"the output lacks the columns {missing}; it has {output.names}.",
            "Return them, with nulls if need be" + (', or set on_schema_change="replace".' if all_rows else "."),
        )
    new = [name for name in names if name not in existing]
    if existing and new and change == "refuse":
        raise SchemaMismatch(
            f'the columns {new} are new, and on_schema_change is "refuse".',
            f"The table has the columns {list(existing)}.",
        )
    fields = []
    for name in [*existing, *new]:
        wanted = promised.get(name) or (output.field(name).type if name in output.names else pa.string())
        field = existing.get(name)
        if field is None:
            field = pa.field(name, stored_type(wanted, name))
        elif not pa.types.is_null(wanted):
            field = _fitted(field, stored_type(wanted, name), change, all_rows=all_rows)
            if name in promised and field.type != stored_type(wanted, name):
                raise SchemaMismatch(
                    f"column {name!r} is of type {field.type} in the table and {wanted} in the contract.",
                    "Change the contract, or rewrite the table as a whole.",
                )
        fields.append(field)
    return pa.schema(fields)


def _fitted(field: pa.Field, wanted: pa.DataType, change: SchemaChange, *, all_rows: bool) -> pa.Field:
    """Return a column's field, widened where every row is replaced and the wanted type holds more."""
    return field.with_type(wanted) if all_rows and change == "add" and _widens(field.type, wanted) else field


def _widens(narrow: pa.DataType, wide: pa.DataType) -> bool:
    """Whether each value of the first type is a value of the second."""
    if pa.types.is_integer(narrow) and pa.types.is_integer(wide):
        return bool(wide.bit_width > narrow.bit_width)
    if narrow == pa.float32() and wide == pa.float64():
        return True
    if pa.types.is_decimal(narrow) and pa.types.is_decimal(wide):
        whole = wide.precision - wide.scale >= narrow.precision - narrow.scale
        return bool(whole and wide.scale >= narrow.scale and wide != narrow)
    return False
