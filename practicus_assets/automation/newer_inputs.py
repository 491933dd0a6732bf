"""Newer inputs: which partitions were made by a run that began before their inputs were as they are."""

from typing import Any

import dagster as dg
from dagster._core.definitions.declarative_automation.operators.dep_operators import DepsAutomationCondition

from practicus_assets.instance.events import began, latest_records, newest_events


class NewerInputs(DepsAutomationCondition[Any]):
    """True of partitions whose run began before the newest event of an input that they depend on.

    A run reads its inputs as they are when it begins. What changes after that it has not read, though it
    reports its own tables later. An input that the same run made is none of these.
    """

    @property
    def base_name(self) -> str:
        """What it is called in the UI, and by `replace`."""
        return "any_inputs_newer_than_run"

    @property
    def description(self) -> str:
        """What it means, for the UI."""
        return "An input was made or observed after the run began"

    @property
    def children(self) -> list[Any]:
        """None: the records of the instance say it."""
        return []

    def evaluate(self, context: Any) -> Any:
        """Return the partitions of which it is true."""
        candidates = context.candidate_subset
        if candidates.is_empty:
            return dg.AutomationResult(context, candidates)
        view = context.asset_graph_view
        keys = sorted(candidates.expensively_compute_partition_keys()) if candidates.is_partitioned else []
        records = latest_records(view.instance, context.key, keys)
        starts = began(view.instance, {record.run_id for record in records.values()})
        oldest = min(starts.values(), default=0)
        subset = context.get_empty_subset()
        for dep in sorted(self._get_dep_keys(context.key, context.asset_graph)):
            events = newest_events(view.instance, dep, after=oldest)
            for key, record in records.items() if events else ():
                own = candidates.compute_intersection_with_partition_keys({key}) if key else candidates
                needed = own.compute_mapped_subset(dep, direction="up")
                parts = needed.expensively_compute_partition_keys() if needed.is_partitioned else {""}
                newer = (events[part] for part in parts & events.keys())
                if any(
                    run_id != record.run_id and number > starts.get(record.run_id, 0)
                    for run_id, number in newer
                ):
                    subset = subset.compute_union(own)
        return dg.AutomationResult(context, subset)
