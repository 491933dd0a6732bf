"""Wanted partitions: what a schedule that catches up asks for, by what the instance has recorded."""

import asyncio
import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import dagster as dg
from dagster._core.asset_graph_view.asset_graph_view import AssetGraphView
from dagster._core.definitions.temporal_context import TemporalContext

from practicus_assets.automation.own_runs import OwnRuns


@dataclass(frozen=True)
class Wanted:
    """A partition that is complete and missing, and that nobody makes.

    Attributes:
        key: the partition's key.
        attempt: the number of the attempt, 1 for the first.
        tables: the tables that lack it.

    """

    key: str
    attempt: int
    tables: frozenset[dg.AssetKey]


@dataclass
class Partitions:
    """Looks at the partitions of a job's tables.

    Args:
        job: the job.
        graph: the assets of its code location.
        instance: the Dagster instance.
        now: the moment of the tick.

    Attributes:
        missing: the keys that each table lacks, of those that were looked at.
        in_progress: the keys of missing partitions that runs or backfills are to make.
        given_up: the keys of missing partitions that had their last attempt.

    """

    job: dg.JobDefinition
    graph: Any
    instance: dg.DagsterInstance
    now: dt.datetime
    missing: dict[dg.AssetKey, set[str]] = field(default_factory=dict)
    in_progress: set[str] = field(default_factory=set)
    given_up: set[str] = field(default_factory=set)

    @property
    def tables(self) -> list[dg.AssetKey]:
        """The tables of the job that have its partitions."""
        keys = sorted(self.job.asset_layer.executable_asset_keys)
        return [
            key
            for key in keys
            if self.graph.get(key).is_materializable
            and self.graph.get(key).partitions_def == self.job.partitions_def
        ]

    def wanted(self, keys: Sequence[str], runs: OwnRuns, max_attempts: int) -> dict[str, Wanted]:
        """Return those of some partitions that are to be made, by key.

        Args:
            keys: the keys of complete partitions.
            runs: the runs of the schedule.
            max_attempts: how many runs of the schedule a partition gets.

        """
        asyncio.run(self._look(set(keys)))
        missing = set[str]().union(*self.missing.values())
        self.in_progress |= (runs.at_work() & missing) | runs.waits_for_retry(keys) | runs.ended_in_tick()
        lacking = {
            key: frozenset(table for table in self.missing if key in self.missing[table]) for key in keys
        }
        lacking = {key: tables for key, tables in lacking.items() if tables and key not in self.in_progress}
        attempts = runs.attempts(list(lacking))
        self.given_up = {key for key, number in attempts.items() if number >= max_attempts}
        return {
            key: Wanted(key, attempts.get(key, 0) + 1, tables)
            for key, tables in lacking.items()
            if key not in self.given_up
        }

    def waits(self, keys: Sequence[str], tables: frozenset[dg.AssetKey]) -> bool:
        """Return whether partitions of a table depend on other partitions of it that are still to be made."""
        view = self._view()
        for table in tables:
            if table in self.graph.get(table).parent_keys:
                own = view.get_subset_from_partition_keys(table, self.job.partitions_def, set(keys))
                needed = own.compute_mapped_subset(table, direction="up").expensively_compute_partition_keys()
                if (needed - set(keys)) & self.missing[table]:
                    return True
        return False

    async def _look(self, keys: set[str]) -> None:
        view = self._view()
        for table in self.tables:
            subset = view.get_subset_from_partition_keys(table, self.job.partitions_def, keys)
            missing = await view.compute_missing_subset(key=table, from_subset=subset)
            self.missing[table] = set(missing.expensively_compute_partition_keys())
            if missing.is_empty:
                continue
            runs = await view.compute_run_in_progress_subset(key=table, from_subset=missing)
            backfills = await view.compute_backfill_in_progress_subset(key=table, from_subset=missing)
            at_work = missing.compute_intersection(runs.compute_union(backfills))
            self.in_progress |= at_work.expensively_compute_partition_keys()

    def _view(self) -> Any:
        time = TemporalContext(effective_dt=self.now, last_event_id=None)
        return AssetGraphView(temporal_context=time, instance=self.instance, asset_graph=self.graph)


def together(graph: Any, tables: frozenset[dg.AssetKey]) -> list[dg.AssetKey]:
    """Return tables with those that their step cannot leave out."""
    keys = {key for table in tables for key in graph.get(table).execution_set_asset_keys}
    return sorted(keys | tables)


def most_in_one_run(graph: Any, tables: Sequence[dg.AssetKey]) -> int | None:
    """Return how many partitions a run of tables may have by their backfill policies; None for any number."""
    policies: Mapping[dg.AssetKey, Any] = {table: graph.get(table).backfill_policy for table in tables}
    if any(policy is None for policy in policies.values()):
        return 1
    limits = [policy.max_partitions_per_run for policy in policies.values()]
    return min((limit for limit in limits if limit is not None), default=None)
