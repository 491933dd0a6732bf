"""Types of the standard: a property's logical and physical type as an Arrow type, and the other way round."""

from typing import Any

import pyarrow as pa

from practicus_assets.errors import DeclarationError
from practicus_assets.lake.contracts.declared_types import as_type
from practicus_assets.lake.contracts.odcs.document import name_of
from practicus_assets.lake.contracts.odcs.left_out import Notes

_DELTA = {  # what the Delta protocol calls them
    pa.int64(): "long",
    pa.int32(): "integer",
    pa.int16(): "short",
    pa.int8(): "byte",
    pa.float64(): "double",
    pa.float32(): "float",
    pa.bool_(): "boolean",
    pa.string(): "string",
    pa.binary(): "binary",
    pa.date32(): "date",
    pa.timestamp("us", "UTC"): "timestamp",
    pa.timestamp("us"): "timestamp_ntz",
}
_FORMATS = {  # of integers and numbers
    "i8": pa.int8(),
    "i16": pa.int16(),
    "i32": pa.int32(),
    "i64": pa.int64(),
    "u8": pa.int16(),  # the smallest that holds them all: Delta Lake has none without a sign
    "u16": pa.int32(),
    "u32": pa.int64(),
    "f32": pa.float32(),
    "f64": pa.float64(),
}
_LOGICAL = {
    "string": pa.string(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "integer": pa.int64(),
    "number": pa.float64(),
}


def type_of(item: Any, where: str, notes: Notes) -> pa.DataType | None:
    """Return the Arrow type of a property, or of what is in a list; None if it is none, which is noted.

    The physical type decides where it is one that a contract can declare and agrees with the logical type.

    Args:
        item: a property of the standard.
        where: its place, for the notes.
        notes: where a type that is not taken is noted.

    """
    physical = _declared(item.physicalType)
    if physical is not None and item.logicalType in _agreeing(physical):
        return physical
    type_ = _by_logical_type(item, where, notes)
    if type_ is None:
        kind = item.logicalType or item.physicalType
        notes.promise(where, f"its type {kind!r} is none that a table has" if kind else "it has no type")
    elif item.physicalType:
        notes.documentation(f"{where}.physicalType", f"{item.physicalType} is read as {type_}")
    return type_


def logical_type(type_: pa.DataType) -> str:
    """Return what the standard calls the kind of an Arrow type."""
    if pa.types.is_integer(type_):
        return "integer"
    if pa.types.is_floating(type_) or pa.types.is_decimal(type_):
        return "number"
    for is_kind, name in (
        (pa.types.is_boolean, "boolean"),
        (pa.types.is_date, "date"),
        (pa.types.is_timestamp, "timestamp"),
        (pa.types.is_list, "array"),
        (pa.types.is_nested, "object"),
    ):
        if is_kind(type_):
            return name
    return "string"


def described(type_: pa.DataType) -> dict[str, Any]:
    """Return the fields of a property that tell an Arrow type, those inside of it among them."""
    fields: dict[str, Any] = {"logicalType": logical_type(type_), "physicalType": physical_type(type_)}
    if pa.types.is_struct(type_):
        fields["properties"] = [_field(field) for field in type_]
    elif pa.types.is_list(type_):
        fields["items"] = described(type_.value_type)
    return fields


def physical_type(type_: pa.DataType) -> str:
    """Return the text of an Arrow type, in Delta Lake's words where it has a short one."""
    if pa.types.is_decimal(type_):
        return f"decimal({type_.precision},{type_.scale})"
    return _DELTA.get(type_, str(type_))


def _field(field: pa.Field) -> dict[str, Any]:
    required = {} if field.nullable else {"required": True}
    return {"name": field.name, **described(field.type), **required}


def _declared(text: str | None) -> pa.DataType | None:
    """Return the type that a physical type declares; None if it is none of a contract's."""
    for spelling in (text, (text or "").lower()):
        try:
            if spelling:
                return as_type(spelling)
        except DeclarationError:
            continue
    return None


def _agreeing(type_: pa.DataType) -> set[str | None]:
    """Return the logical types that agree with an Arrow type; a property may have none."""
    kind = logical_type(type_)
    return {None, kind, *(["number"] if kind == "integer" else [])}


def _by_logical_type(item: Any, where: str, notes: Notes) -> pa.DataType | None:
    logical, options = item.logicalType, item.logicalTypeOptions or {}
    if logical in {"integer", "number"} and options.get("format") in _FORMATS:
        return _FORMATS[options["format"]]
    if logical == "timestamp":
        return pa.timestamp("us", None if options.get("timezone") is False else "UTC")
    if logical == "array" and item.items is not None:
        inside = type_of(item.items, f"{where}.items", notes)
        return pa.list_(inside) if inside is not None else None
    if logical == "object" and item.properties:
        return _struct(item.properties, where, notes)
    if item.map is not None and item.map.key is not None and item.map.value is not None:
        key = type_of(item.map.key, f"{where}.key", notes)
        value = type_of(item.map.value, f"{where}.value", notes)
        return pa.map_(key, value) if key is not None and value is not None else None
    return _LOGICAL.get(logical)


def _struct(properties: list[Any], where: str, notes: Notes) -> pa.DataType | None:
    fields = []
    for item in properties:
        inside = type_of(item, f"{where}.{name_of(item)}", notes)
        if inside is None:
            return None
        fields.append(pa.field(name_of(item), inside, nullable=not item.required))
    return pa.struct(fields)
