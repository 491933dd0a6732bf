"""Where a step's worker is declared: in the tags of its op, or as a function of the partition."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg

from practicus_assets.errors import DeclarationError
from practicus_assets.workers.placement.layers import largest
from practicus_assets.workers.request.manifest import merged
from practicus_assets.workers.request.tags import WORKER_TAG, worker_tags
from practicus_assets.workers.request.worker import Worker

WorkerOf = Callable[[str | None], Worker]

PARTITION_TAG = "dagster/partition"
_RANGE = ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")
_ATTRIBUTE = "practicus_worker"

# what whoever launches a run may change: how much and where, but not what runs and with which rights
OVERRIDABLE = frozenset(
    {
        "size",
        "cpu",
        "cpu_limit",
        "memory",
        "memory_limit",
        "ephemeral_storage",
        "gpu",
        "time_limit",
        "region",
        "spot",
        "capture_logs",
        "keep_on_failure",
    }
)


@dataclass(frozen=True)
class WorkerByPartition:
    """A worker that depends on the partition; the largest one is taken for a run of several.

    Attributes:
        function: takes a partition key, or None for an asset or a run without partitions.
        partitions_def: of the asset.

    """

    function: WorkerOf
    partitions_def: dg.PartitionsDefinition[Any] | None

    def of(self, keys: Sequence[str | None]) -> Worker:
        """Return the worker for these partitions.

        Raises:
            DeclarationError: if the function returns something else.

        """
        try:
            found = [self.function(key) for key in (keys or [None])]
        except Exception as error:
            raise DeclarationError(f"the worker's function raised {error!r}.", "Mend it.") from error
        for each in found:
            if not isinstance(each, Worker):
                raise DeclarationError(f"worker returned {each!r}.", "Return a Worker for each partition.")
        return largest(found)


def declare(worker: Worker | WorkerOf, compute: Any, options: Mapping[str, Any]) -> dict[str, Any]:
    """Make a worker known as that of an asset, and return the asset's `op_tags`.

    Args:
        worker: the worker, or a function from partition key to worker.
        compute: the function of the asset's op.
        options: what `dg.asset` is given; its own `op_tags` are laid over the worker's.

    Raises:
        DeclarationError: if it is neither.

    """
    own = options.get("op_tags") or {}
    if isinstance(worker, Worker):
        return merged(worker_tags(worker), own)
    if not callable(worker):
        raise DeclarationError(
            f"worker is {worker!r}.", "Pass a Worker, or a function from partition key to one."
        )
    setattr(compute, _ATTRIBUTE, WorkerByPartition(worker, options.get("partitions_def")))
    return {WORKER_TAG: "depends on the partition", **own}


def declared(
    op: dg.OpDefinition,
    tags: Mapping[str, str],
    run_tags: Mapping[str, str],
    instance: dg.DagsterInstance | None,
) -> Worker:
    """Return the worker that a step declares; an empty one if it declares none.

    Args:
        op: the step's op.
        tags: of the step.
        run_tags: tell the run's partitions.
        instance: knows dynamic partitions.

    """
    function = getattr(op.compute_fn, "decorated_fn", None)
    by_partition: WorkerByPartition | None = getattr(function, _ATTRIBUTE, None)
    if by_partition is not None:
        return by_partition.of(_keys(by_partition.partitions_def, run_tags, instance))
    if WORKER_TAG in tags:
        return Worker.from_config(tags[WORKER_TAG], f"the tag {WORKER_TAG} of {op.name}")
    return Worker()


def _keys(
    partitions_def: dg.PartitionsDefinition[Any] | None,
    run_tags: Mapping[str, str],
    instance: dg.DagsterInstance | None,
) -> Sequence[str]:
    if partitions_def is None:
        return []
    if PARTITION_TAG in run_tags:
        return [run_tags[PARTITION_TAG]]
    if all(tag in run_tags for tag in _RANGE):
        between = dg.PartitionKeyRange(*(run_tags[tag] for tag in _RANGE))
        with dg.partition_loading_context(dynamic_partitions_store=instance):
            return partitions_def.get_partition_keys_in_range(between)
    return []


def overrides(
    run_tags: Mapping[str, str], configured: Mapping[str, Any], step: str
) -> list[tuple[str, Worker]]:
    """Return what a run's launcher wants changed for a step, the weakest first.

    Args:
        run_tags: `practicus/worker` holds fields as JSON for all steps, `practicus/worker.STEP` for one.
        configured: fields by step, or for all steps under "*".
        step: the step's key.

    Raises:
        DeclarationError: for a field that a launcher may not change.

    """
    steps = dict.fromkeys([step.partition("[")[0], step])  # a mapped step, such as op[3], is also its op's
    found = [(f"run config, workers: {key}", configured.get(key)) for key in ("*", *steps)]
    tags = [WORKER_TAG, *(f"{WORKER_TAG}.{key}" for key in steps)]
    found += [(f"run tag {key}", run_tags.get(key)) for key in tags]
    layers = []
    for source, fields in found:
        if fields is None:
            continue
        worker = Worker.from_config(fields, source)
        refused = sorted(set(worker.given()) - OVERRIDABLE)
        if refused:
            raise DeclarationError(
                f"{source} sets {', '.join(refused)}.",
                f"A run may change {', '.join(sorted(OVERRIDABLE))}; declare the rest in the code.",
            )
        layers.append((source, worker))
    return layers
