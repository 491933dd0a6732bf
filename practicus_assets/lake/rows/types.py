"""Types: those that Delta Lake can hold, and what others are stored as."""

import pyarrow as pa

from practicus_assets.errors import SchemaMismatch

_MAX_DECIMAL_DIGITS = 38

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


def stored_type(  # noqa: C901, PLR0911 a table of types
    type_: pa.DataType, column: str, *, keeps_required: bool = False
) -> pa.DataType:
    """Return the Arrow type in which a Delta table holds values of a type.

    Source: Delta protocol, "Schema Serialization Format", primitive and nested types.

    Args:
        type_: an Arrow type.
        column: the name of the column, for the error.
        keeps_required: whether parts of a nested type that are NOT NULL stay so; else they may hold nulls.

    Raises:
        SchemaMismatch: if there is none.

    """

    def part(name: str, field: pa.Field, path: str) -> pa.Field:
        stored = stored_type(field.type, path, keeps_required=keeps_required)
        return pa.field(name, stored, field.nullable or not keeps_required)

    if type_ in _AS_THEY_ARE:
        return type_
    if type_ in _STORED:
        return _STORED[type_]
    if pa.types.is_timestamp(type_):
        return pa.timestamp("us", "UTC" if type_.tz else None)
    if pa.types.is_decimal(type_) and type_.precision <= _MAX_DECIMAL_DIGITS and type_.scale >= 0:
        return pa.decimal128(type_.precision, type_.scale)
    if is_encoded(type_):
        return stored_type(type_.value_type, column, keeps_required=keeps_required)
    if pa.types.is_fixed_size_binary(type_):
        return pa.binary()
    if is_list(type_):
        return pa.list_(part("element", type_.value_field, f"{column}[]"))
    if pa.types.is_map(type_):
        key = stored_type(type_.key_type, f"{column}.key")
        item = part("value", type_.item_field, f"{column}.value")
        if "timestamp[us]" in f"{key} {item.type}":
            raise SchemaMismatch(
                f"column {column!r} is a map with times without zone, for which delta-rs makes no table.",
                "Give the times a zone.",
            )
        return pa.map_(key, item)
    if pa.types.is_struct(type_) and 0 < type_.num_fields == len({f.name.lower() for f in type_}):
        return pa.struct([part(f.name, f, f"{column}.{f.name}") for f in type_])
    if pa.types.is_null(type_):
        raise SchemaMismatch(
            f"column {column!r} holds only nulls, so its type is unknown.",
            'Give it one, such as .astype("string") in pandas or .cast(pl.String) in polars; or declare it, '
            "in a contract or in the metadata dagster/column_schema.",
        )
    raise SchemaMismatch(
        f"column {column!r} is of type {type_}, which Delta Lake cannot hold.",
        "Convert it before you return it.",
    )


def knows_nulls_only(type_: pa.DataType) -> bool:
    """Return whether a type, or one inside it, is that of values of which only nulls are known."""
    if pa.types.is_nested(type_):
        return any(knows_nulls_only(type_.field(i).type) for i in range(type_.num_fields))
    return bool(pa.types.is_null(type_))


def has_required(type_: pa.DataType) -> bool:
    """Return whether a part of a nested type is NOT NULL, besides the keys of maps."""
    if pa.types.is_map(type_):
        parts = [type_.key_field.with_nullable(True), type_.item_field]  # noqa: FBT003 the property's name
    else:
        parts = [type_.field(i) for i in range(type_.num_fields)] if pa.types.is_nested(type_) else []
    return any(not part.nullable or has_required(part.type) for part in parts)


def is_encoded(type_: pa.DataType) -> bool:
    """Return whether a type holds its values once and refers to them, as categories and runs do."""
    return bool(pa.types.is_dictionary(type_) or pa.types.is_run_end_encoded(type_))


def is_list(type_: pa.DataType) -> bool:
    """Return whether a type is one of Arrow's lists: small, large, of fixed size, or a view."""
    return bool(
        pa.types.is_list(type_)
        or pa.types.is_large_list(type_)
        or pa.types.is_fixed_size_list(type_)
        or pa.types.is_list_view(type_)
        or pa.types.is_large_list_view(type_)
    )
