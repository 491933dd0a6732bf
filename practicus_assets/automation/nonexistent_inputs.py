"""Nonexistent inputs: which partitions depend on partitions of an input that do not exist (yet)."""

from typing import Any

import dagster as dg
from dagster._core.definitions.declarative_automation.operators.dep_operators import DepsAutomationCondition


class NonexistentInputs(DepsAutomationCondition[Any]):
    """True of partitions that need, by a partition mapping, partitions of an input that do not exist.

    Dagster's operands see only those that exist, so that `~any_deps_missing()` is true of a month whose last
    week has not begun. A mapping with `allow_nonexistent_upstream_partitions` needs none.
    """

    @property
    def base_name(self) -> str:
        """What it is called in the UI, and by `replace`."""
        return "any_inputs_nonexistent"

    @property
    def description(self) -> str:
        """What it means, for the UI."""
        return "A partition of an input that is needed does not exist"

    @property
    def children(self) -> list[Any]:
        """None: there is nothing to evaluate on partitions that do not exist."""
        return []

    def evaluate(self, context: Any) -> Any:
        """Return the partitions of which it is true."""
        view, subset = context.asset_graph_view, context.get_empty_subset()
        if context.candidate_subset.is_partitioned:
            for dep in sorted(self._get_dep_keys(context.key, context.asset_graph)):
                rest = context.candidate_subset.compute_difference(subset)
                subset = subset.compute_union(_needing(view, dep, rest))
        return dg.AutomationResult(context, subset)


def _needing(view: Any, dep: dg.AssetKey, subset: Any) -> Any:
    """Return those of some partitions that need nonexistent partitions of an input: by halves, for few do."""
    _, nonexistent = view.compute_parent_subset_and_required_but_nonexistent_subset(dep, subset)
    if nonexistent.is_empty:
        return view.get_empty_subset(key=subset.key)
    keys = sorted(subset.expensively_compute_partition_keys())
    if len(keys) == 1:
        return subset
    half = set(keys[: len(keys) // 2])
    first = subset.compute_intersection_with_partition_keys(half)
    second = subset.compute_difference(first)
    return _needing(view, dep, first).compute_union(_needing(view, dep, second))
