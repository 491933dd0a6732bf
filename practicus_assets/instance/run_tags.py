"""The tags of a run that this package reads, and the partitions that they name."""

from collections.abc import Mapping
from typing import Any

import dagster as dg

PARTITION_TAG = "dagster/partition"
RANGE_TAGS = ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")
WILL_RETRY_TAG = "dagster/will_retry"
RETRIED_BY_TAG = "dagster/auto_retry_run_id"


def partition_keys(
    partitions_def: dg.PartitionsDefinition[Any] | None,
    run_tags: Mapping[str, str],
    instance: dg.DagsterInstance,
) -> list[str]:
    """Return the keys of the partitions that a run is of; none for a run without partitions."""
    if partitions_def is None:
        return []
    if PARTITION_TAG in run_tags:
        return [run_tags[PARTITION_TAG]]
    if not all(tag in run_tags for tag in RANGE_TAGS):
        return []
    between = dg.PartitionKeyRange(*(run_tags[tag] for tag in RANGE_TAGS))
    with dg.partition_loading_context(dynamic_partitions_store=instance):
        return list(partitions_def.get_partition_keys_in_range(between))
