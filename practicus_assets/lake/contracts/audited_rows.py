"""Audited rows: a contract's rules run on rows that are in memory, without a table."""

from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow as pa

from practicus_assets.errors import LossyValues, SchemaMismatch, did_you_mean
from practicus_assets.lake.contracts.audit import Audit, AuditResult, schema_failure
from practicus_assets.lake.partitions.scope import WHOLE_TABLE
from practicus_assets.lake.rows.frames import BATCH_ROWS, record_batches
from practicus_assets.lake.rows.python_values import NO_COLUMNS
from practicus_assets.lake.rows.schema import conformed, reconcile


def audited(contract: Any, data: Any) -> list[AuditResult]:
    """Return the result of each rule, as `Contract.audit` says.

    Args:
        contract: the contract, which imports this module.
        data: the rows, as any value that a table asset may return.

    Raises:
        DataRefused: if the rows are no table, or a rule fails to give an answer.

    """
    try:
        reader = record_batches(data, contract.schema or NO_COLUMNS)
        contract.refuse_undeclared(reader.schema.names)
        _refuse_misspelt(contract, reader.schema)
        schema = reconcile(reader.schema, None, contract.schema, {}, "add", all_rows=True)
        batches, first_row = [], 0
        for batch in reader:
            batches.append(conformed(batch, schema, {}, first_row))
            first_row += batch.num_rows
    except (SchemaMismatch, LossyValues) as error:
        if _is_no_table(data):
            raise SchemaMismatch(
                f"the audit is given a value of type {type(data).__qualname__}, which is no table.",
                "Give it what a table asset may return: a DataFrame, a pyarrow.Table, a list of dicts.",
            ) from None
        if not contract.columns:
            raise
        return schema_failure(contract.checks, error)
    audit = Audit(contract.checks, most_rejected=contract.max_rejected)
    batches = pa.Table.from_batches(batches, schema).to_batches(BATCH_ROWS)
    if contract.rejects:
        batches = [audit.divide(batch).good for batch in batches]
    rows = pa.Table.from_batches(batches, schema)
    for batch in batches:
        audit.observe(batch)

    def scan(columns: Sequence[str] | None) -> pa.RecordBatchReader:
        return (rows.select(columns) if columns else rows).to_reader(BATCH_ROWS)

    return audit.finish([scan], {WHOLE_TABLE: rows.num_rows})


def _refuse_misspelt(contract: Any, schema: pa.Schema) -> None:
    """Raise SchemaMismatch for a column without values whose name is near a declared one."""
    for column in schema:
        nearest = did_you_mean(column.name, contract.columns, "")
        if pa.types.is_null(column.type) and column.name not in contract.columns and nearest:
            raise SchemaMismatch(
                f"column {column.name!r} is not declared and holds only nulls. {nearest}", "Rename it."
            )


def _is_no_table(data: Any) -> bool:
    """Return whether a value could hold no rows of any kind, such as a number or a text."""
    if isinstance(data, str | bytes | tuple | set | frozenset):
        return True
    readable_as = ("__arrow_c_stream__", "collect", "scanner", "to_batches", "scan")
    return not isinstance(data, Iterable) and not any(hasattr(data, name) for name in readable_as)
