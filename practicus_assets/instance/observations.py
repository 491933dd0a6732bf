"""Observations: the data versions of assets that others make, as an instance has recorded them."""

from collections.abc import Sequence

import dagster as dg

from practicus_assets.instance.events import PAGE, PARTITIONS


def latest_versions(
    instance: dg.DagsterInstance, key: dg.AssetKey, partitions: Sequence[str], until: int | None = None
) -> dict[str, str]:
    """Return the data version that was observed last of each of these partitions, by key.

    Args:
        instance: the Dagster instance.
        key: the asset's key.
        partitions: the partitions' keys; none for the whole asset, whose version is that of the key "".
        until: the number of the event after which none counts.

    """
    before = None if until is None else until + 1
    newest: dict[str, str] = {}
    for start in range(0, max(1, len(partitions)), PARTITIONS):
        wanted = list(partitions[start : start + PARTITIONS])
        complete = len(newest) + max(1, len(wanted))
        records = dg.AssetRecordsFilter(
            asset_key=key, asset_partitions=wanted or None, before_storage_id=before
        )
        cursor, has_more = None, True
        while has_more and len(newest) < complete:
            page = instance.fetch_observations(records, limit=PAGE, cursor=cursor)
            for record in page.records:
                event = record.asset_observation
                if event is None or event.data_version is None or bool(event.partition) != bool(wanted):
                    continue
                newest.setdefault(event.partition or "", event.data_version)
            cursor, has_more = page.cursor, page.has_more
    return newest


def recorded_after(
    instance: dg.DagsterInstance, key: dg.AssetKey, storage_id: int, most: int
) -> Sequence[dg.EventLogRecord]:
    """Return the observations that were recorded after another event, the oldest first.

    Args:
        instance: the Dagster instance.
        key: the asset's key.
        storage_id: the number of the other event; 0 for all.
        most: how many are returned at most.

    """
    records = dg.AssetRecordsFilter(asset_key=key, after_storage_id=storage_id)
    return instance.fetch_observations(records, limit=most, ascending=True).records


def newest_record(instance: dg.DagsterInstance, key: dg.AssetKey) -> int:
    """Return the number of the observation that was recorded last; 0 if there is none."""
    records = instance.fetch_observations(key, limit=1).records
    return records[0].storage_id if records else 0
