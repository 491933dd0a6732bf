"""Nested types: what is inside of them, compared and joined."""

from typing import Any

import pyarrow as pa

from practicus_assets.lake.rows.types import is_encoded, is_list


def joined(old: pa.DataType, wanted: pa.DataType, *, all_rows: bool) -> pa.DataType:
    """Return a type with the fields that the wanted one has besides, in structs at every level.

    Args:
        old: the type of a table's column.
        wanted: the type that new rows come as.
        all_rows: whether no row of the old type stays. Only then values may widen, and structs inside of maps
            gain fields: delta-rs cannot read them from files that lack them.

    """

    def part(mine: pa.Field, other: pa.DataType) -> pa.Field:
        return mine.with_type(joined(mine.type, other, all_rows=all_rows))

    if pa.types.is_struct(old) and pa.types.is_struct(wanted):
        fields = [part(f, wanted.field(f.name).type) if f.name in wanted.names else f for f in old]
        return pa.struct([*fields, *(f for f in wanted if f.name not in old.names)])
    if pa.types.is_list(old) and pa.types.is_list(wanted):
        return pa.list_(part(old.value_field, wanted.value_type))
    if pa.types.is_map(old) and pa.types.is_map(wanted) and all_rows:
        return pa.map_(part(old.key_field, wanted.key_type), part(old.item_field, wanted.item_type))
    if pa.types.is_null(old):  # "void": no file holds a value
        return wanted
    return wanted if all_rows and _widens(old, wanted) else old


def absent_fields(wanted: pa.DataType, given: pa.DataType, path: str) -> list[str]:
    """Return the paths of the fields that one type has inside and the other has not."""
    if is_encoded(given):
        return absent_fields(wanted, given.value_type, path)
    if pa.types.is_struct(wanted) and pa.types.is_struct(given):
        return [
            absent
            for f in wanted
            for absent in (
                absent_fields(f.type, given.field(f.name).type, f"{path}.{f.name}")
                if f.name in given.names
                else [f"{path}.{f.name}"]
            )
        ]
    if pa.types.is_map(wanted) and pa.types.is_map(given):
        return absent_fields(wanted.key_type, given.key_type, f"{path}.key") + absent_fields(
            wanted.item_type, given.item_type, f"{path}.value"
        )
    if is_list(wanted) and is_list(given):
        return absent_fields(wanted.value_type, given.value_type, f"{path}[]")
    return []


def holds(type_: pa.DataType, other: pa.DataType) -> bool:
    """Return whether each value of another type is one of this type, with nulls in fields that it lacks."""
    if pa.types.is_struct(type_) and pa.types.is_struct(other):
        return set(other.names) <= set(type_.names) and all(
            _field_holds(f, other.field(f.name)) if f.name in other.names else f.nullable for f in type_
        )
    for is_kind in (pa.types.is_list, pa.types.is_map):
        if is_kind(type_) and is_kind(other):
            return all(map(_field_holds, _parts(type_), _parts(other)))
    return bool(type_ == other or pa.types.is_null(other))


def _field_holds(field: pa.Field, other: pa.Field) -> bool:
    return bool(field.nullable or not other.nullable) and holds(field.type, other.type)


def _parts(type_: pa.DataType) -> list[pa.Field]:
    """Return the fields of a nested type, those of a struct by name; none of another type."""
    if pa.types.is_map(type_):
        return [type_.key_field, type_.item_field]
    parts = [type_.field(i) for i in range(type_.num_fields)] if pa.types.is_nested(type_) else []
    return sorted(parts, key=lambda part: str(part.name))


def unordered(type_: pa.DataType) -> Any:
    """Return what is equal for types that differ in the order of fields, and in NOT NULL, alone."""
    parts = _parts(type_)
    names = [p.name for p in parts] if pa.types.is_struct(type_) else []
    return (type_.id, names, [unordered(p.type) for p in parts]) if parts else type_


def as_strict(type_: pa.DataType, promised: pa.DataType) -> bool:
    """Return whether a type is NOT NULL wherever the promised one is."""
    return all(
        (not have.nullable or want.nullable) and as_strict(have.type, want.type)
        for have, want in zip(_parts(type_), _parts(promised), strict=True)
    )


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
