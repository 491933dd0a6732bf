"""Rollbacks: a transaction whose rows are those of an older version."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa

from practicus_assets.errors import RollbackRefused, SchemaMismatch, naming
from practicus_assets.lake.delta.log import LogEntry, entries
from practicus_assets.lake.delta.origins import newest_changes
from practicus_assets.lake.delta.snapshot import Snapshot
from practicus_assets.lake.delta.table import Table, TableVersion
from practicus_assets.lake.partitions.bounds import Bounds
from practicus_assets.lake.partitions.scope import Scope
from practicus_assets.lake.partitions.values import Value
from practicus_assets.lake.rows.casts import exact_batch
from practicus_assets.lake.rows.nested import holds
from practicus_assets.lake.transactions.commit import Commit
from practicus_assets.lake.transactions.options import WriteOptions
from practicus_assets.lake.transactions.provenance import Provenance
from practicus_assets.lake.transactions.transaction import Transaction
from practicus_assets.lake.upkeep.ancestry import of_rows, refuse_newer
from practicus_assets.lake.upkeep.history import HistoryEntry, described
from practicus_assets.wording import names_of

_Values = Mapping[str, Value | None]


@dataclass(frozen=True)
class RollbackPlan:
    """What a rollback would do.

    Attributes:
        target: the version whose rows come back.
        newest: the newest version when it was planned.
        scope: what would be replaced; None if all is as it was.
        undone: the commits whose rows would go, the newest first.
        schema_returns: whether the table's columns become those of the target, too.

    """

    target: int
    newest: int
    scope: Scope | None
    undone: tuple[HistoryEntry, ...]
    schema_returns: bool

    @property
    def scope_in_words(self) -> str:
        """The scope as operators read it."""
        return "nothing" if self.scope is None else str(self.scope) or "whole table"


def plan_rollback(table: Table, target: int, within: Scope, *, whole: bool) -> RollbackPlan:
    """Find out what brings partitions back to what they were at a version.

    Args:
        table: the table.
        target: the version to go back to.
        within: the partitions that may be replaced; those that nobody changed since are left alone.
        whole: whether the whole table may be replaced where these partitions do not hold what changed.

    Raises:
        VersionGone: if the target cannot be read any more.
        SchemaMismatch: if the table's columns changed so that only the whole table can go back.

    """
    handle, then = table.open(), table.open(target)
    now_schema, then_schema = handle.schema, then.schema
    since = [entry for entry in entries(table, handle.version, target + 1) if entry.changes_rows]
    files = _changed_files(handle, then)
    misfits = _misfits(then_schema, now_schema)
    scope = _changed(files, since, target, within, now_schema)
    if scope is not None and not scope.is_whole_table and misfits and not whole:
        raise SchemaMismatch(
            f"the {names_of('column', misfits)} of {table.name} changed since version {target}.",
            "Roll the whole table back, or materialize the partitions again.",
        )
    schema_returns = False
    outside = whole and _any_outside(files, within.on(now_schema))
    if outside or (scope is not None and (misfits or scope.is_whole_table)):
        scope = _changed(files, since, target, Scope(), now_schema)
        schema_returns = not then_schema.equals(now_schema)
    bounds = scope.on(now_schema) if scope is not None else None
    undone = [entry for entry in since if bounds is not None and entry.touches(bounds)]
    return RollbackPlan(target, handle.version, scope, tuple(described(table, undone)), schema_returns)


def carry_out(
    table: Table, plan: RollbackPlan, provenance: Provenance, *, undo_newer: bool = False
) -> Commit:
    """Carry out a plan: one commit, by the same compare-and-swap as any other.

    Args:
        table: the table.
        plan: the plan, with a scope.
        provenance: the run that does it.
        undo_newer: undo several commits; without it only a single one.

    Raises:
        RollbackRefused: if several commits would be undone, and `undo_newer` is not given.
        CommitConflict: if somebody committed the scope since the plan was made.
        VersionGone: if files of the target were vacuumed away.

    """
    assert plan.scope is not None
    with naming(table.name, str(plan.scope), nothing_written=True):
        if len(plan.undone) > 1 and not undo_newer:
            commits = "; ".join(
                f"version {entry.version} ({entry.operation}, {entry.run_id or entry.engine})"
                for entry in plan.undone
            )
            raise RollbackRefused(
                f"going back to version {plan.target} would undo {len(plan.undone)} commits: {commits}.",
                "Go back to a later version, or undo them all with --undo-newer (undo_newer in a job).",
            )
        old = Snapshot.of(table, plan.target, plan.scope)
        transaction = Transaction(
            table,
            plan.scope,
            WriteOptions(
                partition_by=table.open().partition_by,
                on_schema_change="replace" if plan.schema_returns else "refuse",
            ),
            provenance=replace(of_rows(provenance, table, old), restores=plan.target),
        )
        bounds = plan.scope.on(table.open(plan.newest).schema)
        refuse_newer(table, plan.newest, transaction, bounds, "the rollback")
        schema = old.schema if plan.schema_returns else Snapshot.of(table, plan.newest).schema
        rows = pa.RecordBatchReader.from_batches(schema, (exact_batch(batch, schema) for batch in old.scan()))
    return transaction.write(rows)


def _changed(
    files: Sequence[_Values], since: Sequence[LogEntry], target: int, within: Scope, schema: pa.Schema
) -> Scope | None:
    """Return the partitions of a scope whose rows are not those of the target; None if there are none."""
    bounds = within.on(schema)
    newest = newest_changes(since, bounds)
    if within.is_whole_table:
        return within if files and _differs(newest.get(0), bounds, target) else None
    parts = {bounds.part_of(values) for values in files}
    kept = [
        number
        for number in range(len(bounds.parts))
        if number in parts and _differs(newest.get(number), bounds, target)
    ]
    if not kept:
        return None
    return Scope(within.columns, tuple(within.parts[n] for n in kept), tuple(within.keys[n] for n in kept))


def _differs(newest: LogEntry | None, bounds: Bounds, target: int) -> bool:
    """Return whether a partition's newest change was anything but a rollback of all of it to the target."""
    record = newest.record if newest is not None else None
    if record is None:
        return newest is not None
    part_only = not bounds.columns and not record.scope.is_whole_table
    return part_only or record.restores_version != target


def _any_outside(files: Sequence[_Values], bounds: Bounds) -> bool:
    """Return whether some file lies in no partition of a scope."""
    return any(bounds.part_of(values) is None for values in files)


def _changed_files(handle: TableVersion, then: TableVersion) -> list[_Values]:
    """Return the partition values of each file that only one of two versions has."""
    files = [{file.path: file for file in version.files()} for version in (handle, then)]
    both = {**files[0], **files[1]}
    return [both[path].values for path in files[0].keys() ^ files[1].keys()]


def _misfits(then: pa.Schema, now: pa.Schema) -> list[str]:
    """Return the columns that keep rows of the one schema from being rows of the other."""
    lost = [f.name for f in then if f.name not in now.names or not holds(now.field(f.name).type, f.type)]
    narrowed = [
        f.name for f in now if not f.nullable and (f.name not in then.names or then.field(f.name).nullable)
    ]
    return [*lost, *narrowed]
