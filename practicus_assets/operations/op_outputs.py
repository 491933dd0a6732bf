"""Maintenance of op outputs: values that ops handed on to each other go when no run can need them."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import dagster as dg

from practicus_assets.assets.catalog import TableEntry
from practicus_assets.assets.op_outputs import FOLDER, OpOutputs
from practicus_assets.errors import PracticusAssetsError, naming
from practicus_assets.wording import number_of

_SHORTEST_RETENTION = timedelta(days=1)  # so that a run that failed last night can be re-executed


@dataclass(frozen=True)
class RemovableOutputs:
    """What ops of finished runs handed on in one lake, and is older than the retention.

    Attributes:
        root_uri: the lake's root.
        cutoff: values that were written then, or later, stay.
        files: the number of values.
        bytes: their size.
        removed: how many were deleted; None in a preview.
        error: why they were not looked through to the end; None if they were.

    """

    root_uri: str
    cutoff: datetime
    files: int = 0
    bytes: int = 0
    removed: int | None = None
    error: PracticusAssetsError | None = None

    def __str__(self) -> str:
        done = "to be removed" if self.removed is None else f"{self.removed:,} of them removed"
        return (
            f"{self.root_uri}/{FOLDER}: {number_of(self.files, 'value')} that ops handed on, written before "
            f"{self.cutoff:%Y-%m-%d %H:%M} UTC, {done}"
        )


def remove_op_outputs(
    entries: Iterable[TableEntry],
    instance: dg.DagsterInstance,
    cutoff: datetime,
    unfinished: list[dg.DagsterRunStatus],
    *,
    apply: bool,
) -> list[RemovableOutputs]:
    """Delete old op outputs of the lakes of some tables, but for those of unfinished runs.

    What runs of other instances handed on is protected by its age alone.

    Args:
        entries: the tables.
        instance: the Dagster instance that knows the runs at work.
        cutoff: the oldest moment whose outputs are to stay; those of the last day stay in any case.
        unfinished: the statuses of runs that are not finished.
        apply: whether to delete them; without it, only what would be deleted is found out.

    Returns:
        What each lake has, if it has any; an error is part of it.

    """
    lakes = {
        entry.root_uri: OpOutputs(entry.root_uri, dict(entry.table.storage_options)) for entry in entries
    }
    moment = min(cutoff, datetime.now(UTC) - _SHORTEST_RETENTION)
    by_lake = [_removed(lake, instance, moment, unfinished, apply=apply) for lake in lakes.values()]
    return [removed for removed in by_lake if removed.files or removed.error is not None]


def _removed(
    lake: OpOutputs,
    instance: dg.DagsterInstance,
    moment: datetime,
    unfinished: list[dg.DagsterRunStatus],
    *,
    apply: bool,
) -> RemovableOutputs:
    try:
        with naming(FOLDER):
            sizes = lake.older_than(moment)
            # listed before the runs are: a run that has written one of them is known by now
            needed = _runs_needed(instance, unfinished) if sizes else set()
            paths = [path for path in sizes if path.partition("/")[0] not in needed]
            removed = lake.remove(paths) if apply else None
    except PracticusAssetsError as error:
        return RemovableOutputs(lake.root_uri, moment, error=error)
    size = sum(sizes[path] for path in paths)
    return RemovableOutputs(lake.root_uri, moment, len(paths), size, removed)


def _runs_needed(instance: dg.DagsterInstance, unfinished: list[dg.DagsterRunStatus]) -> set[str]:
    """Return the ids of unfinished runs, and of the runs that they re-execute, whose outputs they read."""
    needed: set[str] = set()
    for run in instance.get_runs(dg.RunsFilter(statuses=unfinished)):
        ancestor: dg.DagsterRun | None = run
        while ancestor is not None and ancestor.run_id not in needed:
            needed.add(ancestor.run_id)
            parent = ancestor.parent_run_id
            ancestor = instance.get_run_by_id(parent) if parent is not None else None
    return needed
