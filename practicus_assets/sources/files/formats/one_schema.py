"""One schema for files that were written at different times, and by different programs."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

import pyarrow as pa

from practicus_assets.errors import SchemaMismatch
from practicus_assets.lake.rows.types import stored_type
from practicus_assets.wording import enumerated

_MOST_DIGITS = 38
_DECLARE = "Declare what the source has: columns={...}; then each file is read as these, or refused."


def one_schema(
    schemas: Iterable[tuple[str, pa.Schema]],
    types: Mapping[str, pa.DataType] = MappingProxyType({}),
    *,
    together: bool = False,
) -> pa.Schema:
    """Return the columns of all files, each of a type that holds the values of every file exactly.

    Args:
        schemas: each file's name and columns, in any order.
        types: types of columns that are declared, and that files need not have themselves.
        together: whether files may have different columns; then all of them together are returned.

    Raises:
        SchemaMismatch: for a column that only some files have, of which two files have types that share no
            exact one, or that Delta Lake cannot hold; it names the files.

    """
    found: dict[str, pa.DataType] = {}
    origins: dict[str, str] = {}
    first = ""
    for file, schema in schemas:
        refuse_doubled(file, schema.names)
        if first and not together and set(schema.names) != set(found):
            raise _other_columns(first, list(found), file, schema.names)
        first = first or file
        for column in schema:
            before = found.get(column.name)
            type_ = types.get(column.name) or _stored(column, file)
            wider = type_ if before is None else _wider(before, type_)
            if wider is None:
                raise SchemaMismatch(
                    f"column {column.name!r} is of type {before} in {origins[column.name]} and of type "
                    f"{type_} in {file}, and no type holds the values of both exactly.",
                    _DECLARE,
                )
            if wider != before:
                found[column.name], origins[column.name] = wider, file
    for name, type_ in found.items():
        stored_type(type_, name)  # refuses a column that is null in all files
    return pa.schema(list(found.items()))


def refuse_doubled(file: str, names: Iterable[str]) -> None:
    """Raise SchemaMismatch for a file that has two columns of one name."""
    names = list(names)
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise SchemaMismatch(
            f"{file} has more than one column named {enumerated([repr(name) for name in doubled])}.",
            "Nobody can tell which is meant: give its columns other names.",
        )


def _stored(field: pa.Field, file: str) -> pa.DataType:
    if pa.types.is_null(field.type):
        return field.type
    try:
        return stored_type(field.type, field.name)
    except SchemaMismatch as error:
        raise SchemaMismatch(f"{file}: {error.problem}", "Declare the columns to read, without it.") from None


def _other_columns(first: str, fields: list[str], name: str, names: list[str]) -> SchemaMismatch:
    lacking = [column for column in fields if column not in names]
    new = [column for column in names if column not in fields]
    differences = [f"lacks {enumerated([repr(c) for c in lacking])}" if lacking else ""]
    differences.append(f"has {enumerated([repr(c) for c in new])} besides" if new else "")
    return SchemaMismatch(
        f"{name} {' and '.join(filter(None, differences))}, compared with {first}.",
        f'{_DECLARE} no_column="null" then makes null what a file lacks.',
    )


def _wider(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:  # noqa: PLR0911 a table of types
    """Return the type that holds the values of both exactly; None if there is none."""
    if one == other or pa.types.is_null(other):
        return one
    if pa.types.is_null(one):
        return other
    if pa.types.is_integer(one) and pa.types.is_integer(other):  # stored ones have a sign
        return max(one, other, key=lambda type_: type_.bit_width)
    if pa.types.is_floating(one) and pa.types.is_floating(other):
        return max(one, other, key=lambda type_: type_.bit_width)
    if pa.types.is_decimal(one) and pa.types.is_decimal(other):
        scale = max(one.scale, other.scale)
        digits = max(one.precision - one.scale, other.precision - other.scale) + scale
        return pa.decimal128(digits, scale) if digits <= _MOST_DIGITS else None
    if pa.types.is_list(one) and pa.types.is_list(other):
        element = _wider(one.value_type, other.value_type)
        return None if element is None else pa.list_(pa.field("element", element))
    if pa.types.is_struct(one) and pa.types.is_struct(other):
        return _wider_struct(one, other)
    return None


def _wider_struct(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    if {field.name for field in one} != {field.name for field in other}:
        return None
    types = {field.name: _wider(field.type, other.field(field.name).type) for field in one}
    if any(type_ is None for type_ in types.values()):
        return None
    return pa.struct(list(types.items()))
