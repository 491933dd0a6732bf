"""Ancestry: what rows that are committed again were computed from, and whether others came before them."""

from dataclasses import replace

from practicus_assets.errors import CommitConflict
from practicus_assets.lake.delta.log import entries
from practicus_assets.lake.delta.origins import origins
from practicus_assets.lake.delta.snapshot import Snapshot
from practicus_assets.lake.delta.table import Table
from practicus_assets.lake.partitions.bounds import Bounds
from practicus_assets.lake.transactions.provenance import Provenance
from practicus_assets.lake.transactions.transaction import Transaction


def of_rows(provenance: Provenance, table: Table, rows: Snapshot) -> Provenance:
    """Return who commits rows again: with the code version, the inputs and the sources of these rows.

    Args:
        provenance: who commits them now.
        table: the table that has them.
        rows: the rows, at a version of it.

    """
    commits = origins(table, rows.version, rows.scope, rows.schema)
    records = [origin.record for origin in commits.values() if origin.record is not None]
    codes = {record.code_version for record in records}
    inputs = {(read.name, read.version, read.scope): read for record in records for read in record.inputs}
    sources = dict.fromkeys(read for record in records for read in record.sources)
    return replace(
        provenance,
        code_version=codes.pop() if len(codes) == 1 else provenance.code_version,
        inputs=tuple(inputs.values()),
        sources=tuple(sources),
    )


def refuse_newer(table: Table, planned: int, transaction: Transaction, bounds: Bounds, what: str) -> None:
    """Raise CommitConflict if a scope was committed between a plan and the begin of its transaction.

    Args:
        table: the table.
        planned: its version when the plan was made; -1 if there was no table.
        transaction: the transaction that carries the plan out.
        bounds: the scope.
        what: what was planned, as a noun.

    """
    began = transaction.began if transaction.began is not None else -1
    for entry in entries(table, began, planned + 1):
        if entry.changes_rows and entry.touches(bounds):
            raise CommitConflict(
                f"version {entry.version} was committed after {what} was planned at {planned}.",
                "Look at the history, and plan it again.",
            )
