"""Schemas: what a table's columns are after a commit, given what they were, are promised and now come as."""

from collections.abc import Mapping, Sequence
from typing import Literal

import pyarrow as pa

from practicus_assets.errors import OutOfScope, SchemaMismatch, did_you_mean
from practicus_assets.lake.rows.casts import exact_cast
from practicus_assets.lake.rows.nested import absent_fields, as_strict, joined, unordered
from practicus_assets.lake.rows.types import knows_nulls_only, stored_type
from practicus_assets.wording import names_of, number_of

SchemaChange = Literal["add", "refuse", "replace"]


def reconcile(
    output: pa.Schema,
    table: pa.Schema | None,
    declared: pa.Schema | None,
    filled: Mapping[str, pa.DataType],
    change: SchemaChange,
    *,
    all_rows: bool,
    keeps_rows: bool = False,
    null_types: Mapping[str, pa.DataType] | None = None,
) -> pa.Schema:
    """Return the schema that the table has after the commit.

    Args:
        output: the columns that the author's function returned.
        table: the table's columns now; None before its first commit.
        declared: the contract's columns, which decide types, and what new columns have for metadata.
        filled: partition columns that the scope fills in where the output lacks them, with their types
            where neither table nor contract tells.
        change: what may change in an existing table.
        all_rows: whether the transaction writes every row of the table again.
        keeps_rows: whether old rows are among them, as in a merge.
        null_types: the types of new columns that hold only nulls, where the contract has none.

    Raises:
        SchemaMismatch: for a column that is missing, new without leave, or of a type Delta cannot hold.

    """
    if change == "replace" and (keeps_rows or not all_rows):
        raise SchemaMismatch(
            'on_schema_change="replace" would change rows that this transaction does not replace.',
            "Use it on a table that each run replaces as a whole.",
        )
    promised = {f.name: f.type for f in declared} if declared is not None else {}
    comments = {f.name: f.metadata for f in declared} if declared is not None else {}
    existing = {f.name: f for f in table} if table is not None and change != "replace" else {}
    names = [*output.names, *(column for column in filled if column not in output.names)]
    missing = [name for name in {**existing, **promised} if name not in names]
    if missing:
        whose = ", which the contract promises" if set(missing) <= set(promised) else ""
        others = [name for name in output.names if name not in {**existing, **promised}]
        advice = _return_them(all_rows=all_rows and not set(missing) & set(promised))
        raise SchemaMismatch(
            f"the output lacks the {names_of('column', missing)}{whose}; it has {output.names}.",
            f"{did_you_mean(missing[0], others)} {advice}".strip(),
        )
    new = [name for name in names if name not in existing]
    if existing and new and change == "refuse":
        raise SchemaMismatch(
            f'the output has the new {names_of("column", new)}, and on_schema_change is "refuse".',
            f"The table has the columns {list(existing)}.",
        )
    fields = []
    for name in [*existing, *new]:
        wanted = promised.get(name) or (output.field(name).type if name in output.names else filled[name])
        field = existing.get(name)
        if field is None:
            if pa.types.is_null(wanted):
                then = table.field(name).type if table is not None and name in table.names else wanted
                wanted = (null_types or {}).get(name, then)
            type_ = stored_type(wanted, name, keeps_required=name in promised)
            field = pa.field(name, type_, metadata=comments.get(name))
        elif not knows_nulls_only(wanted):
            field = _fitted(field, stored_type(wanted, name), change, all_rows=all_rows)
            if name in promised:
                _refuse_broken_promise(field, wanted)
        if name in output.names:
            _refuse_absent_fields(field, output.field(name).type, all_rows=all_rows)
        fields.append(field)
    _refuse_alike([field.name for field in fields])
    return pa.schema(fields)


def conformed(
    batch: pa.RecordBatch, schema: pa.Schema, filled: Mapping[str, pa.Scalar], first_row: int
) -> pa.RecordBatch:
    """Return a batch with exactly a table's columns and types.

    Args:
        batch: some rows of the output.
        schema: the table's columns.
        filled: the value of each partition column that the output may lack.
        first_row: the batch's position in the output, for errors.

    Raises:
        DataRefused: for values that a column cannot hold, nulls where it is NOT NULL, and a column that is
            absent.

    """
    arrays = []
    for field in schema:
        if field.name in batch.schema.names:
            array = exact_cast(batch.column(field.name), field.type, field.name, first_row)
        elif field.name in filled:
            array = pa.repeat(filled[field.name].cast(field.type), batch.num_rows)
        else:
            raise OutOfScope(
                f"the output lacks the partition column {field.name!r}, "
                "and the scope has more than one value for it.",
                f"Return the column. {did_you_mean(field.name, batch.schema.names)}".strip(),
            )
        if not field.nullable and array.null_count:
            raise SchemaMismatch(
                f"{field.name!r} is NOT NULL in the table, and null in {number_of(array.null_count, 'row')}.",
                "Fill or drop these rows.",
            )
        arrays.append(array)
    return pa.record_batch(arrays, schema=schema)


def _refuse_alike(names: Sequence[str]) -> None:
    """Raise SchemaMismatch if two columns differ in case alone."""
    spelled: dict[str, list[str]] = {}
    for name in names:
        spelled.setdefault(name.lower(), []).append(name)
    alike = [spellings for spellings in spelled.values() if len(spellings) > 1]
    if alike:
        raise SchemaMismatch(
            f"Delta Lake does not tell the {names_of('column', alike[0])} apart.", "Rename one of them."
        )


def _refuse_absent_fields(field: pa.Field, output: pa.DataType, *, all_rows: bool) -> None:
    """Raise SchemaMismatch if the structs inside a column of the output lack fields of the table's."""
    absent = absent_fields(field.type, output, field.name)
    if absent:
        raise SchemaMismatch(
            f"the output lacks the {names_of('field', absent)}.", _return_them(all_rows=all_rows)
        )


def _return_them(*, all_rows: bool) -> str:
    return "Return what is missing, with nulls if need be" + (
        ', or set on_schema_change="replace".' if all_rows else "."
    )


def _fitted(field: pa.Field, wanted: pa.DataType, change: SchemaChange, *, all_rows: bool) -> pa.Field:
    """Return a column's field with the wanted type's new fields, and widened where every row is replaced."""
    added = absent_fields(wanted, field.type, field.name)
    if added and change == "refuse":
        raise SchemaMismatch(
            f'the output has the new {names_of("field", added)}, and on_schema_change is "refuse".',
            f"The table's column is of type {field.type}.",
        )
    if change == "refuse":
        if knows_nulls_only(field.type):
            raise SchemaMismatch(
                f"column {field.name!r} has the type {field.type} in the table, which holds nulls alone, and "
                'on_schema_change is "refuse".',
                "Allow changes once, or return nulls.",
            )
        return field
    fitted = joined(field.type, wanted, all_rows=all_rows)
    inside_maps = absent_fields(wanted, fitted, field.name)
    if inside_maps:
        raise SchemaMismatch(
            f"the output has the new {names_of('field', inside_maps)} inside of a map, and old rows stay in "
            "the table.",
            "Replace the table as a whole, or leave them out: delta-rs could not read the old rows.",
        )
    if fitted != field.type:
        stored_type(fitted, field.name)  # raises for fields that Delta does not tell apart
    return field.with_type(fitted)


def _refuse_broken_promise(field: pa.Field, promised: pa.DataType) -> None:
    """Raise SchemaMismatch if a table's column is not what the contract says."""
    if unordered(field.type) != unordered(stored_type(promised, field.name)):
        raise SchemaMismatch(
            f"column {field.name!r} is of type {field.type} in the table and {promised} in the contract.",
            "Change the contract, or rewrite the table as a whole.",
        )
    if not as_strict(field.type, stored_type(promised, field.name, keeps_required=True)):
        raise SchemaMismatch(
            f"column {field.name!r} is of type {field.type} in the table, which allows nulls where the "
            f"contract's {promised} does not.",
            "Change the contract, or rewrite the table as a whole.",
        )
