"""Versions: the data versions that an instance has recorded of an asset, in their order."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg

from practicus_assets.instance.events import PAGE, PARTITIONS

_DATA_VERSION = "dagster/data_version"


@dataclass(frozen=True)
class RecordedVersion:
    """A data version of an asset, or of one of its partitions.

    Attributes:
        number: of the event that recorded it; a later one has a greater number.
        run_id: the run that made or observed it.
        version: the data version.

    """

    number: int
    run_id: str
    version: str


def recorded_versions(
    instance: dg.DagsterInstance, key: dg.AssetKey, partitions: Iterable[str], since: int, *, made: bool
) -> dict[str, list[RecordedVersion]]:
    """Return the data versions of partitions, the newest first, back to the last one before an event.

    Args:
        instance: the Dagster instance.
        key: the asset's key.
        partitions: the partitions' keys; none for the whole asset, whose versions are those of the key "".
        since: the number of the event.
        made: whether the asset is materialized here; else it is observed.

    """
    versions: dict[str, list[RecordedVersion]] = {}
    keys = list(partitions)
    for start in range(0, max(1, len(keys)), PARTITIONS):
        wanted = keys[start : start + PARTITIONS]
        open_ = set(wanted) or {""}
        records = dg.AssetRecordsFilter(asset_key=key, asset_partitions=wanted or None)
        cursor, has_more = None, True
        while has_more and open_:
            fetch = instance.fetch_materializations if made else instance.fetch_observations
            page = fetch(records, limit=PAGE, cursor=cursor)
            for record in page.records:
                event: Any = record.asset_materialization or record.asset_observation
                version = (event.tags or {}).get(_DATA_VERSION) if event is not None else None
                partition = (event.partition or "") if event is not None else ""
                if version is None or partition not in open_:
                    continue
                found = RecordedVersion(record.storage_id, record.run_id, version)
                versions.setdefault(partition, []).append(found)
                if record.storage_id < since:
                    open_.remove(partition)
            cursor, has_more = page.cursor, page.has_more
    return versions


def changed_since(versions: Sequence[RecordedVersion], run_id: str, began: int) -> bool | None:
    """Return whether an asset may have another data version than the one that a run read.

    A run reads what it made itself, else what there was when it began. A version that came and went since
    counts, for the run may have read it.

    Args:
        versions: the asset's data versions, the newest first.
        run_id: the run.
        began: the number of the event with which it began.

    Returns:
        None if no version is recorded that it may have read.

    """
    place = next((n for n, each in enumerate(versions) if each.run_id == run_id or each.number < began), None)
    if place is None:
        return None
    return any(each.version != versions[place].version for each in versions[:place])
