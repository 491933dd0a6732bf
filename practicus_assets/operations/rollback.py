"""Rollbacks of tables of assets: which partitions go back, and what Dagster gets to know of it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import dagster as dg

from practicus_assets.assets.catalog import TableEntry, chosen
from practicus_assets.assets.report.changes import changes_of
from practicus_assets.assets.report.data_version import identity
from practicus_assets.assets.report.materialization import commit_metadata, partition_metadata
from practicus_assets.assets.report.names import (
    CODE_VERSION_TAG,
    DATA_VERSION_TAG,
    FINGERPRINT,
    RESTORES,
    SUMMARY,
)
from practicus_assets.assets.report.summary import summary
from practicus_assets.errors import DeclarationError, RollbackRefused
from practicus_assets.instance.events import latest
from practicus_assets.lake.delta.log import entries
from practicus_assets.lake.delta.record import VersionElsewhere
from practicus_assets.lake.delta.snapshot import Snapshot
from practicus_assets.lake.layers.claims import Claims
from practicus_assets.lake.partitions.bounds import Bounds
from practicus_assets.lake.partitions.scope import WHOLE_TABLE, Scope
from practicus_assets.lake.rows.fingerprints.fingerprint import EMPTY
from practicus_assets.lake.transactions.commit import Commit
from practicus_assets.lake.transactions.provenance import Provenance
from practicus_assets.lake.upkeep.history import HistoryEntry, version_of
from practicus_assets.lake.upkeep.rollback import RollbackPlan, carry_out, plan_rollback
from practicus_assets.operations.configs import RollbackConfig
from practicus_assets.operations.drift import fingerprints
from practicus_assets.operations.table_job import records
from practicus_assets.wording import enumerated

_JUDGED_BY = (DATA_VERSION_TAG, CODE_VERSION_TAG, "dagster/input_data_version", "dagster/input_event_pointer")


@dataclass(frozen=True)
class Rollback:
    """What a rollback did, or would do.

    Attributes:
        plan: the plan.
        commit: what landed; None in a preview, or if the table holds the target's rows already.
        events: the materializations to report.

    """

    plan: RollbackPlan
    commit: Commit | None = None
    events: tuple[dg.AssetMaterialization, ...] = ()


def roll_back(
    entry: TableEntry, instance: dg.DagsterInstance, config: RollbackConfig, provenance: Provenance
) -> Rollback:
    """Bring a table, or partitions of it, back to a version, in a new commit.

    A run that is tried again finds what it had already landed.

    Args:
        entry: the table.
        instance: the Dagster instance that knows the asset's partitions.
        config: what to do; without `apply`, only what would be undone is found out.
        provenance: the run that does it.

    Raises:
        DeclarationError: for partitions of an asset that has none, or that it does not have.
        RollbackRefused: if several commits would be undone, and `undo_newer` is not set.
        CommitConflict: if somebody committed the same partitions since the plan was made.
        VersionGone: if the version cannot be read any more.

    """
    if config.partitions and entry.partitions_def is None:
        raise DeclarationError(f"{entry.name} has no partitions.", "Roll the whole table back.")
    if config.partitions and entry.settings.options.history is not None:
        raise RollbackRefused(
            f"{entry.name} is a history, where rows of one partition are valid until those of another are.",
            "Roll the whole table back, or materialize these partitions again.",
        )
    keys = list(config.partitions) or entry.partition_keys(instance)
    target, scope = version_of(entry.table, config.to), entry.scope(instance, keys)
    plan = plan_rollback(entry.table, target, scope, whole=not config.partitions)
    if entry.layered.base is not None and plan.scope is not None:
        provenance = replace(provenance, base=_pinned(entry, target, plan.scope))
    return _applied(entry, instance, plan, provenance, config) if config.apply else Rollback(plan)


def _pinned(entry: TableEntry, target: int, scope: Scope) -> VersionElsewhere | None:
    """Return the version of the base over which the rows of a version of an own table lie.

    Raises:
        RollbackRefused: for partitions that the own root did not have then, so that the base's were read.

    """
    at = entry.table.open(target)
    claims, bounds = Claims.of(at), scope.on(at.schema)
    parts = {key: bounds.one(number) for number, key in enumerate(scope.keys or (WHOLE_TABLE,))}
    of_base = [key for key, part in parts.items() if not claims.cover(part)]
    if of_base:
        raise RollbackRefused(
            f"version {target} of {entry.table.uri} has no rows of its own in {enumerated(of_base[:3])}: the "
            f"rows of the base, {entry.layered.base_uri}, were read there.",
            "Go back to a later version, or name other partitions; to read the base alone again, delete the "
            "table's folder in the own root.",
        )
    pins = [claims.pin(part) for part in parts.values()]
    known = [pin for pin in pins if pin is not None and pin.version is not None]
    return min(known, key=lambda pin: pin.version or 0) if len(known) == len(pins) else pins[0]


def _applied(
    entry: TableEntry,
    instance: dg.DagsterInstance,
    plan: RollbackPlan,
    provenance: Provenance,
    config: RollbackConfig,
) -> Rollback:
    earlier = _landed(entry, instance, plan, provenance)
    if earlier is not None:
        scope, commit = earlier
    elif plan.scope is None:
        return Rollback(plan)
    else:
        scope = plan.scope
        commit = carry_out(entry.table, plan, provenance, undo_newer=config.undo_newer)
    [logged] = entries(entry.table, commit.version, commit.version)
    record = logged.record
    known = record is not None and record.restores_version == plan.target
    code_version = record.code_version if record is not None and known else ""
    undone = [f"version {each.version} ({each.operation}, {_who(each)})" for each in plan.undone]
    return Rollback(
        plan, commit, tuple(_events(entry, instance, scope, commit, (plan.target, code_version, undone)))
    )


def _who(commit: HistoryEntry) -> str:
    return f"run {commit.run_id[:8]}" if commit.run_id else commit.engine


def _metadata(rollback: Rollback) -> dict[str, Any]:
    plan = rollback.plan
    metadata: dict[str, Any] = {
        "rollback/applied": rollback.commit is not None,
        "rollback/target": plan.target,
        "rollback/scope": plan.scope_in_words,
    }
    if plan.undone:
        undone = [{**asdict(e), "landed": e.landed.isoformat(timespec="seconds")} for e in plan.undone]
        metadata["rollback/undone"] = records(undone)
    return metadata


def _landed(
    entry: TableEntry, instance: dg.DagsterInstance, plan: RollbackPlan, provenance: Provenance
) -> tuple[Scope, Commit] | None:
    """Return the scope and the commit of an earlier attempt at the same rollback."""
    for logged in entries(entry.table, plan.newest, plan.target + 1):
        record = logged.record
        if record is None or (record.run_id, record.restores_version) != (
            provenance.run_id,
            plan.target,
        ):
            continue
        if record.scope.is_whole_table:
            return Scope(), Commit.from_record(record, logged.version, [])
        everything = entry.scope(instance, entry.partition_keys(instance))
        bounds = everything.on(entry.table.open().schema)
        kept = [
            key
            for key, part in zip(everything.keys, bounds.parts, strict=True)
            if record.scope.overlaps(Bounds(bounds.columns, bounds.types, (part,)).recorded)
        ]
        return entry.scope(instance, kept), Commit.from_record(record, logged.version, kept)
    return None


def _events(
    entry: TableEntry,
    instance: dg.DagsterInstance,
    scope: Scope,
    commit: Commit,
    origin: tuple[int, str, Sequence[str]],
) -> list[dg.AssetMaterialization]:
    """Return the materialization of each partition.

    Args:
        entry: the table.
        instance: the Dagster instance that knows the original materializations.
        scope: the partitions that went back.
        commit: the rollback's commit.
        origin: the version whose rows came back, the version of the code that made them, and the commits
            that were undone, in words.

    """
    target, code_version, undone = origin
    keys = entry.partition_keys(instance)
    is_whole = bool(keys) and not scope.keys  # the whole table of a partitioned asset went back
    scope = entry.scope(instance, keys) if is_whole else scope
    snapshot = Snapshot.of(entry.table, commit.version, scope)
    metadata = commit_metadata(entry.table, snapshot, commit, None, {}, preview_rows=0)
    del metadata["dagster/column_schema"]  # keep the one of the definition, which has descriptions
    metadata[RESTORES] = target
    changes = changes_of(entry.table.name, snapshot, commit, "replace")
    shows_values = bool(entry.table.sample_rows) or bool(scope.keys)
    text = summary(commit, changes, {}, metadata, shows_values=shows_values, undone=undone)
    metadata = {SUMMARY: text, **metadata}
    by_key = dict(commit.fingerprints)
    by_partition = partition_metadata(entry.table, snapshot, commit) if scope.keys else {}
    if is_whole:
        materialized = latest(instance, entry.key, keys)
        by_key = {k: p for k, p in fingerprints(snapshot).items() if p != EMPTY or k in materialized}
        by_partition = {
            key: {**entries, FINGERPRINT: by_key[key]}
            for key, entries in by_partition.items()
            if key in by_key
        }
    original = _original_tags(instance, entry.key, by_key)
    events = []
    for key, fingerprint in by_key.items():
        appended = (
            f"{fingerprint}@{commit.version}" if entry.settings.options.mode == "append" else fingerprint
        )
        tags = original.get(key) or {DATA_VERSION_TAG: appended}
        if CODE_VERSION_TAG not in tags and code_version and key not in original:
            tags[CODE_VERSION_TAG] = code_version
        partition = "" if key == WHOLE_TABLE else key
        reported = {**metadata, **by_partition.get(key, {})}
        events.append(entry.materialization(partition, f"rolled back to version {target}", reported, tags))
    return events


def _original_tags(
    instance: dg.DagsterInstance, key: dg.AssetKey, by_key: dict[str, str]
) -> dict[str, dict[str, str]]:
    """Return the tags by which Dagster judged each partition when it was materialized with the same rows.

    They say which code and which input data the rows come from, so that Dagster shows the right staleness.
    """
    partitions = [key for key in by_key if key != WHOLE_TABLE]
    originals = latest(
        instance,
        key,
        partitions,
        lambda event: by_key.get(event.partition or WHOLE_TABLE) == identity(event)[0],
    )
    return {
        partition or WHOLE_TABLE: {
            name: value for name, value in (event.tags or {}).items() if name.startswith(_JUDGED_BY)
        }
        for partition, event in originals.items()
    }


def rolled_back(
    context: dg.OpExecutionContext, tables: Mapping[str, TableEntry], config: RollbackConfig
) -> Iterator[Any]:
    """Bring a table back, and yield what Dagster records of it."""
    [table] = chosen(tables, [config.table])
    attempt = context.retry_number + 1
    who = Provenance(context.run_id, context.op_handle.name, attempt, asset_key=table.name)
    rollback = roll_back(table, context.instance, config, who)
    plan = rollback.plan
    if plan.scope is None and rollback.commit is None:
        context.log.info("%s holds the rows of version %s already", table.name, plan.target)
    elif rollback.commit is None:
        context.log.info("Nothing was written: set apply: true to do it.")
    yield dg.AssetObservation(table.key, metadata=_metadata(rollback))
    yield from rollback.events
