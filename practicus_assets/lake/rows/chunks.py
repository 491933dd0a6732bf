"""Chunks: rows that come in pieces, of which the first decides the columns."""

from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa

from practicus_assets.errors import DataRefused, LossyValues, SchemaMismatch
from practicus_assets.lake.rows.casts import exact_cast

BATCH_ROWS = 131_072


def typed_as(schema: pa.Schema, declared: pa.Schema) -> pa.Schema:
    """Return the columns of a first chunk, with the types that a contract declares.

    Parts of nested columns are compared with the contract later, one by one; here they stay as they are.
    """
    types = {field.name: field.type for field in declared}

    def fits(field: pa.Field) -> bool:
        if field.name not in types:
            return False
        return pa.types.is_null(field.type) or not pa.types.is_nested(types[field.name])

    return pa.schema(
        [pa.field(field.name, types[field.name]) if fits(field) else _plain(field) for field in schema]
    )


def fitted(number: int, chunk: pa.Table, schema: pa.Schema, first_row: int) -> pa.Table:
    """Return a chunk with the columns of the first.

    Args:
        number: the chunk's number, from 1.
        chunk: its rows.
        schema: the columns of the first chunk.
        first_row: the position of the chunk in the output.

    Raises:
        SchemaMismatch: if it has other columns, or columns of types that share no values with the first's.
        LossyValues: if values do not fit into the types of the first.

    """
    if chunk.schema.equals(schema):
        return chunk
    if not chunk.num_rows and not chunk.schema.names:
        return schema.empty_table()
    with naming_chunk(number):
        if sorted(chunk.schema.names) != sorted(schema.names):
            raise _other_columns(chunk.schema, schema)
        columns = []
        for field in schema:
            column = chunk.column(field.name)
            if pa.types.is_null(field.type) and not pa.types.is_null(column.type):
                raise SchemaMismatch(
                    f"its column {field.name!r} is of type {column.type}, and the first chunk has only nulls "
                    "there, which have no type.",
                    "Declare the column in the contract, or give the first chunk's column a type.",
                )
            try:
                columns.append(_cast(column, field, first_row))
            except LossyValues as error:
                if error.sample:
                    raise
                raise _other_columns(chunk.schema, schema) from None
    return pa.Table.from_arrays(columns, schema=schema)


@contextmanager
def naming_chunk(number: int) -> Iterator[None]:
    """Name the chunk in an error that passes."""
    try:
        yield
    except DataRefused as error:
        error.problem = f"chunk {number}: {error.problem}"
        raise


def _cast(column: pa.ChunkedArray, field: pa.Field, first_row: int) -> pa.ChunkedArray:
    arrays = []
    for array in column.chunks:
        arrays.append(exact_cast(array, field.type, field.name, first_row))
        first_row += len(array)
    return pa.chunked_array(arrays, field.type)


def _other_columns(columns: pa.Schema, wanted: pa.Schema) -> SchemaMismatch:
    return SchemaMismatch(
        f"it has the columns {_shown(columns)}, and the first, or the contract, {_shown(wanted)}.",
        "Give all chunks the same columns, of the same types.",
    )


def _plain(field: pa.Field) -> pa.Field:
    return pa.field(field.name, field.type)


def _shown(schema: pa.Schema) -> str:
    return "{" + ", ".join(f"{field.name}: {field.type}" for field in schema) + "}"
