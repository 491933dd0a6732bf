"""Events: what an instance has recorded of materializations and of failed attempts."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

import dagster as dg

STEP_ENDS = {
    dg.DagsterEventType.STEP_SUCCESS,
    dg.DagsterEventType.STEP_FAILURE,
    dg.DagsterEventType.STEP_UP_FOR_RETRY,
}
STEP_LAUNCH = dg.DagsterEventType.STEP_WORKER_STARTING
CLOCK_SKEW = timedelta(hours=1)  # between Dagster's database, its workers and the object store, generously
PAGE = 500
PARTITIONS = 500  # of one query; databases limit the number of parameters
_EDGE = 1.0  # seconds around a moment, which databases round
_APART = 3600.0  # seconds between two runs that one query does not look for


def materializations(
    instance: dg.DagsterInstance, records: dg.AssetRecordsFilter
) -> Iterator[tuple[str, dg.AssetMaterialization]]:
    """Yield the run and the event of each materialization that a filter lets through, newest first."""
    for record in _records(instance, records):
        if record.asset_materialization is not None:
            yield record.run_id, record.asset_materialization


def latest(
    instance: dg.DagsterInstance,
    key: dg.AssetKey,
    partitions: Sequence[str],
    accept: Callable[[dg.AssetMaterialization], bool] | None = None,
    until: int | None = None,
) -> dict[str, dg.AssetMaterialization]:
    """Return the latest materialization of each of these partitions, by key; of the whole asset as "".

    Args:
        instance: the Dagster instance.
        key: the asset's key.
        partitions: the partitions' keys; none for an asset without partitions.
        accept: a function that returns whether a materialization counts; by default each one does.
        until: the number of the event after which none counts.

    """
    records = latest_records(instance, key, partitions, accept, until)
    return {
        key: record.asset_materialization for key, record in records.items() if record.asset_materialization
    }


def latest_records(
    instance: dg.DagsterInstance,
    key: dg.AssetKey,
    partitions: Sequence[str],
    accept: Callable[[dg.AssetMaterialization], bool] | None = None,
    until: int | None = None,
) -> dict[str, dg.EventLogRecord]:
    """Return the record of each materialization that `latest` returns."""
    newest: dict[str, dg.EventLogRecord] = {}
    for start in range(0, max(1, len(partitions)), PARTITIONS):
        wanted = list(partitions[start : start + PARTITIONS])
        count = max(1, len(wanted))
        records = dg.AssetRecordsFilter(asset_key=key, asset_partitions=wanted or None)
        if wanted and accept is None and until is None:
            kind = dg.DagsterEventType.ASSET_MATERIALIZATION
            numbers = instance.get_latest_storage_id_by_partition(key, kind, set(wanted))
            if not numbers:
                continue
            count = len(numbers)
            records = dg.AssetRecordsFilter(asset_key=key, storage_ids=sorted(numbers.values()))
        elif until is not None:
            records = records._replace(before_storage_id=until + 1)
        complete = len(newest) + count
        for record in _records(instance, records, count):
            event = record.asset_materialization
            if event is not None and (accept is None or accept(event)):
                newest.setdefault(event.partition or "", record)
            if len(newest) == complete:
                break
    return newest


def _records(
    instance: dg.DagsterInstance, records: dg.AssetRecordsFilter, first: int = PAGE
) -> Iterator[dg.EventLogRecord]:
    """Yield the records that a filter lets through, newest first; of each page all are read."""
    cursor, limit = None, min(first, PAGE)
    while True:
        page = instance.fetch_materializations(records, limit=limit, cursor=cursor)
        yield from page.records
        if not page.has_more:
            return
        cursor, limit = page.cursor, min(2 * limit, PAGE)


def newest_events(instance: dg.DagsterInstance, key: dg.AssetKey, after: int) -> dict[str, tuple[str, int]]:
    """Return the run and the number of the newest materialization or observation of each partition.

    The whole asset has the key "".

    Args:
        instance: the Dagster instance.
        key: the asset's key.
        after: the number of the event after which events count.

    """
    records = dg.AssetRecordsFilter(asset_key=key, after_storage_id=after)
    newest: dict[str, tuple[str, int]] = {}
    for fetch in (instance.fetch_materializations, instance.fetch_observations):
        cursor, has_more = None, True
        while has_more:
            page = fetch(records, limit=PAGE, cursor=cursor)
            for record in page.records:
                partition = record.partition_key or ""
                if partition not in newest or newest[partition][1] < record.storage_id:
                    newest[partition] = (record.run_id, record.storage_id)
            cursor, has_more = page.cursor, page.has_more
    return newest


def began(instance: dg.DagsterInstance, run_ids: Iterable[str]) -> dict[str, int]:
    """Return the number of the event with which each run began; none for a run that never did."""
    return began_by(instance, run_records(instance, run_ids))


def began_by(instance: dg.DagsterInstance, records_of: Mapping[str, dg.RunRecord]) -> dict[str, int]:
    """Return what `began` does, of runs whose records are at hand, by their ids.

    These numbers are comparable with those of materializations and observations. The ones that an instance
    gives for a single run are not: SQLite has a file per run, and counts in each from 1.
    """
    starts = {run_id: record.start_time for run_id, record in records_of.items()}
    numbers: dict[str, int] = {}
    for first, last in _spans(start for start in starts.values() if start is not None):
        records = dg.RunStatusChangeRecordsFilter(
            dg.DagsterEventType.RUN_START, after_timestamp=first - _EDGE, before_timestamp=last + _EDGE
        )
        wanted = {run_id for run_id, start in starts.items() if start is not None and first <= start <= last}
        cursor, has_more = None, True
        while has_more and wanted:  # no further: databases have no index of times, and the newest come first
            page = instance.fetch_run_status_changes(records, limit=min(len(wanted), PAGE), cursor=cursor)
            found = {each.run_id: each.storage_id for each in page.records if each.run_id in wanted}
            numbers |= found
            wanted -= found.keys()
            cursor, has_more = page.cursor, page.has_more
    return numbers


def _spans(moments: Iterable[float]) -> Iterator[tuple[float, float]]:
    """Yield the first and the last of moments with no long time between two of them."""
    ordered = sorted(moments)
    start = 0
    for position in range(1, len(ordered) + 1):
        if position == len(ordered) or ordered[position] - ordered[position - 1] > _APART:
            yield ordered[start], ordered[position - 1]
            start = position


def run_records(instance: dg.DagsterInstance, run_ids: Iterable[str]) -> dict[str, dg.RunRecord]:
    """Return the records of runs, by their ids; those that the instance does not have are left out."""
    wanted = sorted({*run_ids})
    records = {}
    for start in range(0, len(wanted), PAGE):
        for record in instance.get_run_records(dg.RunsFilter(run_ids=wanted[start : start + PAGE])):
            records[record.dagster_run.run_id] = record
    return records


def last_conflict(instance: dg.DagsterInstance, run_id: str, step_key: str) -> float | None:
    """Return when an attempt at a step last ended in a `CommitConflict`, in seconds since 1970."""
    ended = [when for when, causes in retries(instance, run_id, step_key) if "CommitConflict" in causes]
    return max(ended, default=None)


def retries(
    instance: dg.DagsterInstance, run_id: str, step_key: str
) -> Iterator[tuple[float, list[str | None]]]:
    """Yield, for each attempt at a step that was retried, the time it ended and the causes of its error.

    The time is in seconds since 1970; causes are names of exception classes, the outermost first.
    """
    for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.STEP_UP_FOR_RETRY):
        event = entry.dagster_event
        if event is None or event.step_key != step_key:
            continue
        error: Any = event.step_retry_data.error
        causes = []
        while error is not None:
            causes.append(error.cls_name)
            error = error.cause
        yield entry.timestamp, causes


def has_ended(instance: dg.DagsterInstance, run_id: str, step_key: str, attempt: int) -> bool:
    """Return whether an attempt at a step of a run, 1 for the first, has reported how it ended."""
    ends = [event for event in _of_attempts(instance, run_id, step_key) if event.event_type in STEP_ENDS]
    return len(ends) >= attempt


def was_launched(instance: dg.DagsterInstance, run_id: str, step_key: str, attempt: int) -> bool:
    """Return whether a worker was started, or was about to be, for an attempt at a step of a run."""
    launches = [each for each in _of_attempts(instance, run_id, step_key) if each.event_type is STEP_LAUNCH]
    return len(launches) >= attempt


def without_late_ends(events: Iterable[dg.DagsterEvent]) -> Iterator[dg.DagsterEvent]:
    """Yield a run's events, but of ends of a step without a launch between them only the first."""
    ended = set()
    for event in events:
        if event.event_type is STEP_LAUNCH:
            ended.discard(event.step_key)
        elif event.event_type in STEP_ENDS:
            if event.step_key in ended:
                continue
            ended.add(event.step_key)
        yield event


def _of_attempts(instance: dg.DagsterInstance, run_id: str, step_key: str) -> Iterator[dg.DagsterEvent]:
    entries = instance.all_logs(run_id, of_type={STEP_LAUNCH, *STEP_ENDS})
    events = (entry.dagster_event for entry in entries)
    return without_late_ends(event for event in events if event is not None and event.step_key == step_key)
