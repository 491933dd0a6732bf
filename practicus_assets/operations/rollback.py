"""Rollbacks as Dagster sees them: which asset partitions go back, and what is reported of it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import dagster as dg

from practicus_assets.assets.catalog import TableEntry
from practicus_assets.assets.materialization import (
    DATA_VERSION_TAG,
    commit_metadata,
    identity,
    partition_metadata,
)
from practicus_assets.errors import DeclarationError
from practicus_assets.instance.events import latest
from practicus_assets.lake.delta.log import entries
from practicus_assets.lake.delta.snapshot import Snapshot, arrow_schema
from practicus_assets.lake.partitions.scope import WHOLE_TABLE, Scope
from practicus_assets.lake.rows.fingerprint import EMPTY
from practicus_assets.lake.transactions.record import Commit, Provenance
from practicus_assets.lake.upkeep.history import version_of
from practicus_assets.lake.upkeep.origins import origins
from practicus_assets.lake.upkeep.rollback import Plan
from practicus_assets.lake.upkeep.rollback import plan as plan_on
from practicus_assets.lake.upkeep.rollback import roll_back as roll_back_on
from practicus_assets.operations.drift import CODE_VERSION_TAG, fingerprints

_JUDGED_BY = (DATA_VERSION_TAG, CODE_VERSION_TAG, "dagster/input_data_version", "dagster/input_event_pointer")
RESTORES = "delta/restores"


@dataclass(frozen=True)
class Rollback:
    """What a rollback did.

    Attributes:
        plan: what was planned.
        commit: what landed; None if nothing had to.
        events: the materializations to report.

    """

    plan: Plan
    commit: Commit | None
    events: tuple[dg.AssetMaterialization, ...]


def plan(entry: TableEntry, instance: dg.DagsterInstance, to: str, partitions: Sequence[str]) -> Plan:
    """Find out what a rollback would do.

    Args:
        entry: the table.
        instance: which knows the asset's partitions.
        to: a version, or the run that made it.
        partitions: the keys that go back; none for all that changed since.

    Raises:
        DeclarationError: for partitions of an asset that has none, or that it does not have.
        VersionGone: if the version cannot be read any more.

    """
    if partitions and entry.partitions_def is None:
        raise DeclarationError(f"{entry.name} has no partitions.", "Roll the whole table back.")
    keys = list(partitions) or entry.partition_keys(instance)
    return plan_on(
        entry.table, version_of(entry.table, to), entry.scope(instance, keys), whole=not partitions
    )


def roll_back(
    entry: TableEntry,
    instance: dg.DagsterInstance,
    planned: Plan,
    provenance: Provenance,
    *,
    undo_newer: bool = False,
) -> Rollback:
    """Carry out a plan, and return what is to be reported; raises what `lake.rollback.roll_back` does.

    A run that is tried again finds what it had already landed.
    """
    done = _landed(entry, instance, planned, provenance)
    if done is not None:
        scope, commit = done
    elif planned.scope is None:
        return Rollback(planned, None, ())
    else:
        scope = planned.scope
        before = Snapshot.open(entry.table, planned.target, scope)
        codes = {
            str(origin.record["code_version"])
            for origin in origins(entry.table, before.version, scope, before.schema).values()
            if origin.record is not None
        }
        if len(codes) == 1:
            provenance = replace(provenance, code_version=codes.pop())
        commit = roll_back_on(entry.table, planned, provenance, undo_newer=undo_newer)
    return Rollback(
        planned,
        commit,
        tuple(_events(entry, instance, scope, commit, (planned.target, provenance.code_version))),
    )


def _landed(
    entry: TableEntry, instance: dg.DagsterInstance, planned: Plan, provenance: Provenance
) -> tuple[Scope, Commit] | None:
    """Return the scope and the commit of an earlier attempt at the same rollback."""
    for found in entries(entry.table, planned.newest, planned.target + 1):
        record = found.record
        if record is None or (record["run_id"], record.get("restores")) != (
            provenance.run_id,
            planned.target,
        ):
            continue
        keys = entry.partition_keys(instance) if record["scope"]["columns"] else []
        schema = arrow_schema(entry.table.open())
        kept = [key for key in keys if entry.scope(instance, [key]).on(schema).overlaps(record["scope"])]
        return entry.scope(instance, kept), Commit.recorded(record, found.version, kept)
    return None


def _events(
    entry: TableEntry,
    instance: dg.DagsterInstance,
    scope: Scope,
    commit: Commit,
    origin: tuple[int, str],
) -> list[dg.AssetMaterialization]:
    """Return what to report of each partition; `origin` is the version that came back, and its code's."""
    target, code_version = origin
    snapshot = Snapshot.open(entry.table, commit.version, scope)
    metadata = commit_metadata(entry.table, snapshot, commit, None, {}, preview_rows=0)
    del metadata["dagster/column_schema"]  # the definition's has descriptions
    metadata[RESTORES] = target
    prints = dict(commit.fingerprints)
    by_partition = partition_metadata(snapshot, commit) if scope.keys else {}
    keys = entry.partition_keys(instance)
    if keys and not scope.keys:  # the whole table of a partitioned asset went back
        everything = Snapshot.open(entry.table, commit.version, entry.scope(instance, keys))
        materialized = latest(instance, entry.key, keys)
        prints = {k: p for k, p in fingerprints(everything).items() if p != EMPTY or k in materialized}
        by_partition = {
            key: {"dagster/partition_row_count": rows, "delta/fingerprint": prints[key]}
            for key, rows in everything.partition_rows.items()
            if rows is not None and key in prints
        }
    known = _original_tags(instance, entry.key, prints)
    events = []
    for key, fingerprint in prints.items():
        appended = f"{fingerprint}@{commit.version}" if entry.settings.mode == "append" else fingerprint
        tags = known.get(key) or {DATA_VERSION_TAG: appended}
        if CODE_VERSION_TAG not in tags and code_version and key not in known:
            tags[CODE_VERSION_TAG] = code_version
        partition = "" if key == WHOLE_TABLE else key
        told = {**metadata, **by_partition.get(key, {})}
        events.append(entry.materialization(partition, f"rolled back to version {target}", told, tags))
    return events


def _original_tags(
    instance: dg.DagsterInstance, key: dg.AssetKey, prints: dict[str, str]
) -> dict[str, dict[str, str]]:
    """Return the tags by which Dagster judged each partition when it was materialized with the same rows.

    They say which code and which data of its inputs the rows come from, so that what is stale is shown so.
    """
    partitions = [key for key in prints if key != WHOLE_TABLE]
    originals = latest(
        instance,
        key,
        partitions,
        lambda event: prints.get(event.partition or WHOLE_TABLE) == identity(event)[0],
    )
    return {
        partition or WHOLE_TABLE: {
            name: value for name, value in (event.tags or {}).items() if name.startswith(_JUDGED_BY)
        }
        for partition, event in originals.items()
    }
