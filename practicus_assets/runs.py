"""Runs: who is at work in a step, and at which version a run reads a table."""

import uuid
from datetime import UTC, datetime
from typing import Any

import dagster as dg
from dagster._core.errors import DagsterInvariantViolationError  # to be told from errors of the author's code

from practicus_assets.lake.partitions import Scope
from practicus_assets.lake.provenance import Provenance
from practicus_assets.lake.snapshot import Snapshot
from practicus_assets.lake.storage import Table
from practicus_assets.report import VERSION

_PAGE = 500

Context = dg.InputContext | dg.OutputContext | dg.AssetExecutionContext


def step_of(context: Context) -> Any:
    """Return the step that a context belongs to; None outside of a run, e.g. in a direct invocation."""
    try:
        if isinstance(context, dg.AssetExecutionContext):
            return context.get_step_execution_context()
        return context.step_context
    except (DagsterInvariantViolationError, AttributeError):
        return None


def provenance_of(context: Context, **details: Any) -> Provenance:
    """Return who commits: run, step and attempt, the same for each attempt at a step but for the attempt.

    Args:
        context: of the step.
        details: further attributes of `Provenance`.

    """
    step = step_of(context)
    if step is None:
        return Provenance(run_id=f"no-run-{uuid.uuid4()}", **details)
    return Provenance(
        run_id=step.run_id, step=step.step.key, attempt=step.previous_attempt_count + 1, **details
    )


def pinned(context: dg.InputContext, table: Table, scope: Scope) -> Snapshot:
    """Return an input's snapshot: the version that this run made, else the newest when the run began.

    Outside of a run it is the newest.

    Raises:
        TableNotFound: if there is no such version.
        VersionGone: if it was vacuumed away.

    """
    step = step_of(context)
    record = step.instance.get_run_record_by_id(step.run_id) if step is not None else None
    if record is None:
        return Snapshot.open(table, scope=scope)
    made = _made_by_run(step.instance, step.run_id, context.asset_key, record.create_timestamp)
    if made is not None:
        return Snapshot.open(table, made, scope)
    began = record.start_time or record.create_timestamp.timestamp()
    return Snapshot.at(table, datetime.fromtimestamp(began, UTC), scope)


def _made_by_run(
    instance: dg.DagsterInstance, run_id: str, key: dg.AssetKey, created: datetime
) -> int | None:
    """Return the table version of the newest materialization that a run reported."""
    records = dg.AssetRecordsFilter(asset_key=key, after_timestamp=created.timestamp() - 1)
    cursor = None
    while True:
        page = instance.fetch_materializations(records, limit=_PAGE, cursor=cursor)
        for record in page.records:
            event = record.asset_materialization
            if record.run_id == run_id and event is not None and VERSION in event.metadata:
                return int(str(event.metadata[VERSION].value))
        if not page.has_more:
            return None
        cursor = page.cursor
