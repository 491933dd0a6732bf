"""Drift: where Dagster believes something else of a table than the lake holds, and how to repair that."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg

from practicus_assets.assets.catalog import TableEntry
from practicus_assets.assets.report.data_version import identity
from practicus_assets.assets.report.materialization import NOTHING_NEW
from practicus_assets.assets.report.names import (
    CODE_VERSION_TAG,
    DATA_VERSION_TAG,
    FINGERPRINT,
    OUTCOME,
    VERSION,
)
from practicus_assets.errors import naming
from practicus_assets.instance.events import latest
from practicus_assets.lake.delta.origins import Origin, origins
from practicus_assets.lake.delta.snapshot import Snapshot
from practicus_assets.lake.partitions.scope import WHOLE_TABLE, Scope
from practicus_assets.lake.partitions.values import split
from practicus_assets.lake.rows.fingerprints.fingerprint import Fingerprint, same_rows
from practicus_assets.lake.rows.fingerprints.hashes import hash_rows
from practicus_assets.wording import number_of


@dataclass(frozen=True)
class Drift:
    """One partition, or a whole table, of which Dagster believes something else than the lake holds.

    Attributes:
        kind: "missing" in the lake, "unreported" to Dagster, "changed" since the last report to Dagster, or
            "outside" of the asset's partitions.
        partition: the partition's key; empty for a whole table.
        text: what is in the lake, and what Dagster believes.
        repairable: whether a report to Dagster brings both in line.

    """

    kind: str
    partition: str
    text: str
    repairable: bool

    def sentence(self, table: str) -> str:
        """Return the drift as a sentence that names the table."""
        return f"{table}{f' [{self.partition}]' if self.partition else ''}, {self.kind}: {self.text}"


def drift(entry: TableEntry, instance: dg.DagsterInstance) -> list[Drift]:
    """Return where an instance's latest materializations of a table differ from the table, both ways."""
    keys = entry.partition_keys(instance)
    events = latest(instance, entry.key, keys)
    handle = entry.table.open_if_exists()
    if handle is None:
        believed = [key for key, event in events.items() if VERSION in event.metadata and _rows(event) != 0]
        where = f"{len(believed)} partitions" if keys else "the table"
        text = f"there is no table at {entry.table.uri}, and Dagster has {where} materialized."
        return [Drift("missing", "", text, repairable=False)] if believed else []
    with naming(entry.name):
        snapshot = Snapshot(handle, entry.scope(instance, keys) if keys else Scope())
        if entry.partitions_def is not None and not keys:
            rows: dict[str, int | None] = {}
        else:
            rows = snapshot.partition_rows if keys else {WHOLE_TABLE: snapshot.row_count}
        commits = origins(entry.table, snapshot.version, snapshot.scope, snapshot.schema) if rows else {}
        drifts = [
            difference
            for key, count in rows.items()
            for difference in _compared(
                key, count, events.get(_partition(key)), commits.get(key), snapshot.version
            )
        ]
        return [*drifts, *_outside(entry, snapshot)]


def repairs(
    entry: TableEntry, instance: dg.DagsterInstance, drifts: Iterable[Drift]
) -> list[dg.AssetMaterialization]:
    """Return the materializations that tell Dagster what the lake holds of partitions that drifted.

    The input data versions are unknown, so Dagster shows an asset with inputs as out of date until it is
    materialized again.
    """
    keys = [drift.partition for drift in drifts if drift.repairable]
    return held(entry, instance, keys) if keys else []


def held(
    entry: TableEntry, instance: dg.DagsterInstance, partitions: Sequence[str], version: int | None = None
) -> list[dg.AssetMaterialization]:
    """Return the materializations that say what the lake holds of partitions; their rows are read.

    Args:
        entry: the table.
        instance: the Dagster instance.
        partitions: the partitions' keys; "" for a table without.
        version: the version of the table; by default the newest.

    """
    scope = entry.scope(instance, [key for key in partitions if key])
    snapshot = Snapshot.of(entry.table, version, scope=scope)
    commits = origins(entry.table, snapshot.version, snapshot.scope, snapshot.schema)
    return [
        _materialization(entry, snapshot, key, fingerprint, commits.get(key))
        for key, fingerprint in fingerprints(snapshot).items()
    ]


def fingerprints(snapshot: Snapshot) -> dict[str, str]:
    """Return the fingerprint of each partition of a snapshot, computed from its rows, by key."""
    bounds = snapshot.scope.on(snapshot.schema)
    keys = snapshot.scope.keys or (WHOLE_TABLE,)
    by_key = {key: Fingerprint() for key in keys}
    for batch in snapshot.scan():
        hashes = hash_rows(batch, snapshot.schema.names)
        for values, positions in split(batch, bounds.columns):
            part = bounds.part_of(dict(zip(bounds.columns, values, strict=True)))
            if part is not None:
                by_key[keys[part]].add(hashes[positions])
    return {key: str(fingerprint) for key, fingerprint in by_key.items()}


def _compared(
    key: str, rows: int | None, event: dg.AssetMaterialization | None, origin: Origin | None, newest: int
) -> Iterator[Drift]:
    partition = _partition(key)
    here = "rows" if rows is None else number_of(rows, "row")
    if event is None:
        if rows != 0:
            text = f"the lake has {here}, and Dagster has no materialization."
            yield Drift("unreported", partition, text, repairable=True)
        return
    reported = event.metadata.get(VERSION)
    if reported is None:
        outcome = event.metadata.get(OUTCOME)
        if rows == 0 and (outcome is None or outcome.value != NOTHING_NEW):
            text = "the lake has no rows, and Dagster has a materialization."
            yield Drift("missing", partition, text, repairable=True)
        return
    version = int(str(reported.value))
    believed = _rows(event)
    if version > newest:
        text = f"Dagster has version {version}, and the newest is {newest}: the table was created again."
        yield Drift("changed", partition, text, repairable=True)
    elif rows == 0 and believed != 0 and (origin is None or origin.version <= version):
        text = f"the lake has no rows, and Dagster has {believed or 'some'} in version {version}."
        yield Drift("missing", partition, text, repairable=True)
    elif origin is not None and origin.version > version:
        same = same_rows(origin.fingerprint or "", identity(event)[0])
        if same:
            return  # the same rows again
        who = f"run {origin.record.run_id}" if origin.record is not None else "another writer"
        text = f"{who} changed it as version {origin.version}, and Dagster has version {version}."
        if same is None and origin.fingerprint and identity(event)[0]:
            text += " Their fingerprints are by different algorithms, so the rows may be the same."
        yield Drift("changed", partition, text, repairable=True)


def _outside(entry: TableEntry, snapshot: Snapshot) -> Iterator[Drift]:
    """Yield the rows of no partition of the asset."""
    if entry.partitions_def is None:
        return
    bounds = snapshot.scope.on(snapshot.schema)
    files = entry.table.open(snapshot.version).files()
    outside = [file for file in files if snapshot.scope.is_whole_table or bounds.part_of(file.values) is None]
    if outside:
        examples = [dict(file.values) for file in outside[:3]]
        text = f"{len(outside)} files are in no partition of the asset, e.g. of {examples}."
        yield Drift("outside", "", text, repairable=False)


def _materialization(
    entry: TableEntry, snapshot: Snapshot, key: str, fingerprint: str, origin: Origin | None
) -> dg.AssetMaterialization:
    version = origin.version if origin is not None else snapshot.version
    rows = snapshot.partition_rows.get(key) if snapshot.scope.keys else snapshot.row_count
    counted = "dagster/partition_row_count" if snapshot.scope.keys else "dagster/row_count"
    appends = entry.settings.options.mode == "append"
    tags = {DATA_VERSION_TAG: f"{fingerprint}@{version}" if appends else fingerprint}
    record = origin.record if origin is not None else None
    if record is not None and record.code_version:
        tags[CODE_VERSION_TAG] = record.code_version
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
    reported = event.metadata.get(name)
    return int(str(reported.value)) if reported is not None else None
