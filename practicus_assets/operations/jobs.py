"""Operations as Dagster jobs, from the UI or by a schedule."""

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import islice
from typing import Any

import dagster as dg
from pydantic import Field

from practicus_assets.assets.catalog import TableEntry, chosen, entry
from practicus_assets.assets.io_manager import DeltaIOManager
from practicus_assets.errors import DeclarationError, PracticusAssetsError, TableNotFound
from practicus_assets.lake.transactions.record import Provenance
from practicus_assets.lake.upkeep.difference import difference
from practicus_assets.lake.upkeep.history import Version, history, version_of
from practicus_assets.lake.upkeep.verification import verify
from practicus_assets.operations.drift import drift, report
from practicus_assets.operations.maintenance import (
    DEFAULT_RELEASES,
    DEFAULT_RETENTION_HOURS,
    Chores,
    Upkeep,
    maintain,
)
from practicus_assets.operations.rollback import plan, roll_back


class HistoryConfig(dg.Config):
    """What a run of the history job shows."""

    table: str = Field(description="Name of the table, with '/' between the parts of its key.")
    limit: int = Field(default=20, ge=1, description="How many commits, the newest first.")


class DifferenceConfig(dg.Config):
    """What a run of the difference job compares."""

    table: str = Field(description="Name of the table, with '/' between the parts of its key.")
    before: str = Field(description="A version, or the run that made it.")
    after: str = Field(description="The same of the later one.")
    samples: int = Field(default=5, ge=0, description="How many rows to show that only one of them has.")


class RollbackConfig(dg.Config):
    """What a run of the rollback job does."""

    table: str = Field(description="Name of the table, with '/' between the parts of its key.")
    to: str = Field(description="A version, or the run that made it.")
    partitions: list[str] = Field(default=[], description="Only these; none for all that changed since.")
    undo_newer: bool = Field(default=False, description="Undo several commits, not only a single one.")


class VerifyConfig(dg.Config):
    """What a run of the verify job does."""

    tables: list[str] = Field(default=[], description="Only these; none for all.")
    rows: bool = Field(default=False, description="Read every row, and compare it with its commit.")
    repair: bool = Field(default=False, description="Tell Dagster what the lake holds.")


class MaintenanceConfig(dg.Config):
    """What a run of the maintenance job does."""

    tables: list[str] = Field(default=[], description="Only these; none for all.")
    compact: bool = Field(default=True, description="Rewrite partitions that have several small files.")
    z_order: list[str] = Field(default=[], description="Sort each partition by these, instead.")
    checkpoint: bool = Field(default=True, description="Write a checkpoint of the log.")
    expire: bool = Field(default=True, description="Delete log entries that only older versions need.")
    vacuum: bool = Field(default=True, description="Delete files of older versions, and orphans.")
    retention_hours: float = Field(default=DEFAULT_RETENTION_HOURS, description="Newer stays readable.")
    releases: int = Field(default=DEFAULT_RELEASES, description="So many newest releases stay readable.")
    dry_run: bool = Field(default=False, description="Only report what would be done.")


def history_job(tables: Sequence[dg.AssetsDefinition], name: str = "table_history") -> dg.JobDefinition:
    """Return a job that observes a table with its commits: what each did, for whom, with which audits."""
    lake = _Lake(tables)

    @dg.op(name="history", out={}, required_resource_keys=lake.resource_keys)
    def show_history(context: dg.OpExecutionContext, config: HistoryConfig) -> Iterator[Any]:
        """Show the newest commits of a table."""
        [found] = chosen(lake.entries(context), [config.table])
        versions = islice(history(found.table, limit=config.limit), config.limit)
        yield dg.AssetObservation(found.key, metadata={"history": _records(map(_version, versions))})

    return _job(show_history, name, "Show what each commit of a table did.")


def difference_job(tables: Sequence[dg.AssetsDefinition], name: str = "table_difference") -> dg.JobDefinition:
    """Return a job that observes a table with what changed from one of its versions to another."""
    lake = _Lake(tables)

    @dg.op(name="difference", out={}, required_resource_keys=lake.resource_keys)
    def show_difference(context: dg.OpExecutionContext, config: DifferenceConfig) -> Iterator[Any]:
        """Show columns, counts, changed partitions and some rows."""
        [found] = chosen(lake.entries(context), [config.table])
        before, after = (version_of(found.table, each) for each in (config.before, config.after))
        changed = difference(found.table, before, after, samples=config.samples)
        sides = [{**asdict(side), "columns": dict(side.columns)} for side in (changed.before, changed.after)]
        metadata = {
            "difference/versions": _records(sides),
            "difference/partitions": _records(map(asdict, changed.partitions)),
            "difference/lost": _records(changed.lost),
            "difference/gained": _records(changed.gained),
        }
        yield dg.AssetObservation(found.key, metadata={k: v for k, v in metadata.items() if v.value})

    return _job(show_difference, name, "Show what changed between two versions of a table.")


def rollback_job(tables: Sequence[dg.AssetsDefinition], name: str = "table_rollback") -> dg.JobDefinition:
    """Return a job that brings one of these tables, or partitions of it, back to what they were."""
    lake = _Lake(tables)

    @dg.op(name="rollback", out={}, required_resource_keys=lake.resource_keys)
    def rollback(context: dg.OpExecutionContext, config: RollbackConfig) -> Iterator[Any]:
        """Bring a table, or partitions of it, back to a version, in a new commit."""
        [found] = chosen(lake.entries(context), [config.table])
        planned = plan(found, context.instance, config.to, config.partitions)
        for version in planned.undone:
            context.log.info("undoes version %s: %s", version.version, version.operation)
        attempt = context.retry_number + 1
        who = Provenance(context.run_id, context.op_handle.name, attempt, asset_key=found.name)
        done = roll_back(found, context.instance, planned, who, undo_newer=config.undo_newer)
        if done.commit is None:
            context.log.info("%s holds the rows of version %s already", found.name, planned.target)
        yield from done.events

    return _job(rollback, name, "Bring a table, or partitions of it, back to a version.")


def verification_job(
    tables: Sequence[dg.AssetsDefinition], name: str = "table_verification"
) -> dg.JobDefinition:
    """Return a job that verifies these tables, and fails if something is wrong."""
    lake = _Lake(tables)

    @dg.op(name="verify", out={}, required_resource_keys=lake.resource_keys)
    def verify_tables(context: dg.OpExecutionContext, config: VerifyConfig) -> Iterator[Any]:
        """Verify the log, the files, and what Dagster believes is materialized."""
        entries = chosen(lake.entries(context), config.tables)
        problems: list[str] = []
        for found in entries:
            problems += yield from _verified(context, found, config)
        if problems:
            raise dg.Failure("\n".join(problems), metadata={"problems": len(problems)}, allow_retries=False)

    return _job(verify_tables, name, "Verify tables, and what Dagster believes of them.")


def maintenance_job(
    tables: Sequence[dg.AssetsDefinition], name: str = "table_maintenance"
) -> dg.JobDefinition:
    """Return a job that maintains these tables; one that cannot be maintained does not stop the others."""
    lake = _Lake(tables)

    @dg.op(name="maintain", out={}, required_resource_keys=lake.resource_keys)
    def maintain_tables(context: dg.OpExecutionContext, config: MaintenanceConfig) -> Iterator[Any]:
        """Compact, checkpoint, expire and vacuum."""
        wanted = config.model_dump()
        names, dry_run = wanted.pop("tables"), wanted.pop("dry_run")
        chores, failed = Chores(**wanted), []
        for found in chosen(lake.entries(context), names):
            try:
                done = maintain(found, context.instance, chores, run_id=context.run_id, dry_run=dry_run)
            except TableNotFound:
                context.log.info("%s has no table yet", found.name)
            except PracticusAssetsError as error:
                failed.append(str(error))
            else:
                yield dg.AssetObservation(found.key, metadata=_metadata(done))
        if failed:
            raise dg.Failure("\n".join(failed))

    return _job(maintain_tables, name, "Compact, checkpoint, expire and vacuum tables.")


def maintenance_schedule(
    job: dg.JobDefinition, cron_schedule: str = "0 3 * * *", **options: Any
) -> dg.ScheduleDefinition:
    """Return a schedule for a maintenance job, by default each night at 3; it begins switched off.

    Args:
        job: made by `maintenance_job`.
        cron_schedule: when.
        options: of `dg.ScheduleDefinition`, e.g. `execution_timezone` or `run_config`.

    """
    return dg.ScheduleDefinition(name=f"{job.name}_schedule", job=job, cron_schedule=cron_schedule, **options)


def _job(op: dg.OpDefinition, name: str, description: str) -> dg.JobDefinition:
    return dg.GraphDefinition(name=name, node_defs=[op]).to_job(description=description)


class _Lake:
    """The tables that jobs are about; their places are known once a run has its resources."""

    def __init__(self, tables: Sequence[dg.AssetsDefinition]) -> None:
        self._tables = [(assets, key) for assets in tables for key in sorted(assets.keys)]
        self.resource_keys = {assets.get_io_manager_key_for_asset_key(key) for assets, key in self._tables}

    def entries(self, context: dg.OpExecutionContext) -> dict[str, TableEntry]:
        found = {}
        for assets, key in self._tables:
            resource_key = assets.get_io_manager_key_for_asset_key(key)
            lake = getattr(context.resources, resource_key)
            if not isinstance(lake, DeltaIOManager):
                raise DeclarationError(
                    f"the resource {resource_key!r} is a {type(lake).__qualname__}.",
                    "Give these jobs only assets that a DeltaIOManager stores.",
                )
            made = entry(assets, key, lake)
            found[made.name] = made
        return found


def _verified(
    context: dg.OpExecutionContext, found: TableEntry, config: VerifyConfig
) -> Generator[Any, None, list[str]]:
    """Yield what is to be recorded of a table, and return what is wrong with it."""
    instance = context.instance
    problems = []
    try:
        scope = found.scope(instance, found.partition_keys(instance))
        verification = verify(found.table, scope, rows=config.rows)
    except TableNotFound:
        context.log.info("%s has no table yet", found.name)
    else:
        problems = [
            f"{found.name}, {each.kind}: {each.subject}: {each.found} {each.advice}"
            for each in verification.findings
        ]
        told = {f"verify/{n}": v for n, v in asdict(verification).items() if isinstance(v, int)}
        yield dg.AssetObservation(found.key, metadata=told)
        if verification.version is None:
            return problems
    drifts = drift(found, instance)
    if config.repair:
        yield from report(found, instance, drifts)
    left = [each for each in drifts if not (config.repair and each.repairable)]
    return problems + [f"{found.name} [{each.partition}], {each.kind}: {each.found}" for each in left]


def _version(version: Version) -> dict[str, Any]:
    return {**asdict(version), "landed": version.landed.isoformat(timespec="seconds")}


def _records(rows: Iterable[Mapping[str, Any]]) -> dg.TableMetadataValue:
    """Return rows as Dagster shows a table: of plain values, all of them as text where one is none."""
    cells = [{name: "" if v is None else str(v) for name, v in row.items()} for row in rows]
    columns = [dg.TableColumn(name) for name in (cells[0] if cells else ())]
    return dg.MetadataValue.table([dg.TableRecord(each) for each in cells], dg.TableSchema(columns))


def _metadata(done: Upkeep) -> dict[str, Any]:
    metadata: dict[str, Any] = {"maintenance/kept_since": done.cutoff.isoformat()}
    if done.held_by:
        metadata["maintenance/held_by"] = done.held_by
    if done.kept:
        metadata["maintenance/kept_for_releases"] = {
            str(version): name for version, name in done.kept.items()
        }
    if done.compaction is not None:
        metadata["maintenance/compacted_files"] = done.compaction.files_before
    if done.checkpoint is not None:
        metadata["maintenance/checkpoint"] = done.checkpoint
    for name, removable in (("files", done.files), ("log_files", done.entries)):
        if removable is not None:
            metadata[f"maintenance/{name}_unneeded"] = len(removable.paths)
            metadata[f"maintenance/{name}_unneeded_bytes"] = removable.bytes
            metadata |= {"maintenance/held": removable.held} if removable.held else {}
    if done.removed is not None:
        metadata["maintenance/removed"] = done.removed
    return metadata
