"""Diffs of tables of assets: what changed between two versions or runs, for the command and the job."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

import dagster as dg

from practicus_assets.assets.catalog import TableEntry, chosen
from practicus_assets.lake.upkeep.diff import Diff, diff_versions
from practicus_assets.lake.upkeep.history import version_of
from practicus_assets.lake.upkeep.own_roots.base_diff import BaseDiff, diff_base
from practicus_assets.lake.upkeep.progress import Progress, unseen
from practicus_assets.operations.configs import DiffConfig
from practicus_assets.operations.promote import two_tables
from practicus_assets.operations.table_job import records


def diff_table(entry: TableEntry, config: DiffConfig, progress: Progress = unseen) -> Diff:
    """Return what changed from one version of a table to another.

    Raises:
        VersionGone: if the log has no such version or run, or a version was vacuumed away.
        UnsupportedTable: for features that files alone do not tell, such as deletion vectors.

    """
    before, after = (version_of(entry.table, reference) for reference in (config.before, config.after))
    return diff_versions(entry.table, before, after, samples=config.samples, progress=progress)


def diff_with_base(
    entry: TableEntry, instance: dg.DagsterInstance, samples: int, progress: Progress = unseen
) -> BaseDiff:
    """Return what a table of an own root would change in the base that it lies over.

    Args:
        entry: the table.
        instance: the Dagster instance that knows the asset's partitions.
        samples: how many rows to show that only one of the two has.
        progress: the callback that gets how many partitions are done, of how many.

    Raises:
        DeclarationError: for a lake without a base.
        PromotionRefused: if the own root has what is no partition of the asset.

    """
    within = entry.scope(instance, entry.partition_keys(instance))
    return diff_base(two_tables(entry), within, samples=samples, progress=progress)


def _metadata(diff: Diff) -> dict[str, Any]:
    sides = [{**asdict(side), "columns": dict(side.columns)} for side in (diff.before, diff.after)]
    metadata = {
        "diff/versions": records(sides),
        "diff/partitions": records(map(asdict, diff.partitions)),
        "diff/lost": records(diff.lost),
        "diff/gained": records(diff.gained),
    }
    return {name: value for name, value in metadata.items() if value.records}


def observed(tables: Mapping[str, TableEntry], config: DiffConfig) -> Iterator[dg.AssetObservation]:
    """Yield an observation of a table with what changed between two versions."""
    [table] = chosen(tables, [config.table])
    yield dg.AssetObservation(table.key, metadata=_metadata(diff_table(table, config)))
