"""First observed: sources, and partitions of them, of which nothing was known before."""

from dataclasses import dataclass
from typing import Any

import dagster as dg

from practicus_assets.instance.observations import latest_versions


@dataclass(frozen=True)
class FirstObserved(dg.AutomationCondition[Any]):
    """True of sources whose data version was not known at the previous tick.

    When a sensor is switched on it observes each source for the first time. That is no news for a table that
    was made of it already.
    """

    @property
    def requires_cursor(self) -> bool:
        """None: the instance has the observations."""
        return False

    @property
    def name(self) -> str:
        """What it is called in the UI, and by `replace`."""
        return "first_observed"

    @property
    def description(self) -> str:
        """What it means, for the UI."""
        return "Observed for the first time"

    def evaluate(self, context: Any) -> Any:
        """Return the partitions of which it is true."""
        cursor, candidates = context.previous_max_storage_id, context.candidate_subset
        view = context.asset_graph_view
        if cursor is None or candidates.is_empty or view.asset_graph.get(context.key).is_materializable:
            return dg.AutomationResult(context, context.get_empty_subset())
        keys = sorted(candidates.expensively_compute_partition_keys()) if candidates.is_partitioned else []
        known = latest_versions(view.instance, context.key, keys, until=cursor)
        if keys:
            subset = candidates.compute_intersection_with_partition_keys(set(keys) - known.keys())
        else:
            subset = context.get_empty_subset() if known else candidates
        return dg.AutomationResult(context, subset)
