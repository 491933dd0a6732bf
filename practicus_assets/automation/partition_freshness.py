"""Freshness of partitions: whether the newest complete partition of a table is there by its deadline."""

import datetime as dt
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from practicus_assets.automation.windows import complete, keys_of, time_dimension
from practicus_assets.errors import DeclarationError, did_you_mean
from practicus_assets.instance.events import latest_records
from practicus_assets.parameters import named_parameters
from practicus_assets.wording import duration, enumerated, number_of

DEADLINE = "practicus/deadline_seconds"  # in the metadata of a check's definition
SEVERITY = "practicus/severity"
_DAY = dt.timedelta(hours=23)  # at least: the night that clocks go forward is an hour shorter
_LOOK_BACK = 30  # windows in which the newest partition that is there is looked for
_SHOWN = 5  # partitions in a description


@dataclass(frozen=True)
class Freshness:
    """Whether a table's newest complete partition is there.

    Attributes:
        passed: whether it is, or its deadline is not over.
        description: what is there and what is missing, in words.
        expected: the key of the partition, by time; empty if none is due yet.
        metadata: the same for an asset check.

    """

    passed: bool
    description: str
    expected: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)


@named_parameters
def build_partition_freshness_checks(
    assets: Sequence[dg.AssetsDefinition | dg.AssetSpec | dg.AssetKey | str],
    *,
    deadline: dt.timedelta,
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.WARN,
    name: str = "partition_freshness",
) -> list[dg.AssetChecksDefinition]:
    """Return a check of each table: the newest complete partition is there by its deadline.

    A partition is due a while after the end of its window, in the time zone of the partitions. It is there if
    it was materialized after its window ended: what was made of half a day is not the day. Older partitions
    do not count, so that a backfill makes no table look fresh. Of partitions with a further dimension, every
    key of that dimension is expected.

    The checks run with their tables, in a job of their own, and in the sensor of notifications, which starts
    no run for them.

    Args:
        assets: tables whose partitions have one dimension by time.
        deadline: the time from the end of a partition until it has to be there. Of partitions of a day or
            longer it is read on the clock: 6 hours after midnight are 6 o'clock, also when clocks change.
        severity: that of a failed check; no run ends by it.
        name: the checks' name.

    Raises:
        DeclarationError: for a deadline that is none, or a table without partitions by time.

    """
    if not isinstance(deadline, dt.timedelta) or deadline < dt.timedelta(0):
        raise DeclarationError(
            f"the deadline of {name} is {deadline!r}.", "Write deadline=timedelta(hours=6)."
        )
    if isinstance(assets, str | dg.AssetKey | dg.AssetsDefinition | dg.AssetSpec) or not assets:
        raise DeclarationError(f"{name} is given {assets!r}.", "Give it a list of tables.")
    if severity not in list(dg.AssetCheckSeverity):
        raise DeclarationError(
            f"the severity of {name} is {severity!r}.",
            did_you_mean(severity, ["WARN", "ERROR"], "Write dg.AssetCheckSeverity.WARN or ERROR."),
        )
    keys = [key for asset in assets for key in _keys(asset)]
    doubled = sorted({key.to_user_string() for key in keys if keys.count(key) > 1})
    if doubled:
        raise DeclarationError(f"{name} is given {doubled[0]} twice.", "Give each table once.")
    return [_check(key, deadline, severity, name) for key in keys]


def freshness_of(
    instance: dg.DagsterInstance,
    key: dg.AssetKey,
    partitions_def: dg.PartitionsDefinition[Any] | None,
    deadline: dt.timedelta,
    now: dt.datetime,
) -> Freshness:
    """Return whether a table's newest complete partition is there.

    Args:
        instance: the Dagster instance.
        key: the asset's key.
        partitions_def: the asset's partitions.
        deadline: as `build_partition_freshness_checks` takes it.
        now: the moment, with its time zone.

    Raises:
        DeclarationError: for a table without partitions by time.

    """
    times = time_dimension(partitions_def)
    if times is None or partitions_def is None:
        raise _without_windows(key)
    newest_due = _newest_due(times, deadline, now, instance)
    if newest_due is None:
        return Freshness(passed=True, description="No partition is due yet.")
    expected, window = newest_due
    due = _due(window, deadline)
    keys = keys_of(partitions_def, expected, instance)
    records = latest_records(instance, key, keys)
    missing = [each for each in keys if each not in records]
    early = [
        each for each in keys if each not in missing and records[each].timestamp < window.end.timestamp()
    ]
    metadata: dict[str, Any] = {
        "expected_partition": expected,
        "deadline": dg.MetadataValue.timestamp(due),
        "missing_partitions": len(missing) + len(early),
    }
    if not missing and not early:
        made = max(records[each].timestamp for each in keys) if keys else now.timestamp()
        at = dt.datetime.fromtimestamp(made, due.tzinfo)
        there = f"{expected} is there since {_clock(at)}; it was due by {_clock(due)}."
        return Freshness(passed=True, description=there, expected=expected, metadata=metadata)
    late = f"It was due by {_clock(due)}, {duration((now - due).total_seconds())} ago."
    what = [_absence(missing, expected, "is not there", "are not there")] if missing else []
    what += (
        [_absence(early, expected, "was made before its window ended", "were made before it ended")]
        if early
        else []
    )
    newest = _newest(instance, key, partitions_def, times, now)
    last = f"The newest that is there is {newest}." if newest else "None of the last partitions is there."
    if newest:
        metadata["newest_partition"] = newest
    return Freshness(
        passed=False, description=" ".join([*what, late, last]), expected=expected, metadata=metadata
    )


def evaluation_of(spec: dg.AssetCheckSpec, freshness: Freshness) -> dg.AssetCheckEvaluation:
    """Return what was found as Dagster records it without a run."""
    return dg.AssetCheckEvaluation(
        asset_key=spec.asset_key,
        check_name=spec.name,
        passed=freshness.passed,
        metadata=freshness.metadata,
        description=freshness.description,
        severity=severity_of(spec),
    )


def deadline_of(spec: dg.AssetCheckSpec) -> dt.timedelta | None:
    """Return the deadline of a check of this module; None for any other check."""
    seconds = (spec.metadata or {}).get(DEADLINE)
    value = getattr(seconds, "value", seconds)
    return dt.timedelta(seconds=value) if isinstance(value, int | float) else None


def severity_of(spec: dg.AssetCheckSpec) -> dg.AssetCheckSeverity:
    """Return the severity of a check of this module when it fails."""
    value = (spec.metadata or {}).get(SEVERITY)
    return dg.AssetCheckSeverity(getattr(value, "value", value))


def _check(
    key: dg.AssetKey, deadline: dt.timedelta, severity: dg.AssetCheckSeverity, name: str
) -> dg.AssetChecksDefinition:
    after = f"{duration(deadline.total_seconds())} after its end" if deadline else "at its end"

    @dg.asset_check(
        asset=key,
        name=name,
        description=f"The newest complete partition is there {after}.",
        metadata={DEADLINE: deadline.total_seconds(), SEVERITY: severity.value},
    )
    def check(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
        graph = context.job_def.asset_layer.asset_graph
        partitions_def = graph.get(key).partitions_def if graph.has(key) else None
        found = freshness_of(context.instance, key, partitions_def, deadline, dt.datetime.now(dt.UTC))
        return dg.AssetCheckResult(
            passed=found.passed,
            severity=severity,
            description=found.description,
            metadata=found.metadata,
        )

    return check


def _keys(asset: Any) -> list[dg.AssetKey]:
    """Return the keys of assets, whose partitions are checked as far as they are known."""
    specs: list[Any] = []
    if isinstance(asset, dg.AssetsDefinition):
        specs = list(asset.specs)
    elif isinstance(asset, dg.AssetSpec):
        specs = [asset]
    for spec in specs:
        if time_dimension(spec.partitions_def) is None:
            raise _without_windows(spec.key)
    return [spec.key for spec in specs] or [dg.AssetKey.from_coercible(asset)]


def _without_windows(key: dg.AssetKey) -> DeclarationError:
    return DeclarationError(
        f"{key.to_user_string()} has no partitions by time, so none can be the newest.",
        "Give it a FreshnessPolicy of Dagster instead.",
    )


def _newest_due(
    times: Any, deadline: dt.timedelta, now: dt.datetime, instance: dg.DagsterInstance
) -> tuple[str, dg.TimeWindow] | None:
    """Return the newest window whose deadline is over, with its key; None if there is none."""
    with dg.partition_loading_context(effective_dt=now, dynamic_partitions_store=instance):
        newest = times.get_last_partition_window()
    if newest is None:
        return None
    length = max((newest.end - newest.start).total_seconds(), 1)
    look_back = math.ceil(deadline.total_seconds() / length) + 2
    [keys] = complete(times, now, look_back, instance)
    windows = ((key, times.time_window_for_partition_key(key)) for key in reversed(keys))
    return next(((key, window) for key, window in windows if _due(window, deadline) <= now), None)


def _due(window: dg.TimeWindow, deadline: dt.timedelta) -> dt.datetime:
    """Return when a partition has to be there, in its time zone."""
    end: dt.datetime = window.end
    if end - window.start >= _DAY:
        end += deadline  # on the clock
        return end.astimezone(dt.UTC).astimezone(window.end.tzinfo)  # which may have left this time out
    return (end.astimezone(dt.UTC) + deadline).astimezone(window.end.tzinfo)


def _newest(
    instance: dg.DagsterInstance,
    key: dg.AssetKey,
    partitions_def: dg.PartitionsDefinition[Any],
    times: Any,
    now: dt.datetime,
) -> str:
    """Return the newest partition that was ever made, among the last ones; empty if none was."""
    [time_keys] = complete(times, now, _LOOK_BACK, instance)
    for time_key in reversed(time_keys):
        keys = keys_of(partitions_def, time_key, instance)
        if keys and len(latest_records(instance, key, keys)) == len(keys):
            return time_key
    return ""


def _absence(keys: Sequence[str], expected: str, is_absent: str, are_absent: str) -> str:
    if list(keys) == [expected]:
        return f"{expected} {is_absent}."
    shown = enumerated(list(keys)) if len(keys) <= _SHOWN else f"{', '.join(keys[:_SHOWN])} …"
    verb = are_absent if len(keys) > 1 else is_absent
    return f"{number_of(len(keys), 'partition')} of {expected} {verb}: {shown}."


def _clock(moment: dt.datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M %Z}"
