"""Own runs: what became of the runs that a schedule requested before."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg

from practicus_assets.instance.run_tags import (
    PARTITION_TAG,
    RANGE_TAGS,
    RETRIED_BY_TAG,
    WILL_RETRY_TAG,
    partition_keys,
)

ATTEMPT_TAG = "practicus/catch_up_attempt"
SCHEDULE_TAG = "dagster/schedule_name"
TICK_TAG = ".dagster/scheduled_execution_time"
RUN_KEY_TAG = "dagster/run_key"

_QUERY = 200  # partitions of one query
_LOST_AFTER = dt.timedelta(minutes=5)  # a daemon launches a run in the moment after it made it
_ENDED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
_AT_WORK = [status for status in dg.DagsterRunStatus if status not in _ENDED]


@dataclass(frozen=True)
class OwnRuns:
    """The runs of one schedule.

    Attributes:
        schedule: the schedule's name.
        partitions_def: the partitions of its job.
        instance: the Dagster instance.
        now: the moment of the tick.

    """

    schedule: str
    partitions_def: dg.PartitionsDefinition[Any]
    instance: dg.DagsterInstance
    now: dt.datetime

    def cancel_lost(self) -> list[str]:
        """Cancel runs that an earlier tick made and never launched, and return their ids.

        A daemon that is killed between the two leaves such a run. It launches it when it takes up that tick
        again; if it was away for longer it goes on with a later one, and nobody would ever launch it.
        """
        lost = []
        before = dt.datetime.now(dt.UTC) - _LOST_AFTER
        filters = dg.RunsFilter(
            tags={SCHEDULE_TAG: self.schedule},
            statuses=[dg.DagsterRunStatus.NOT_STARTED],
            created_before=before,
        )
        for run in self.instance.get_runs(filters):
            if run.tags.get(TICK_TAG) != self._tick:
                self.instance.report_run_canceled(
                    run, message="The daemon ended before it launched this run; a later tick asks again."
                )
                lost.append(run.run_id)
        return lost

    def unlaunched(self) -> dict[str, set[str]]:
        """Return the partitions of runs that this very tick made and did not launch yet, by run key."""
        runs = self._of_tick([dg.DagsterRunStatus.NOT_STARTED])
        return {run.tags[RUN_KEY_TAG]: self._keys(run.tags) for run in runs if RUN_KEY_TAG in run.tags}

    def at_work(self) -> set[str]:
        """Return the partitions of runs that have not ended.

        Dagster records what a run is to make one partition after another. Of a run whose daemon was killed
        meanwhile it knows the first ones only; the run's tags name them all.
        """
        return {key for run in self._runs({}, _AT_WORK) for key in self._keys(run.tags)}

    def ended_in_tick(self) -> set[str]:
        """Return the partitions of runs that this very tick made when it was begun before, and that ended."""
        return {key for run in self._of_tick(_ENDED) for key in self._keys(run.tags)}

    def attempts(self, keys: Sequence[str]) -> dict[str, int]:
        """Return how many attempts some partitions have had; those without any are left out."""
        numbers: dict[str, int] = {}
        for start in range(0, len(keys), _QUERY):
            part = list(keys[start : start + _QUERY])
            for tag in (PARTITION_TAG, RANGE_TAGS[0]):
                for run in self._runs({tag: part}, _ENDED):
                    attempt = run.tags.get(ATTEMPT_TAG, "1")
                    for key in self._keys(run.tags):
                        numbers[key] = max(numbers.get(key, 0), int(attempt) if attempt.isdecimal() else 1)
        return {key: numbers[key] for key in keys if key in numbers}

    def waits_for_retry(self, keys: Sequence[str]) -> set[str]:
        """Return those of some partitions whose failed run Dagster is about to retry by itself."""
        waiting = set()
        for run in self._runs({WILL_RETRY_TAG: "true"}, [dg.DagsterRunStatus.FAILURE]):
            if RETRIED_BY_TAG not in run.tags:
                waiting |= self._keys(run.tags)
        return waiting & set(keys)

    @property
    def _tick(self) -> str:
        return self.now.astimezone(dt.UTC).isoformat()

    def _of_tick(self, statuses: list[dg.DagsterRunStatus]) -> Sequence[dg.DagsterRun]:
        return self._runs({TICK_TAG: self._tick}, statuses)

    def _runs(
        self, tags: Mapping[str, str | Sequence[str]], statuses: list[dg.DagsterRunStatus]
    ) -> Sequence[dg.DagsterRun]:
        filters = dg.RunsFilter(tags={SCHEDULE_TAG: self.schedule, **tags}, statuses=statuses)
        return self.instance.get_runs(filters)

    def _keys(self, tags: Mapping[str, str]) -> set[str]:
        try:
            return set(partition_keys(self.partitions_def, tags, self.instance))
        except dg.DagsterError:  # of partitions that there were
            return set()
