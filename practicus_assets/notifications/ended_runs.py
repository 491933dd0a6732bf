"""Ended runs: which runs of an instance failed for good, or succeeded, since the cursor's place."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import dagster as dg

from practicus_assets.instance.run_tags import RETRIED_BY_TAG, WILL_RETRY_TAG

_READ = 500  # events of one kind in one query
_OVERLAP = 500  # event numbers that are read again: an event may be stored after one of a higher number
_LONGEST_WAIT = 600.0  # seconds from a failure until a retry of the run must have begun
_KINDS: tuple[Literal[dg.DagsterEventType.RUN_FAILURE, dg.DagsterEventType.RUN_SUCCESS], ...] = (
    dg.DagsterEventType.RUN_FAILURE,
    dg.DagsterEventType.RUN_SUCCESS,
)


@dataclass(frozen=True)
class EndedRun:
    """A run that has ended.

    Attributes:
        run: the run.
        failed: whether it failed.
        moment: when it ended, in seconds since 1970.
        message: what Dagster says of its end.
        unretried: whether it was to be retried, and was not.

    """

    run: dg.DagsterRun
    failed: bool
    moment: float
    message: str = ""
    unretried: bool = False


@dataclass
class RunCursor:
    """Which ended runs are dealt with.

    Attributes:
        position: the number of the newest event that was dealt with.
        seen: the numbers of those events just before it that were.
        waiting: when a run failed that may be retried, by its id.

    """

    position: int = 0
    seen: set[int] = field(default_factory=set)
    waiting: dict[str, float] = field(default_factory=dict)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "RunCursor":
        """Return a cursor from what `to_json` returned."""
        return cls(int(stored["position"]), set(stored["seen"]), dict(stored["waiting"]))

    @classmethod
    def at_end(cls, instance: dg.DagsterInstance) -> "RunCursor":
        """Return a cursor behind all that has happened: what failed before is no news."""
        newest = [
            record.storage_id
            for kind in _KINDS
            for record in instance.fetch_run_status_changes(kind, limit=_OVERLAP).records
        ]
        return cls(max(newest, default=0), set(newest))

    def to_json(self) -> dict[str, Any]:
        """Return what is kept between ticks."""
        seen = sorted(number for number in self.seen if number > self.position - _OVERLAP)
        return {"position": self.position, "seen": seen, "waiting": self.waiting}

    def news(self, instance: dg.DagsterInstance, most: int, now: float) -> Iterator[EndedRun]:
        """Yield runs that have ended, in order, each once, and move the cursor behind each of them.

        A run that Dagster retries is left out: its retry has an end of its own.

        Args:
            instance: the Dagster instance.
            most: how many events are dealt with at most.
            now: the time, in seconds since 1970.

        """
        yield from self._no_longer_waiting(instance, now)
        events = self._events(instance)[:most]
        runs = _runs(instance, [entry.run_id for _, entry in events])
        for number, entry in events:
            run = runs.get(entry.run_id)
            self.position = max(self.position, number)
            self.seen.add(number)
            failed = entry.dagster_event_type is dg.DagsterEventType.RUN_FAILURE
            if run is not None and failed and instance.run_retries_enabled and _may_be_retried(run):
                if RETRIED_BY_TAG not in run.tags:
                    self.waiting[run.run_id] = entry.timestamp
            elif run is not None:
                yield EndedRun(run, failed, entry.timestamp, entry.user_message or entry.message)

    def _events(self, instance: dg.DagsterInstance) -> list[tuple[int, dg.EventLogEntry]]:
        after = max(0, self.position - _OVERLAP)
        found: list[tuple[int, dg.EventLogEntry]] = []
        end: int | None = None
        for kind in _KINDS:
            records = instance.fetch_run_status_changes(
                dg.RunStatusChangeRecordsFilter(kind, after_storage_id=after), limit=_READ, ascending=True
            ).records
            found += [(record.storage_id, record.event_log_entry) for record in records]
            if len(records) == _READ:  # of the other kind, nothing is taken from behind what is not read yet
                end = min(end or records[-1].storage_id, records[-1].storage_id)
        return sorted(
            (
                (number, entry)
                for number, entry in found
                if number not in self.seen and (end is None or number <= end)
            ),
            key=lambda event: event[0],
        )

    def _no_longer_waiting(self, instance: dg.DagsterInstance, now: float) -> Iterator[EndedRun]:
        runs = _runs(instance, list(self.waiting))
        for run_id, moment in list(self.waiting.items()):
            run = runs.get(run_id)
            if run is None or RETRIED_BY_TAG in run.tags:
                del self.waiting[run_id]
            elif not _may_be_retried(run) or now - moment > _LONGEST_WAIT:
                del self.waiting[run_id]
                yield EndedRun(run, failed=True, moment=moment, unretried=_may_be_retried(run))


def _may_be_retried(run: dg.DagsterRun) -> bool:
    """Return whether a run is to be retried, or Dagster has not said yet: it says so after the failure."""
    return run.tags.get(WILL_RETRY_TAG, "true").lower() == "true"


def _runs(instance: dg.DagsterInstance, run_ids: Sequence[str]) -> dict[str, dg.DagsterRun]:
    if not run_ids:
        return {}
    records = instance.get_run_records(dg.RunsFilter(run_ids=list(dict.fromkeys(run_ids))))
    return {record.dagster_run.run_id: record.dagster_run for record in records}
