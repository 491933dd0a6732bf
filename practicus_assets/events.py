"""Events: what an instance has recorded of materializations and of failed attempts."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

_PAGE = 500


def materializations(
    instance: dg.DagsterInstance, records: dg.AssetRecordsFilter
) -> Iterator[tuple[str, dg.AssetMaterialization]]:
    """Yield the run and the event of each materialization that a filter lets through, newest first."""
    cursor = None
    while True:
        page = instance.fetch_materializations(records, limit=_PAGE, cursor=cursor)
        for record in page.records:
            if record.asset_materialization is not None:
                yield record.run_id, record.asset_materialization
        if not page.has_more:
            return
        cursor = page.cursor


def last_conflict(instance: dg.DagsterInstance, run_id: str, step_key: str) -> float | None:
    """Return when an attempt at a step of a run last ended in a `CommitConflict`, in seconds since 1970."""
    found = None
    for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.STEP_UP_FOR_RETRY):
        event = entry.dagster_event
        if event is None or event.step_key != step_key:
            continue
        error: Any = event.step_retry_data.error
        while error is not None:
            if error.cls_name == "CommitConflict":
                found = entry.timestamp
            error = error.cause
    return found
