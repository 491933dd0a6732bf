"""Schemas: what a run would do to a table's columns, as far as its contract tells before it runs."""

import dagster as dg
import pyarrow as pa

from practicus_assets.assets.catalog import TableEntry
from practicus_assets.errors import DeclarationError, PracticusAssetsError, UnsupportedTable
from practicus_assets.lake.contracts.contract import Contract
from practicus_assets.lake.delta.protocol import refuse_unsupported
from practicus_assets.lake.delta.table import TableVersion
from practicus_assets.lake.partitions.scope import Scope
from practicus_assets.lake.rows.histories.declaration import VALID_COLUMNS
from practicus_assets.lake.rows.schema import reconcile
from practicus_assets.lake.transactions.options import WriteOptions
from practicus_assets.planning.plan import SchemaChange


def change_of_run(entry: TableEntry, at: TableVersion | None, store: dg.DagsterInstance) -> SchemaChange:
    """Return what a run of a table would do to its columns, and whether it would be refused for them.

    Args:
        entry: the table.
        at: its newest version; None if there is no table.
        store: an instance that knows dynamic partitions, be it an empty one.

    """
    options, scope = entry.settings.options, Scope()
    if entry.partitions_def is not None:
        scope = entry.settings.scope(entry.partitions_def, list(entry.partition_keys(store))[:1])
    if at is not None:
        try:
            refuse_unsupported(at, options.partition_by, takes_rows_away=options.mode != "append")
        except (UnsupportedTable, DeclarationError) as error:
            return SchemaChange(refused=f"{error.problem} {error.advice}".strip())
    return schema_change(at.schema if at is not None else None, entry.contract, options, scope)


def schema_change(
    table: pa.Schema | None, contract: Contract | None, options: WriteOptions, scope: Scope
) -> SchemaChange:
    """Return what a run whose output has the contract's columns would do to a table's columns.

    Without a contract that is not known. With one that is not closed, the output is taken to have the
    table's other columns as well.

    Args:
        table: the table's columns now; None if there is no table.
        contract: the contract.
        options: how the table is written.
        scope: what the run replaces.

    """
    declared = contract.schema if contract is not None else None
    if contract is None or declared is None:
        return SchemaChange(unknown="no contract declares the columns")
    others = [f for f in table or () if f.name not in declared.names] if not contract.closed else []
    output = pa.schema([*declared, *others])
    filled = {name: kind for name, kind in scope.natural_types().items() if name not in output.names}
    history = options.history
    if history is not None and history.sequence_by in output.names:
        time = output.field(history.sequence_by).type
        filled |= {name: time for name in VALID_COLUMNS if name not in output.names}
    try:
        after = reconcile(
            output,
            table,
            declared,
            filled,
            options.schema_change,
            all_rows=(scope.is_whole_table and options.mode != "append") or history is not None,
            keeps_rows=options.mode in {"merge", "history"},
        )
    except PracticusAssetsError as error:
        return SchemaChange(_differences(table, output), refused=f"{error.problem} {error.advice}".strip())
    if table is None:
        return SchemaChange(tuple(f"{f.name} {f.type}" for f in after))
    return SchemaChange(_differences(table, after))


def _differences(before: pa.Schema | None, after: pa.Schema) -> tuple[str, ...]:
    """Return a phrase for each column that one schema has and another has not, or with another type."""
    old = {f.name: f.type for f in before} if before is not None else {}
    new = {f.name: f.type for f in after}
    phrases = [f"{name} {kind}: new" for name, kind in new.items() if name not in old]
    phrases += [f"{name} {kind}: gone" for name, kind in old.items() if name not in new]
    both = [name for name in old if name in new]
    return (*phrases, *(f"{n}: {old[n]} becomes {new[n]}" for n in both if old[n] != new[n]))
