"""Pins: the versions at which a run reads tables, in its own lake and in the base."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from practicus_assets.assets.lakes.layered_table import LayeredTable
from practicus_assets.assets.runs import Context, made_by, record_input, step_of
from practicus_assets.instance.events import last_conflict
from practicus_assets.lake.delta.record import InputVersion
from practicus_assets.lake.delta.snapshot import Snapshot
from practicus_assets.lake.partitions.scope import Scope
from practicus_assets.lake.transactions.branch import begin_over, elsewhere
from practicus_assets.lake.transactions.options import WriteOptions
from practicus_assets.lake.transactions.provenance import Provenance
from practicus_assets.lake.transactions.unchanged.reuse import InputRead


def pinned_for(
    context: Context,
    key: dg.AssetKey,
    table: LayeredTable,
    scope: Scope,
    version: int | datetime | None = None,
) -> Snapshot:
    """Return an input's snapshot: the version that this run made, else the newest when the run began.

    After a `CommitConflict` it is the newest at the time of the conflict: the commit that won may be based on
    it. Outside of a run it is the newest. What is read in the base is the newest there at the same moment.
    The versions are recorded in the step's provenance.

    Args:
        context: the input's context, or that of a step that reads one table by itself.
        key: the key of the asset that is the table.
        table: the table to read.
        scope: the partitions to read.
        version: the version that the author pins instead.

    Raises:
        TableNotFound: if there is no such version.
        VersionGone: if it was vacuumed away.
        DeclarationError: for an author's version that is none.

    """
    step = step_of(context)
    record = _record(step)
    if version is not None:
        snapshot, versions = table.of_author(scope, version)
    elif record is None:
        snapshot, versions = table.pinned(scope)
    else:
        conflict = _last_conflict(step)
        own = made_by(record, step.instance, key) if conflict is None else None
        moment = _moment(record, conflict)
        snapshot, versions = table.pinned(scope, moment if own is None else own, moment)
    if record is None:
        return snapshot
    name = context.name if isinstance(context, dg.InputContext) else "(export)"
    for at in versions:
        recorded = scope.on(snapshot.schema).recorded
        root_uri = table.base_uri if at.table is table.base else ""
        read = InputVersion(table.own.name, at.version, at.id, recorded, root_uri)
        record_input(step, (at.table.uri, name), InputRead(read, at.table, scope))
    return snapshot


def begun_over_base(
    context: Context, table: LayeredTable, scope: Scope, options: WriteOptions, provenance: Provenance
) -> Provenance:
    """Make an own table ready for a transaction, and return who does it on which version of the base.

    Args:
        context: the context of the step that is going to write the table.
        table: the table; without a base, nothing is done.
        scope: what the transaction is going to write.
        options: how.
        provenance: who is going to write it.

    Raises:
        DeclarationError, UnsupportedTable: as the transaction would raise for the base's table.
        CommitConflict: if others write the same scope of the own table.
        StoreFailed: if a store fails.

    """
    if table.base is None:
        return provenance
    step = step_of(context)
    record = _record(step)
    pinned = table.base_at(_moment(record, _last_conflict(step)) if record is not None else None)
    provenance = replace(provenance, base=elsewhere(table.base_uri, pinned))
    begin_over(table.own, pinned, scope, options, provenance)
    return provenance


def _record(step: Any) -> dg.RunRecord | None:
    record: dg.RunRecord | None = (
        step.instance.get_run_record_by_id(step.run_id) if step is not None else None
    )
    return record


def _last_conflict(step: Any) -> float | None:
    if not step.previous_attempt_count:
        return None
    return last_conflict(step.instance, step.run_id, step.step.key)


def _moment(record: dg.RunRecord, conflict: float | None) -> datetime:
    """Return the moment at which a run reads."""
    began = record.start_time or record.create_timestamp.timestamp()
    return datetime.fromtimestamp(conflict or began, UTC)
