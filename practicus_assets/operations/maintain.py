"""Maintenance: keeps a table's files few and its folder small, without touching what a run may need."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg

from practicus_assets.assets.catalog import TableEntry, chosen
from practicus_assets.errors import PracticusAssetsError, TableNotFound, naming
from practicus_assets.instance.events import CLOCK_SKEW
from practicus_assets.lake.upkeep.compaction import Compaction, compact
from practicus_assets.lake.upkeep.progress import Progress, unseen
from practicus_assets.lake.upkeep.releases import kept_versions
from practicus_assets.lake.upkeep.retention import (
    Removable,
    checkpoint,
    remove,
    unneeded_entries,
    unneeded_files,
)
from practicus_assets.operations.configs import MaintainConfig
from practicus_assets.operations.op_outputs import RemovableOutputs, remove_artifacts, remove_op_outputs

_UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


@dataclass(frozen=True)
class MaintainedTable:
    """What was done to a table, or would be.

    Attributes:
        table: the table's name.
        cutoff: files that were part of the table or being staged then, or later, stay; None if there is no
            table.
        held_by: the id of the unfinished run that moves the cutoff back; empty if it is the retention.
        kept: the older versions that releases need, each with a release's name.
        compaction: what was rewritten; None if that was not asked for.
        checkpoint: the version of the checkpoint that was written.
        log_files, files: what is removable of the log and of the data; None if that was not asked for.
        removed: how many files and log entries were deleted; None in a preview.
        error: why the table was not maintained to the end; None if it was.

    """

    table: str
    cutoff: datetime | None = None
    held_by: str = ""
    kept: Mapping[int, str] = field(default_factory=dict)
    compaction: Compaction | None = None
    checkpoint: int | None = None
    log_files: Removable | None = None
    files: Removable | None = None
    removed: int | None = None
    error: PracticusAssetsError | None = None

    @property
    def held(self) -> str:
        """Why nothing is removable, where the log cannot tell what may be needed; else empty."""
        return next((r.held for r in (self.files, self.log_files) if r is not None and r.held), "")


def cutoff(instance: dg.DagsterInstance, retention_hours: float, own_run: str = "") -> tuple[datetime, str]:
    """Return the cutoff: files that left the table before it can be deleted. And the run that moves it back.

    A run reads tables as they were when it began, and the files that it stages are younger than that. So the
    cutoff is the end of the retention, or earlier: the start of the oldest unfinished run.

    Args:
        instance: the Dagster instance whose runs count.
        retention_hours: for how many hours readers outside of runs are safe.
        own_run: the id of the run that does the maintenance, which does not count.

    Returns:
        The cutoff, and the id of the run that moves it back; empty if none does.

    """
    moment = datetime.now(UTC) - timedelta(hours=retention_hours)
    unfinished = dg.RunsFilter(statuses=_UNFINISHED)
    for record in instance.get_run_records(unfinished, limit=2, order_by="create_timestamp", ascending=True):
        began = record.create_timestamp.replace(tzinfo=record.create_timestamp.tzinfo or UTC) - CLOCK_SKEW
        if record.dagster_run.run_id != own_run:
            return (began, record.dagster_run.run_id) if began < moment else (moment, "")
    return moment, ""


def maintain_table(
    entry: TableEntry,
    instance: dg.DagsterInstance,
    config: MaintainConfig,
    *,
    run_id: str = "",
    progress: Progress = unseen,
) -> MaintainedTable:
    """Maintain one table. Safe while others read and write it.

    Args:
        entry: the table.
        instance: the Dagster instance that knows the runs at work; runs of other instances are protected by
            the retention alone.
        config: what to do; without `apply`, only what would be done is found out.
        run_id: the id of the run that does it; empty for a command.
        progress: the callback that gets how much of the work at hand is done, of how much.

    Returns:
        What was done; an error is part of it, so that it does not stop the maintenance of other tables.

    """
    moment, held_by = cutoff(instance, config.retention_hours, run_id)
    table, apply = entry.table, config.apply
    compaction = written = log_files = files = None
    removed = 0
    error: PracticusAssetsError | None = None
    kept: Mapping[int, str] = {}
    try:
        with naming(entry.name):
            table.open()
            kept = kept_versions(entry.root_uri, config.releases, table.storage_options).get(entry.name, {})
            if config.compact or config.z_order:
                compaction = compact(
                    table, order_by=config.z_order, run_id=run_id, dry_run=not apply, progress=progress
                )
            if config.checkpoint and apply:
                written = checkpoint(table)
            if config.vacuum:
                files = unneeded_files(table, moment, kept)
                removed += remove(table, files, progress) if apply else 0
            if config.expire and entry.layered.base is None:  # else the log says what the own root has
                log_files = unneeded_entries(table, moment, kept)
                removed += remove(table, log_files, progress) if apply else 0
    except TableNotFound:
        return MaintainedTable(entry.label)
    except PracticusAssetsError as failure:
        error = failure
    return MaintainedTable(
        entry.label,
        moment,
        held_by,
        kept,
        compaction,
        written,
        log_files,
        files,
        removed if apply else None,
        error,
    )


def maintain_op_outputs(
    entries: Iterable[TableEntry], instance: dg.DagsterInstance, config: MaintainConfig, *, run_id: str = ""
) -> list[RemovableOutputs]:
    """Delete what ops handed on, of each lake of the tables, where all tables are maintained and vacuumed.

    Args:
        entries: all tables.
        instance: the Dagster instance that knows the runs at work.
        config: what to do.
        run_id: the id of the run that does it; empty for a command.

    """
    if config.tables or not config.vacuum:
        return []
    moment, _ = cutoff(instance, config.retention_hours, run_id)
    return remove_op_outputs(entries, instance, moment, _UNFINISHED, apply=config.apply)


def maintain_artifacts(
    entries: Iterable[TableEntry], instance: dg.DagsterInstance, config: MaintainConfig
) -> list[RemovableOutputs]:
    """Delete old artifacts of tasks, of each lake of the tables, where all tables are maintained.

    Args:
        entries: all tables.
        instance: the Dagster instance that knows the runs at work.
        config: what to do; nothing, where it has no `artifact_days`.

    """
    if config.tables or config.artifact_days is None:
        return []
    moment = datetime.now(UTC) - timedelta(days=config.artifact_days)
    return remove_artifacts(entries, instance, moment, _UNFINISHED, apply=config.apply)


def _removed_run_files(
    context: dg.OpExecutionContext, tables: Iterable[TableEntry], config: MaintainConfig
) -> list[str]:
    """Delete what runs left beside tables, say so in the log, and return errors."""
    entries = list(tables)
    outputs = maintain_op_outputs(entries, context.instance, config, run_id=context.run_id)
    outputs += maintain_artifacts(entries, context.instance, config)
    for lake in outputs:
        context.log.info(str(lake))
    return [str(lake.error) for lake in outputs if lake.error is not None]


def _metadata(maintained: MaintainedTable) -> dict[str, Any]:
    metadata: dict[str, Any] = {"maintain/applied": maintained.removed is not None}
    if maintained.cutoff is not None:
        metadata["maintain/kept_since"] = dg.MetadataValue.timestamp(maintained.cutoff)
    if maintained.held_by:
        metadata["maintain/held_by_run"] = dg.MetadataValue.dagster_run(maintained.held_by)
    if maintained.kept:
        metadata["maintain/kept_for_releases"] = {
            str(version): release for version, release in maintained.kept.items()
        }
    if maintained.compaction is not None:
        metadata["maintain/compacted_files"] = maintained.compaction.files_before
    if maintained.checkpoint is not None:
        metadata["maintain/checkpoint"] = maintained.checkpoint
    for name, removable in (("files", maintained.files), ("log_files", maintained.log_files)):
        if removable is not None:
            metadata[f"maintain/{name}_unneeded"] = len(removable.paths)
            metadata[f"maintain/{name}_unneeded_bytes"] = removable.bytes
    if maintained.held:
        metadata["maintain/held"] = maintained.held
    if maintained.removed is not None:
        metadata["maintain/removed"] = maintained.removed
    return metadata


def maintained(
    context: dg.OpExecutionContext, tables: Mapping[str, TableEntry], config: MaintainConfig
) -> Iterator[Any]:
    """Maintain tables, and yield what Dagster records of them."""
    errors = []
    for entry in chosen(tables, config.tables):
        done = maintain_table(entry, context.instance, config, run_id=context.run_id)
        if done.error is not None:
            errors.append(str(done.error))
        elif done.cutoff is not None:
            yield dg.AssetObservation(entry.key, metadata=_metadata(done))
        elif entry.is_written:
            context.log.info("%s has no table yet", entry.name)
    errors += _removed_run_files(context, tables.values(), config)
    if not config.apply:
        context.log.info("Nothing was changed: set apply: true to do it.")
    if errors:
        raise dg.Failure("\n".join(errors))
