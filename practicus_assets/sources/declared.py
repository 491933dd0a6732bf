"""Declared columns: what an author says of a source's columns, held against what the system gives."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing

import pyarrow as pa

from practicus_assets.errors import DeclarationError, LossyValues, SchemaMismatch, did_you_mean
from practicus_assets.lake.contracts.column import Column
from practicus_assets.lake.contracts.contract import Contract
from practicus_assets.lake.rows.casts import exact_cast
from practicus_assets.lake.rows.types import stored_type
from practicus_assets.wording import names_of, number_of


def refuse_rules(contract: Contract) -> None:
    """Refuse a contract that says more than columns, types and nulls: nothing would audit it.

    Raises:
        DeclarationError: naming the first rule.

    """
    audited = [check.description for check in contract.checks if check.kind not in {"schema", "not_null"}]
    if audited:
        raise DeclarationError(
            f"the columns of a source are types and whether nulls may be there, and the rule {audited[0]!r} "
            "is neither.",
            "Put it into the contract of the table that is made of them: it is audited there.",
        )


def asked(name: str, columns: Sequence[str] | None, schema: pa.Schema) -> list[str]:
    """Return the columns to read.

    Args:
        name: the source's name.
        columns: the names of those that are asked for; None for all.
        schema: the columns that the source has.

    Raises:
        SchemaMismatch: for a column that the source does not have.

    """
    unknown = [column for column in columns or () if column not in schema.names]
    if unknown:
        every = f"It has {', '.join(schema.names)}."
        raise SchemaMismatch(
            f"{name} has no {names_of('column', unknown)}.", did_you_mean(unknown[0], schema.names, every)
        )
    return list(columns) if columns is not None else list(schema.names)


def declared_schema(schema: pa.Schema, contract: Contract | None) -> pa.Schema:
    """Return the columns of a source with the types that are declared, and those inferred for the others.

    Raises:
        SchemaMismatch: if a declared column is not there, or an undeclared one is and the contract is closed.

    """
    declared = _columns(contract)
    missing = [name for name in declared if name not in schema.names]
    if missing:
        every = f"It has {', '.join(schema.names)}."
        raise SchemaMismatch(
            f"the source has no {names_of('column', missing)}, which its columns declare.",
            did_you_mean(missing[0], schema.names, every),
        )
    if contract is not None:
        contract.refuse_undeclared(schema.names)
    types = {
        field.name: stored_type(declared[field.name].arrow_type, field.name, keeps_required=True)
        if field.name in declared
        else stored_type(field.type, field.name)
        for field in schema
    }
    return pa.schema(types.items())


def conformed_rows(
    reader: pa.RecordBatchReader, schema: pa.Schema, contract: Contract | None
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a source with exactly these columns and types; the reader is closed at the end.

    Args:
        reader: what the system gives.
        schema: the columns to give.
        contract: what is declared of them.

    Raises:
        LossyValues: naming the column, the type and the first values that do not fit.
        SchemaMismatch: for nulls in a column that is declared to have none.

    """
    declared = _columns(contract)
    required = [name for name in schema.names if name in declared and not declared[name].nullable]
    first_row = 0
    with closing(reader):
        for batch in reader:
            arrays = [_cast(batch.column(field.name), field, first_row) for field in schema]
            for name in required:
                nulls = arrays[schema.names.index(name)].null_count
                if nulls:
                    raise SchemaMismatch(
                        f"column {name!r} is declared to have no nulls, and is null in "
                        f"{number_of(nulls, 'row')}.",
                        "Leave these rows out in a query of the source, or declare the column with nulls.",
                    )
            yield pa.record_batch(arrays, schema=schema)
            first_row += batch.num_rows


def _columns(contract: Contract | None) -> Mapping[str, Column]:
    return contract.columns if contract is not None else {}


def _cast(array: pa.Array, field: pa.Field, first_row: int) -> pa.Array:
    try:
        return exact_cast(array, field.type, field.name, first_row)
    except LossyValues as error:
        raise LossyValues(
            error.problem.replace("the table's column", "the declared one"),
            f"Declare another type for {field.name}, or convert it in a query of the source.",
            error.sample,
        ) from None
