"""Protection: how much of a table one launch may replace without a tag that names the table."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from practicus_assets.assets.report.names import BACKFILL_TAG, REPLACE_TAG
from practicus_assets.errors import ReplacementRefused, TableNotFound, VersionGone, naming
from practicus_assets.lake.delta.snapshot import Snapshot
from practicus_assets.lake.delta.table import Table
from practicus_assets.lake.partitions.scope import Scope
from practicus_assets.wording import number_of

ScopeOf = Callable[[dg.PartitionsDefinition[Any] | None, Sequence[str]], Scope]


def refuse_unnamed(
    step: Any, key: dg.AssetKey, table: Table, scope: Scope, *, most: int | None, scope_of: ScopeOf
) -> None:
    """Raise ReplacementRefused for a launch that replaces more than its table allows, and does not name it.

    Partitions without rows count for nothing: to fill a table is not to replace it. The runs of a backfill
    count together, for each of them may be small.

    Args:
        step: the step that is going to write the table; None outside of a run, where nothing is refused.
        key: the key of the asset that is the table.
        table: the table.
        scope: what the run replaces.
        most: how many partitions may be replaced by a launch that does not name the table; None for all.
        scope_of: the function that returns the scope of partitions and keys.

    """
    if step is None or most is None:
        return
    tags = step.dagster_run.tags
    if key.to_user_string() in {name.strip() for name in tags.get(REPLACE_TAG, "").split(",")}:
        return
    partitions_def, backfill = _partitions_def(step, key), None
    if BACKFILL_TAG in tags:
        backfill = step.instance.get_backfill(tags[BACKFILL_TAG])
    keys = _backfilled(backfill, key) if backfill is not None and partitions_def is not None else []
    whole, began = scope, None
    if backfill is not None and len(keys) > len(scope.keys):
        whole = scope_of(partitions_def, keys)
        began = datetime.fromtimestamp(backfill.backfill_timestamp, UTC)
    replaced = _with_rows(table, whole, began)
    most = 0 if scope.is_whole_table else most
    if replaced <= most:
        return
    what = "all rows" if scope.is_whole_table else number_of(replaced, "partition")
    allowed = f": {most} may be replaced without naming it" if most else ""
    with naming(table.name, str(scope), nothing_written=True):
        raise ReplacementRefused(
            f"the {'run' if whole is scope else 'backfill'} would replace {what} of a table that is "
            f"protected{allowed}.",
            f"If that is meant, launch it with the tag {REPLACE_TAG}: {key.to_user_string()}.",
        )


def _partitions_def(step: Any, key: dg.AssetKey) -> dg.PartitionsDefinition[Any] | None:
    graph = step.job_def.asset_layer.asset_graph
    found: dg.PartitionsDefinition[Any] | None = graph.get(key).partitions_def if graph.has(key) else None
    return found


def _backfilled(backfill: Any, key: dg.AssetKey) -> list[str]:
    """Return the keys of an asset's partitions that a backfill is of."""
    if backfill.asset_backfill_data is None:  # of a job
        return list(backfill.partition_names or ())
    subsets = backfill.asset_backfill_data.target_subset.partitions_subsets_by_asset_key
    return list(subsets[key].get_partition_keys()) if key in subsets else []


def _with_rows(table: Table, scope: Scope, moment: datetime | None) -> int:
    """Return how many partitions of a scope have rows, 1 for a whole table with rows; now, or at a moment."""
    try:
        try:
            snapshot = Snapshot.of(table, moment, scope)
        except VersionGone:  # what is there now is more, or as much
            snapshot = Snapshot.of(table, None, scope)
    except TableNotFound:
        return 0
    if scope.is_whole_table:
        return int(snapshot.row_count != 0)
    return len(snapshot.by_partition(with_rows=True))
