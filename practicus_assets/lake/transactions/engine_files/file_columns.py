"""Columns of files that an engine wrote, held against those of the table: they are committed as they are."""

from collections.abc import Mapping, Sequence

import pyarrow as pa

from practicus_assets.errors import SchemaMismatch, did_you_mean
from practicus_assets.lake.partitions.scope import Scope
from practicus_assets.lake.rows.nested import unordered
from practicus_assets.lake.rows.types import is_encoded, is_list, knows_nulls_only
from practicus_assets.wording import enumerated, names_of

_SPELLINGS = {
    pa.large_string(): pa.string(),
    pa.string_view(): pa.string(),
    pa.large_binary(): pa.binary(),
    pa.binary_view(): pa.binary(),
}


def plain(type_: pa.DataType) -> pa.DataType:  # noqa: PLR0911 a table of types
    """Return a type as Parquet has it: without Arrow's ways to hold values, and with nulls everywhere.

    Readers get the same values by either; a type whose values lie otherwise in the file stays what it is.
    """
    if type_ in _SPELLINGS:
        return _SPELLINGS[type_]
    if is_encoded(type_):
        return plain(type_.value_type)
    if type_ == pa.timestamp("us", getattr(type_, "tz", None)) and type_.tz is not None:
        return pa.timestamp("us", "UTC")
    if pa.types.is_decimal(type_) and not pa.types.is_decimal256(type_):
        return pa.decimal128(type_.precision, type_.scale)
    if is_list(type_):
        return pa.list_(pa.field("element", plain(type_.value_type)))
    if pa.types.is_map(type_):
        return pa.map_(plain(type_.key_type), pa.field("value", plain(type_.item_type)))
    if pa.types.is_struct(type_):
        return pa.struct([pa.field(field.name, plain(field.type)) for field in type_])
    return type_


def output_columns(
    file: pa.Schema, folders: Sequence[str], scope: Scope, known: Sequence[pa.Schema | None]
) -> pa.Schema:
    """Return the columns of the rows in files: those inside, then the partition columns of their folders.

    A folder's value is a text. Its column's type is that of the file where the file has it too, else that of
    the first schema that knows it, else a date where the run's partitions are days, else a text.

    Args:
        file: the columns inside of the files.
        folders: the partition columns of their folders.
        scope: the run's partitions.
        known: the schemas that may know a type, best first.

    """
    fields = [pa.field(field.name, plain(field.type)) for field in file]
    natural = scope.natural_types()
    for column in folders:
        if column not in file.names:
            types = [s.field(column).type for s in known if s is not None and column in s.names]
            fields.append(pa.field(column, types[0] if types else natural.get(column, pa.string())))
    return pa.schema(fields)


def refuse_other_columns(name: str, file: pa.Schema, schema: pa.Schema, values: Mapping[str, object]) -> None:
    """Raise SchemaMismatch unless a file has exactly the table's columns; one may be NOT NULL there.

    Args:
        name: the file's name, for the error.
        file: its columns.
        schema: the table's columns after the commit.
        values: the partition values of its folders, by column, which may lack inside.

    """
    doubled = [n for n in file.names if file.names.count(n) > 1]
    if doubled:
        raise SchemaMismatch(f"the file {name} has a column {doubled[0]!r} twice.", "Rename one.")
    needed = [field.name for field in schema if not pa.types.is_null(field.type) and field.name not in values]
    missing = [column for column in needed if column not in file.names]
    further = [column for column in file.names if column not in schema.names]
    if missing or further:
        parts = [f"lacks the {names_of('column', missing)}"] * bool(missing)
        parts += [f"has the further {names_of('column', further)}"] * bool(further)
        raise SchemaMismatch(
            f"the file {name} {' and '.join(parts)}; the table has {schema.names}.",
            did_you_mean((missing or further)[0], further if missing else schema.names, "")
            or "Let the engine write the same columns into each file.",
        )
    for field in file:
        wanted = schema.field(field.name).type
        if knows_nulls_only(field.type):  # polars could not read the table
            raise SchemaMismatch(
                f"the file {name} has the column {field.name!r} as {field.type}, which holds only nulls, and "
                f"the table as {wanted}.",
                "CAST it to the table's type before the engine writes.",
            )
        if unordered(plain(field.type)) != unordered(plain(wanted)):
            raise SchemaMismatch(
                f"the file {name} has the column {field.name!r} as {field.type}, and the table as {wanted}.",
                f"CAST it to {_sql(wanted)} before the engine writes: files are committed as they are.",
            )


def refuse_lacking(name: str, columns: Sequence[str], file: pa.Schema, texts: Mapping[str, str]) -> None:
    """Raise SchemaMismatch for a partition column that neither a file nor its folders have.

    Readers that take it from the log alone would do without; polars would read null.
    """
    missing = [column for column in columns if column not in file.names and column not in texts]
    if missing:
        folders = "/".join(f"{column}=…" for column in missing)
        raise SchemaMismatch(
            f"the file {name} has the partition {names_of('column', missing)} neither inside nor as folder.",
            f"Let the engine partition by {enumerated(missing)}, so that files lie in {folders}, or keep "
            "what it partitions by in the file.",
        )


def _sql(type_: pa.DataType) -> str:
    names = {
        pa.string(): "VARCHAR",
        pa.binary(): "BLOB",
        pa.int8(): "TINYINT",
        pa.int16(): "SMALLINT",
        pa.int32(): "INTEGER",
        pa.int64(): "BIGINT",
        pa.float32(): "FLOAT",
        pa.float64(): "DOUBLE",
        pa.bool_(): "BOOLEAN",
        pa.date32(): "DATE",
        pa.timestamp("us"): "TIMESTAMP (microseconds)",
        pa.timestamp("us", "UTC"): "TIMESTAMP WITH TIME ZONE (microseconds)",
    }
    if pa.types.is_decimal(type_):
        return f"DECIMAL({type_.precision}, {type_.scale})"
    return names.get(type_, str(type_))
