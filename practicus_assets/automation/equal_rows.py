"""Equal rows: partitions of an input that were made again with the rows that they had."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import dagster as dg

from practicus_assets.assets.report.names import FINGERPRINT
from practicus_assets.instance.events import latest


@dataclass(frozen=True)
class EqualRows(dg.AutomationCondition[Any]):
    """True of partitions whose rows are those that they had at the previous tick.

    A run of several partitions reports one data version for all of them, which is another one than those that
    runs of single partitions reported. Each of them has a fingerprint of its own rows, too.
    """

    @property
    def requires_cursor(self) -> bool:
        """None: the instance has the fingerprints."""
        return False

    @property
    def name(self) -> str:
        """What it is called in the UI, and by `replace`."""
        return "equal_rows"

    @property
    def description(self) -> str:
        """What it means, for the UI."""
        return "Made again with the rows that were there"

    def evaluate(self, context: Any) -> Any:
        """Return the partitions of which it is true."""
        from practicus_assets.lake.rows.fingerprints.fingerprint import same_rows  # noqa: PLC0415 definitions do without

        cursor, candidates = context.previous_max_storage_id, context.candidate_subset
        if cursor is None or candidates.is_empty or not candidates.is_partitioned:
            return dg.AutomationResult(context, context.get_empty_subset())
        instance: dg.DagsterInstance = context.asset_graph_view.instance
        keys = sorted(candidates.expensively_compute_partition_keys())
        now = latest(instance, context.key, keys)
        before = latest(instance, context.key, keys, until=cursor)
        equal = {key for key in now if same_rows(_fingerprint(now, key), _fingerprint(before, key))}
        subset = candidates.compute_intersection_with_partition_keys(equal)
        return dg.AutomationResult(context, subset)


def _fingerprint(events: Mapping[str, dg.AssetMaterialization], key: str) -> str:
    """Return the fingerprint that a materialization was reported with; empty for none."""
    entry = events[key].metadata.get(FINGERPRINT) if key in events else None
    return str(entry.value) if entry is not None else ""
