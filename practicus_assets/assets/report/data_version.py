"""Data versions: by which Dagster tells whether assets downstream are stale."""

from collections.abc import Sequence

import dagster as dg

from practicus_assets.assets.report.names import DATA_VERSION_TAG, FINGERPRINT
from practicus_assets.instance.events import latest
from practicus_assets.lake.partitions.scope import WHOLE_TABLE
from practicus_assets.lake.rows.fingerprints.fingerprint import same_rows
from practicus_assets.lake.transactions.commit import Commit
from practicus_assets.lake.transactions.options import Mode

_NOTHING = ("", "")


def data_version(
    instance: dg.DagsterInstance, key: dg.AssetKey, commit: Commit, mode: Mode
) -> dg.DataVersion:
    """Return the data version: the fingerprint of the new rows, or the one recorded if the rows are the same.

    A partition that was materialized among others carries their common data version; materializing it alone
    keeps that one if its rows are the same, and assets downstream stay fresh. Appended rows always give a new
    one, and so do rows whose recorded fingerprint is by another algorithm.
    """
    appended = dg.DataVersion(f"{commit.fingerprint}@{commit.version}")
    if mode == "append" and commit.changed:
        return appended
    partitions = [k for k in commit.fingerprints if k != WHOLE_TABLE]
    recorded = _recorded(instance, key, partitions[:1])
    first = partitions[0] if partitions else WHOLE_TABLE
    if mode != "append" and not same_rows(recorded.get(first, _NOTHING)[0], commit.fingerprints[first]):
        return dg.DataVersion(commit.fingerprint)  # as mostly: what the others have is not asked
    if partitions[1:]:
        recorded |= _recorded(instance, key, partitions[1:])
    before = {partition: recorded.get(partition, _NOTHING) for partition in commit.fingerprints}
    versions = {version for _, version in before.values()}
    [common] = versions if len(versions) == 1 else [None]
    if mode == "append":  # of no rows
        return dg.DataVersion(common) if common is not None else appended
    equal = all(same_rows(before[partition][0], rows) for partition, rows in commit.fingerprints.items())
    return dg.DataVersion(common if equal and common else commit.fingerprint)


def _recorded(
    instance: dg.DagsterInstance, key: dg.AssetKey, partitions: Sequence[str]
) -> dict[str, tuple[str, str]]:
    """Return the fingerprint and the data version of each partition's latest materialization."""
    events = latest(instance, key, partitions)
    return {partition or WHOLE_TABLE: identity(event) for partition, event in events.items()}


def identity(event: dg.AssetMaterialization) -> tuple[str, str]:
    """Return the fingerprint and the data version that a materialization was reported with."""
    fingerprint = event.metadata.get(FINGERPRINT)
    version = (event.tags or {}).get(DATA_VERSION_TAG, "")
    return (str(fingerprint.value) if fingerprint is not None else "", version)
