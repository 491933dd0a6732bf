"""Drift: where Dagster believes something else of a table than the lake holds, and how it is told."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import dagster as dg

from practicus_assets.assets.catalog import TableEntry
from practicus_assets.assets.materialization import DATA_VERSION_TAG, FINGERPRINT, VERSION, identity
from practicus_assets.errors import naming
from practicus_assets.instance.events import latest
from practicus_assets.lake.delta.files import data_files
from practicus_assets.lake.delta.snapshot import Snapshot
from practicus_assets.lake.partitions.scope import WHOLE_TABLE, Scope
from practicus_assets.lake.partitions.values import split
from practicus_assets.lake.rows.fingerprint import Fingerprint, hash_rows
from practicus_assets.lake.upkeep.origins import Origin, origins

CODE_VERSION_TAG = "dagster/code_version"


@dataclass(frozen=True)
class Drift:
    """One partition, or a whole table, of which Dagster believes something else than the lake holds.

    Attributes:
        kind: "missing" in the lake, "unreported" to Dagster, "changed" since Dagster was told, or "outside"
            of the asset's partitions.
        partition: its key; empty for a whole table.
        found: what is in the lake, and what Dagster believes.
        repairable: whether a report to Dagster brings both in line.

    """

    kind: str
    partition: str
    found: str
    repairable: bool


def drift(entry: TableEntry, instance: dg.DagsterInstance) -> list[Drift]:
    """Return where an instance's latest materializations of a table differ from the table, both ways."""
    keys = entry.partition_keys(instance)
    known = latest(instance, entry.key, keys)
    handle = entry.table.open_if_exists()
    if handle is None:
        believed = [key for key, event in known.items() if VERSION in event.metadata and _rows(event) != 0]
        where = f"{len(believed)} partitions" if keys else "the table"
        found = f"there is no table at {entry.table.uri}, and Dagster has {where} materialized."
        return [Drift("missing", "", found, repairable=False)] if believed else []
    with naming(entry.name):
        snapshot = Snapshot(entry.table, handle, entry.scope(instance, keys) if keys else Scope())
        if entry.partitions_def is not None and not keys:
            rows: dict[str, int | None] = {}
        else:
            rows = snapshot.partition_rows if keys else {WHOLE_TABLE: snapshot.row_count}
        made = origins(entry.table, snapshot.version, snapshot.scope, snapshot.schema) if rows else {}
        found_ = [
            each
            for key, count in rows.items()
            for each in _compared(key, count, known.get(_partition(key)), made.get(key), snapshot.version)
        ]
        return [*found_, *_outside(entry, snapshot)]


def report(
    entry: TableEntry, instance: dg.DagsterInstance, drifts: Iterable[Drift]
) -> list[dg.AssetMaterialization]:
    """Return the materializations that tell Dagster what the lake holds of partitions that drifted.

    Their data versions are computed from the rows. Which data its inputs had is not known any more, so
    Dagster shows an asset with inputs as out of date until it is materialized again.
    """
    keys = [each.partition for each in drifts if each.repairable]
    if not keys:
        return []
    snapshot = Snapshot.open(entry.table, scope=entry.scope(instance, [key for key in keys if key]))
    prints = fingerprints(snapshot)
    made = origins(entry.table, snapshot.version, snapshot.scope, snapshot.schema)
    return [_materialization(entry, snapshot, key, prints[key], made.get(key)) for key in prints]


def fingerprints(snapshot: Snapshot) -> dict[str, str]:
    """Return the fingerprint of each partition of a snapshot, computed from its rows, by key."""
    bounds = snapshot.scope.on(snapshot.schema)
    keys = snapshot.scope.keys or (WHOLE_TABLE,)
    found = {key: Fingerprint() for key in keys}
    for batch in snapshot.scan():
        hashes = hash_rows(batch, snapshot.schema.names)
        for values, positions in split(batch, bounds.columns):
            part = bounds.part_of(values)
            if part is not None:
                found[keys[part]].add(hashes[positions])
    return {key: str(each) for key, each in found.items()}


def _compared(
    key: str, rows: int | None, event: dg.AssetMaterialization | None, origin: Origin | None, newest: int
) -> Iterator[Drift]:
    partition = _partition(key)
    here = "rows" if rows is None else f"{rows:,} rows"
    if event is None:
        if rows != 0:
            found = f"the lake has {here}, and Dagster has no materialization."
            yield Drift("unreported", partition, found, repairable=True)
        return
    told = event.metadata.get(VERSION)
    if told is None:
        if rows == 0:
            found = "the lake has no rows, and Dagster has a materialization."
            yield Drift("missing", partition, found, repairable=True)
        return
    version = int(str(told.value))
    believed = _rows(event)
    if version > newest:
        found = f"Dagster was told of version {version}, and the newest is {newest}: the table was made anew."
        yield Drift("changed", partition, found, repairable=True)
    elif rows == 0 and believed != 0 and (origin is None or origin.version <= version):
        found = f"the lake has no rows, and Dagster was told of {believed or 'some'} in version {version}."
        yield Drift("missing", partition, found, repairable=True)
    elif origin is not None and origin.version > version:
        if origin.fingerprint is not None and origin.fingerprint == identity(event)[0]:
            return  # the same rows again
        who = f"run {origin.record['run_id']}" if origin.record is not None else "another writer"
        found = (
            f"{who} changed it as version {origin.version}, and Dagster was last told of version {version}."
        )
        yield Drift("changed", partition, found, repairable=True)


def _outside(entry: TableEntry, snapshot: Snapshot) -> Iterator[Drift]:
    """Yield the rows of no partition of the asset."""
    if entry.partitions_def is None:
        return
    bounds = snapshot.scope.on(snapshot.schema)
    files = data_files(entry.table.open(snapshot.version))
    outside = [
        file
        for file in files
        if snapshot.scope.is_whole_table
        or bounds.part_of([file.values.get(c) for c in bounds.columns]) is None
    ]
    if outside:
        examples = [dict(file.values) for file in outside[:3]]
        found = f"{len(outside)} files are in no partition of the asset, e.g. of {examples}."
        yield Drift("outside", "", found, repairable=False)


def _materialization(
    entry: TableEntry, snapshot: Snapshot, key: str, fingerprint: str, origin: Origin | None
) -> dg.AssetMaterialization:
    version = origin.version if origin is not None else snapshot.version
    rows = snapshot.partition_rows.get(key) if snapshot.scope.keys else snapshot.row_count
    counted = "dagster/partition_row_count" if snapshot.scope.keys else "dagster/row_count"
    appends = entry.settings.mode == "append"
    tags = {DATA_VERSION_TAG: f"{fingerprint}@{version}" if appends else fingerprint}
    record: Mapping[str, Any] = (origin.record if origin is not None else None) or {}
    if record.get("code_version"):
        tags[CODE_VERSION_TAG] = record["code_version"]
    metadata: dict[str, Any] = {
        "dagster/uri": entry.table.uri,
        "dagster/table_name": entry.name,
        VERSION: version,
        FINGERPRINT: fingerprint,
    }
    if rows is not None:
        metadata[counted] = rows
    return entry.materialization(_partition(key), "reported from what is in the lake", metadata, tags)


def _partition(key: str) -> str:
    return "" if key == WHOLE_TABLE else key


def _rows(event: dg.AssetMaterialization) -> int | None:
    """Return how many rows a materialization was reported with; None if it did not say."""
    name = "dagster/partition_row_count" if event.partition else "dagster/row_count"
    told = event.metadata.get(name)
    return int(str(told.value)) if told is not None else None
