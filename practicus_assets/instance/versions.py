"""Versions: the data versions that an instance has recorded of an asset, with the moments."""

from collections.abc import Sequence
from typing import Any

import dagster as dg

from practicus_assets.instance.events import PAGE, PARTITIONS

_DATA_VERSION = "dagster/data_version"

Dated = tuple[float, str]
"""A moment, in seconds since 1970, and the data version that was recorded then."""


def dated_versions(
    instance: dg.DagsterInstance, key: dg.AssetKey, partitions: Sequence[str], since: float, *, made: bool
) -> dict[str, list[Dated]]:
    """Return the data versions of partitions, the newest first, back to the last one at or before a moment.

    Args:
        instance: the Dagster instance.
        key: the asset's key.
        partitions: the partitions' keys; none for the whole asset, whose versions are those of the key "".
        since: the moment, in seconds since 1970.
        made: whether the asset is materialized here; else it is observed.

    """
    versions: dict[str, list[Dated]] = {}
    for start in range(0, max(1, len(partitions)), PARTITIONS):
        wanted = list(partitions[start : start + PARTITIONS])
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
                versions.setdefault(partition, []).append((record.timestamp, version))
                if record.timestamp <= since:
                    open_.remove(partition)
            cursor, has_more = page.cursor, page.has_more
    return versions


def changed_since(versions: Sequence[Dated], moment: float) -> bool | None:
    """Return whether the newest data version is another than that of a moment; None if that is not known."""
    before = next((version for when, version in versions if when <= moment), None)
    return None if before is None else versions[0][1] != before
