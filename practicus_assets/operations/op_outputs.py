"""Maintenance of what runs left beside tables: op outputs that no run needs, old artifacts of tasks."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import dagster as dg

from practicus_assets.assets.catalog import TableEntry
from practicus_assets.assets.metadata.places import ARTIFACTS, OP_OUTPUTS
from practicus_assets.errors import PracticusAssetsError, naming
from practicus_assets.lake.upkeep.lake_files import LakeFile, LakeFiles
from practicus_assets.wording import number_of

_RUN = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_SHORTEST_RETENTION = timedelta(days=1)  # so that a run that failed last night can be re-executed


@dataclass(frozen=True)
class RemovableOutputs:
    """What finished runs left in one folder of a lake, and is older than its retention.

    Attributes:
        root_uri: the lake's root.
        folder: the folder's name below it.
        cutoff: files that were written then, or later, stay.
        files: the number of files.
        bytes: their size.
        removed: how many were deleted; None in a preview.
        error: why they were not looked through to the end; None if they were.

    """

    root_uri: str
    folder: str
    cutoff: datetime
    files: int = 0
    bytes: int = 0
    removed: int | None = None
    error: PracticusAssetsError | None = None

    def __str__(self) -> str:
        done = "to be removed" if self.removed is None else f"{self.removed:,} of them removed"
        what = f"{number_of(self.files, 'value')} that ops handed on"
        if self.folder == ARTIFACTS:
            what = f"{number_of(self.files, 'artifact')} of tasks"
        return (
            f"{self.root_uri}/{self.folder}: {what}, written before {self.cutoff:%Y-%m-%d %H:%M} UTC, {done}"
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
    moment = min(cutoff, datetime.now(UTC) - _SHORTEST_RETENTION)

    def old(files: Mapping[str, LakeFile]) -> list[str]:
        return [path for path, file in files.items() if file.modified < moment]

    return _removed(entries, OP_OUTPUTS, moment, old, lambda: _runs_needed(instance, unfinished), apply=apply)


def remove_artifacts(
    entries: Iterable[TableEntry],
    instance: dg.DagsterInstance,
    cutoff: datetime,
    unfinished: list[dg.DagsterRunStatus],
    *,
    apply: bool,
) -> list[RemovableOutputs]:
    """Delete old artifacts of tasks, but for those of each task's newest run and of unfinished runs.

    Args and what is returned are as of `remove_op_outputs`; `cutoff` is taken as it is.

    """

    def running() -> set[str]:
        return {run.run_id for run in instance.get_runs(dg.RunsFilter(statuses=unfinished))}

    def old(files: Mapping[str, LakeFile]) -> list[str]:
        by_run: dict[str, datetime] = {}
        by_asset: dict[str, datetime] = {}
        for path, file in files.items():
            run = _run_of(path)
            for newest, key in ((by_run, run), (by_asset, _asset_of(run))):
                newest[key] = max(newest.get(key, file.modified), file.modified)
        gone = {run for run, moment in by_run.items() if moment < min(cutoff, by_asset[_asset_of(run)])}
        return [path for path in files if _run_of(path) in gone]

    return _removed(entries, ARTIFACTS, cutoff, old, running, apply=apply)


def _run_of(path: str) -> str:
    """Return the part of an artifact's path that ends with the run's id; empty where it has none."""
    parts = path.split("/")
    return next(("/".join(parts[: i + 1]) for i, part in enumerate(parts) if i and _RUN.fullmatch(part)), "")


def _asset_of(run: str) -> str:
    return run.rpartition("/")[0]


def _removed(
    entries: Iterable[TableEntry],
    folder: str,
    moment: datetime,
    old: Callable[[Mapping[str, LakeFile]], list[str]],
    runs_needed: Callable[[], set[str]],
    *,
    apply: bool,
) -> list[RemovableOutputs]:
    """Delete what is old of one folder of each lake, if it has any."""
    lakes = {
        entry.root_uri: LakeFiles(entry.root_uri, folder, dict(entry.table.storage_options))
        for entry in entries
    }
    by_lake = []
    for lake in lakes.values():
        try:
            with naming(folder):
                files = lake.files()
                paths = old(files)
                # listed before the runs are: a run that has written one of them is known by now
                needed = runs_needed() if paths else set()
                paths = [path for path in paths if not needed & set(path.split("/"))]
                removed = lake.remove(paths) if apply else None
        except PracticusAssetsError as error:
            by_lake.append(RemovableOutputs(lake.root_uri, folder, moment, error=error))
            continue
        if paths:
            size = sum(files[path].size for path in paths)
            by_lake.append(RemovableOutputs(lake.root_uri, folder, moment, len(paths), size, removed))
    return by_lake


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
