"""Promotions: a transaction on a base whose rows are those of an own root, which no code computes again."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from practicus_assets.errors import naming
from practicus_assets.lake.contracts.contract import Contract
from practicus_assets.lake.delta.origins import origins
from practicus_assets.lake.delta.record import InputVersion, VersionElsewhere
from practicus_assets.lake.delta.snapshot import Snapshot
from practicus_assets.lake.partitions.scope import Scope
from practicus_assets.lake.transactions.commit import Commit
from practicus_assets.lake.transactions.options import WriteOptions
from practicus_assets.lake.transactions.provenance import Provenance
from practicus_assets.lake.transactions.transaction import Transaction
from practicus_assets.lake.upkeep.ancestry import of_rows, refuse_newer
from practicus_assets.lake.upkeep.own_roots.changes import TwoTables, changes_of, refuse_moved


@dataclass(frozen=True)
class PromotionPlan:
    """What a promotion would do.

    Attributes:
        own_version: the version of the own table whose rows are promoted; None if there is no such table.
        base_version: the version of the base's table when it was planned; None if there was none.
        scope: the partitions whose rows differ; None if the base has all rows already.
        fingerprints: the fingerprint of the own rows of each partition of the scope, by its key.
        new_columns: the columns that the base's table does not have yet, with their types.
        inputs: the names of the tables that the rows were computed from.

    """

    own_version: int | None = None
    base_version: int | None = None
    scope: Scope | None = None
    fingerprints: Mapping[str, str] = field(default_factory=dict)
    new_columns: Mapping[str, str] = field(default_factory=dict)
    inputs: tuple[str, ...] = ()

    @property
    def scope_in_words(self) -> str:
        """The scope as operators read it."""
        return "nothing" if self.scope is None else str(self.scope) or "whole table"


def plan_promotion(tables: TwoTables, within: Scope) -> PromotionPlan:
    """Find out which partitions of an own table have other rows than the base, and may go there.

    Args:
        tables: the two tables.
        within: every partition that the asset has now; the whole table for an asset without partitions.

    Raises:
        CommitConflict: if the base's table was changed in such a partition since it was pinned.
        PromotionRefused: if the own root has a part of a partition, or rows of no partition of the asset; or
            does not say over which version of the base its rows lie.
        VersionGone: if the own table's log does not say what the own root has.

    """
    own = tables.own
    with naming(own.name, nothing_written=True):
        changes = changes_of(tables, within)
        at, below, scope = changes.at, changes.below, changes.scope
        base_version = below.version if below is not None else None
        if at is None:
            return PromotionPlan(base_version=base_version)
        if scope is not None:
            refuse_moved(changes)
    new = [f for f in at.schema if below is None or f.name not in below.schema.names]
    records = [o.record for o in origins(own, at.version, scope or Scope(), at.schema).values()]
    inputs = {read.table for record in records if record is not None for read in record.inputs}
    return PromotionPlan(
        at.version,
        base_version,
        scope,
        changes.fingerprints,
        {f.name: str(f.type) for f in new} if scope is not None else {},
        tuple(sorted(inputs)),
    )


def promote(
    tables: TwoTables,
    plan: PromotionPlan,
    options: WriteOptions,
    *,
    contract: Contract | None,
    provenance: Provenance,
    promoted: Mapping[str, InputVersion],
) -> Commit:
    """Carry out a plan: one commit to the base, by the same compare-and-swap as any other.

    This is the one place where a table of a base is written.

    Args:
        tables: the two tables.
        plan: the plan, with a scope.
        options: how the code writes the table; the rows replace those of the scope in any case.
        contract: what the code promises of the table; the rows are audited once more.
        provenance: who does it.
        promoted: the version of the base that has all rows of an own table, by that table's name.

    Raises:
        CommitConflict: if somebody committed the scope since the plan was made. Nothing was written.
        DataRefused: if the rows break the contract, or do not fit the base's table. Nothing was written.
        StoreFailed: if the options that reach the base do not allow to write there.

    """
    assert plan.scope is not None
    assert plan.own_version is not None
    own, target = tables.own, replace(tables.base, read_only=False)
    with naming(own.name, str(plan.scope), nothing_written=True):
        rows = Snapshot.of(own, plan.own_version, plan.scope)
        by = of_rows(provenance, own, rows)
        by = replace(
            by,
            inputs=[_seen_from_base(read, tables, promoted) for read in by.inputs],
            promotes=VersionElsewhere(tables.own_root, rows.version, rows.table_id),
        )
        how = WriteOptions(
            partition_by=own.open(plan.own_version).partition_by,
            on_schema_change=options.on_schema_change,
            table_properties=options.table_properties,
            commit_metadata=options.commit_metadata,
            description=options.description,
        )
        transaction = Transaction(target, plan.scope, how, contract=contract, provenance=by)
        began = plan.base_version if plan.base_version is not None else -1
        refuse_newer(target, began, transaction, plan.scope.on(rows.schema), "the promotion")
    return transaction.write(rows.scan())


def _seen_from_base(
    read: InputVersion, tables: TwoTables, promoted: Mapping[str, InputVersion]
) -> InputVersion:
    """Return how a record of the base names a table that was read: its own, or one of the other lake."""
    if read.root_uri == tables.base_root:
        return replace(read, root_uri="")
    there = promoted.get(read.table)
    if not read.root_uri and there is not None:
        return replace(read, version=there.version, table_id=there.table_id)
    return replace(read, root_uri=read.root_uri or tables.own_root)
