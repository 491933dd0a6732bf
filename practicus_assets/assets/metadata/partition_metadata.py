"""Partition metadata: what the materialization of one partition of a run says beside that of all of them."""

from collections.abc import Mapping
from typing import Any

import dagster as dg
from dagster._core.execution.context.metadata_logging import (  # what a step keeps metadata in
    AssetMetadataHandle,
    OutputMetadataAccumulator,
)


def add_partition_metadata(
    context: dg.AssetExecutionContext, key: dg.AssetKey, by_partition: Mapping[str, Mapping[str, Any]]
) -> None:
    """Add metadata to the materialization of each partition of a run, to all in one go.

    `add_asset_metadata` of a context lists all partitions of the run for each one, and copies what it has.

    Args:
        context: the context of the run's step.
        key: the asset's key.
        by_partition: the metadata, by the partition's key; all are partitions of the run.

    """
    step: Any = context.get_step_execution_context()
    added: dict[Any, Mapping[str, Any]] = {
        AssetMetadataHandle(asset_key=key, partition_key=partition): {
            **(step.get_asset_metadata(key, partition) or {}),
            **metadata,
        }
        for partition, metadata in by_partition.items()
    }
    held = step._metadata_accumulator.per_output_metadata  # noqa: SLF001 no other way takes several
    step._metadata_accumulator = OutputMetadataAccumulator(per_output_metadata={**held, **added})  # noqa: SLF001
