"""Attempts: runs that were to materialize a table and did not, and checks that found its rows wrong."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg

from practicus_assets.instance.events import run_records
from practicus_assets.instance.run_tags import PARTITION_TAG, RANGE_TAGS

_READ_RUNS = 50  # failed runs of one table whose checks are looked at
_READ_CHECKS = 2000  # evaluations of one check that are looked at, if one of them failed
_FAILED = "FAILED"
_EVALUATED = {_FAILED, "SUCCEEDED"}
_ENDED_BADLY = {dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED}


@dataclass(frozen=True)
class Attempt:
    """A run that was to materialize a table or a partition and has not, or that evaluated its checks.

    Attributes:
        run_id: the run's id.
        began: when it began, or its check ended, in seconds since 1970; 0 if it never did.
        number: of the event that planned it; 0 for a check that ran by itself.
        about: the run whose rows a check by itself was about; empty if that is not known.
        checks: the names of the blocking checks that failed.
        is_under_way: whether the run has not ended.

    """

    run_id: str
    began: float
    number: int = 0
    about: str = ""
    checks: tuple[str, ...] = ()
    is_under_way: bool = False


def attempts(instance: dg.DagsterInstance, key: dg.AssetKey, *, has_partitions: bool) -> dict[str, Attempt]:
    """Return the newest run of each partition that was to materialize it, and did not; none that succeeded.

    Args:
        instance: the Dagster instance.
        key: the asset's key.
        has_partitions: whether the asset has partitions; one without has the key "".

    """
    storage = instance.event_log_storage
    if has_partitions:
        planned = dict(
            storage.get_latest_asset_partition_materialization_attempts_without_materializations(key)
        )
    else:
        info = instance.get_latest_planned_materialization_info(key)
        newest = instance.fetch_materializations(key, limit=1).records
        is_made = info is None or any(record.storage_id > info.storage_id for record in newest)
        planned = {} if is_made or info is None else {"": (info.run_id, info.storage_id)}
    runs = run_records(instance, {run_id for run_id, _ in planned.values()})
    bad = sorted(
        (record.dagster_run.run_id for record in runs.values() if record.dagster_run.status in _ENDED_BADLY),
        key=lambda run_id: -(runs[run_id].start_time or 0),
    )
    failed = {run_id: _failed_checks(instance, run_id, key) for run_id in bad[:_READ_RUNS]}
    found = {}
    for partition, (run_id, number) in planned.items():
        record = runs.get(run_id)
        if record is None or record.dagster_run.status is dg.DagsterRunStatus.SUCCESS:
            continue
        by_partition = failed.get(run_id, {})
        checks = by_partition.get(partition, ()) if any(by_partition) else by_partition.get("", ())
        under_way = record.dagster_run.status not in _ENDED_BADLY
        found[partition] = Attempt(
            run_id, record.start_time or 0.0, number, checks=checks, is_under_way=under_way
        )
    return found


def failed_checks(
    instance: dg.DagsterInstance, checks: Sequence[dg.AssetCheckKey]
) -> dict[str, list[Attempt]]:
    """Return by partition the checks whose latest evaluation failed; "" is a table, or all of a run.

    Args:
        instance: the Dagster instance.
        checks: the checks, which are all of one asset.

    """
    storage: Any = instance.event_log_storage
    found: dict[str, list[Attempt]] = {}
    for key, newest in storage.get_latest_asset_check_execution_by_key(list(checks)).items():
        failed = type(newest.status)(_FAILED)
        if not storage.get_asset_check_execution_history(key, 1, status={failed}):
            continue
        history = [
            record
            for record in storage.get_asset_check_execution_history(key, _READ_CHECKS)
            if record.status.value in _EVALUATED
        ]
        runs = run_records(instance, {record.run_id for record in history if record.partition is None})
        seen = set()
        for record in history:  # the newest first
            partition = record.partition or _only_partition(runs.get(record.run_id))
            if partition not in seen and record.status is failed:
                about = _run_checked(record)
                attempt = Attempt(record.run_id, record.create_timestamp, about=about, checks=(key.name,))
                found.setdefault(partition, []).append(attempt)
            seen.add(partition)
    return found


def _only_partition(run: dg.RunRecord | None) -> str:
    """Return the partition of a run of one, whose checks are recorded without it; empty for other runs."""
    tags = run.dagster_run.tags if run is not None else {}
    first, last = (tags.get(name, "") for name in RANGE_TAGS)
    return tags.get(PARTITION_TAG) or (first if first == last else "")


def _run_checked(record: Any) -> str:
    """Return the run that made the rows which a check looked at; empty if that is not known."""
    event = record.event.dagster_event if record.event is not None else None
    target = event.asset_check_evaluation_data.target_materialization_data if event is not None else None
    return str(target.run_id) if target is not None else ""


def _failed_checks(instance: dg.DagsterInstance, run_id: str, key: dg.AssetKey) -> dict[str, tuple[str, ...]]:
    """Return the blocking checks of an asset that failed in a run, by partition; "" for all of the run."""
    names: dict[str, list[str]] = {}
    for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION):
        if entry.dagster_event is None:
            continue
        evaluation = entry.dagster_event.asset_check_evaluation_data
        is_error = evaluation.severity is dg.AssetCheckSeverity.ERROR
        if evaluation.asset_key == key and not evaluation.passed and is_error:
            names.setdefault(evaluation.partition or "", []).append(evaluation.check_name)
    return {partition: tuple(dict.fromkeys(checks)) for partition, checks in names.items()}
