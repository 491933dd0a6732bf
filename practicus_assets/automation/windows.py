"""Windows: which partitions are complete at a moment."""

import datetime as dt
from collections.abc import Sequence
from typing import Any

import dagster as dg

Lane = Sequence[str]  # keys of partitions that follow each other in time, the oldest first


def time_dimension(partitions_def: dg.PartitionsDefinition[Any] | None) -> Any:
    """Return the partitions by time, which may be one of several dimensions; None if there are none."""
    if isinstance(partitions_def, dg.MultiPartitionsDefinition):
        dimensions = [dimension.partitions_def for dimension in partitions_def.partitions_defs]
        times = [each for each in dimensions if isinstance(each, dg.TimeWindowPartitionsDefinition)]
        return times[0] if len(times) == 1 else None
    return partitions_def if isinstance(partitions_def, dg.TimeWindowPartitionsDefinition) else None


def complete(
    partitions_def: dg.PartitionsDefinition[Any],
    now: dt.datetime,
    look_back: int,
    instance: dg.DagsterInstance,
) -> list[Lane]:
    """Return the partitions whose window has ended: one lane, or one for each value of other dimensions.

    Args:
        partitions_def: partitions with one dimension by time.
        now: the moment, with its time zone.
        look_back: how many windows there are at most in a lane.
        instance: the Dagster instance, which knows dynamic partitions.

    """
    times = time_dimension(partitions_def)
    with dg.partition_loading_context(effective_dt=now, dynamic_partitions_store=instance):
        keys: list[str] = []
        window = times.get_last_partition_window()
        while window is not None and len(keys) < look_back:
            if window.end.timestamp() <= now.timestamp():
                keys.append(times.get_partition_key_for_timestamp(window.start.timestamp()))
            window = times.get_prev_partition_window(window.start)
        keys.reverse()
        if not isinstance(partitions_def, dg.MultiPartitionsDefinition) or not keys:
            return [keys]
        by_time = _dimension_name(partitions_def)
        lanes: dict[tuple[tuple[str, str], ...], list[str]] = {}
        for key in keys:
            for part in partitions_def.get_multipartition_keys_with_dimension_value(by_time, key):
                others = [each for each in part.keys_by_dimension.items() if each[0] != by_time]
                lanes.setdefault(tuple(sorted(others)), []).append(str(part))
        return list(lanes.values())


def keys_of(
    partitions_def: dg.PartitionsDefinition[Any], time_key: str, instance: dg.DagsterInstance
) -> list[str]:
    """Return the keys of the partitions of one window: itself, or one for each value of other dimensions."""
    if not isinstance(partitions_def, dg.MultiPartitionsDefinition):
        return [time_key]
    with dg.partition_loading_context(dynamic_partitions_store=instance):
        found = partitions_def.get_multipartition_keys_with_dimension_value(
            _dimension_name(partitions_def), time_key
        )
    return [str(each) for each in found]


def _dimension_name(partitions_def: dg.MultiPartitionsDefinition) -> str:
    times = time_dimension(partitions_def)
    [name] = [each.name for each in partitions_def.partitions_defs if each.partitions_def is times]
    return str(name)
