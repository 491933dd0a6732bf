"""Where a step's worker is declared: in the tags of its op, or as a function of the partition."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg

from practicus_assets.errors import DeclarationError
from practicus_assets.instance.run_tags import PARTITION_TAG, RANGE_TAGS
from practicus_assets.workers.placement.configuration import Configuration
from practicus_assets.workers.placement.layers import largest
from practicus_assets.workers.placement.placement import Placement
from practicus_assets.workers.request.tags import (
    BARE_IMAGE_TAG,
    ENGINE_TAG,
    K8S_CONFIG_TAG,
    SPLIT_WORKER_TAG,
    WORKER_TAG,
    k8s_config_of,
    own_pod_tags,
    with_worker,
)
from practicus_assets.workers.request.worker import Worker

WorkerOf = Callable[[str | None], Worker]

_ATTRIBUTE = "practicus_worker"

# what a run's launcher may change: how much and where, but not what runs and with which rights
OVERRIDABLE = frozenset(
    {
        "size",
        "cpu",
        "cpu_limit",
        "memory",
        "memory_limit",
        "ephemeral_storage",
        "gpu",
        "time_limit_seconds",
        "region",
        "spot",
        "capture_logs",
        "keep_failed_seconds",
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
            workers = [self.function(key) for key in (keys or [None])]
        except Exception as error:
            raise DeclarationError(
                f"the function that is its worker raised {error!r}.", "Correct that function."
            ) from error
        for worker in workers:
            if not isinstance(worker, Worker):
                raise DeclarationError(
                    f"the function that is its worker returned {worker!r}.",
                    "Return a Worker for each partition, and for None.",
                )
        return largest(workers)


def declare(
    worker: Worker | WorkerOf | None, compute: Any, options: Mapping[str, Any], source: str
) -> dict[str, Any]:
    """Make a worker known as that of an asset, and return the asset's `op_tags`.

    Args:
        worker: the worker, a function from partition key to worker, or None.
        compute: the function of the asset's op.
        options: the options of `dg.asset`; its `op_tags` stay below the worker.
        source: the asset's name, for errors.

    Raises:
        DeclarationError: if it is none of these, or the author's `dagster-k8s/config` is wrong.

    """
    own = dict(options.get("op_tags") or {})
    if isinstance(worker, Worker):
        return with_worker(own, worker, source)
    if K8S_CONFIG_TAG in own:
        own[K8S_CONFIG_TAG] = k8s_config_of(own[K8S_CONFIG_TAG], source)
    if worker is None:
        return own
    if not callable(worker) or isinstance(worker, type):
        raise DeclarationError(
            f"worker is {worker!r}.", "Pass a Worker, or a function from partition key to one."
        )
    setattr(compute, _ATTRIBUTE, WorkerByPartition(worker, options.get("partitions_def")))
    return {WORKER_TAG: "depends on the partition", **own}


@dataclass(frozen=True)
class StepDeclaration:
    """What the code says about a step.

    Attributes:
        step: the step's key.
        op: the step's op.
        tags: the tags of the step.

    """

    step: str
    op: dg.OpDefinition
    tags: Mapping[str, str]

    def placement(
        self,
        configuration: Configuration,
        run_tags: Mapping[str, str],
        instance: dg.DagsterInstance | None,
        *,
        out_of_memory: int = 0,
        lost: int = 0,
    ) -> Placement:
        """Return the worker that the step gets in a run, and the region it goes to.

        Args:
            configuration: the executor's configuration.
            run_tags: the run's tags: they name its partitions, and hold what its launcher wants changed.
            instance: Dagster's instance, which knows dynamic partitions.
            out_of_memory: the number of earlier attempts that ran out of memory.
            lost: the number of earlier attempts that lost their pod.

        Raises:
            DeclarationError: if what is asked for contradicts itself or the configuration.

        """
        splits = self.tags.get(SPLIT_WORKER_TAG)
        return configuration.place(
            self.step,
            self.worker(run_tags, instance),
            changes=overrides(run_tags, configuration.workers, self.step),
            out_of_memory=out_of_memory,
            lost=lost,
            pod_tags=own_pod_tags(self.tags, self.step),
            bare_image=BARE_IMAGE_TAG in self.tags,
            splits=Worker.from_config(splits, f"the tag {SPLIT_WORKER_TAG}") if splits is not None else None,
            engine=Worker.from_config(self.tags[ENGINE_TAG], f"the tag {ENGINE_TAG} of {self.op.name}")
            if ENGINE_TAG in self.tags
            else None,
        )

    def worker(self, run_tags: Mapping[str, str], instance: dg.DagsterInstance | None) -> Worker:
        """Return the worker that the step declares; an empty one if it declares none.

        Args:
            run_tags: the run's tags, which name its partitions.
            instance: Dagster's instance, which knows dynamic partitions.

        Raises:
            DeclarationError: if the declaration is wrong.

        """
        function = getattr(self.op.compute_fn, "decorated_fn", None)
        by_partition: WorkerByPartition | None = getattr(function, _ATTRIBUTE, None)
        if by_partition is not None:
            return by_partition.of(_keys(by_partition.partitions_def, run_tags, instance))
        if WORKER_TAG in self.tags:
            return Worker.from_config(self.tags[WORKER_TAG], f"the tag {WORKER_TAG} of {self.op.name}")
        return Worker()


def declarations(node: Any, prefix: str = "") -> Iterator[StepDeclaration]:
    """Yield the steps that a node of a job stands for: its op, or the ops of its graph.

    Args:
        node: the node.
        prefix: the path of the graphs around it, e.g. `graph.`.

    """
    if isinstance(node.definition, dg.OpDefinition):
        yield StepDeclaration(f"{prefix}{node.name}", node.definition, node.tags)
        return
    for inner in node.definition.nodes:
        yield from declarations(inner, f"{prefix}{node.name}.")


def _keys(
    partitions_def: dg.PartitionsDefinition[Any] | None,
    run_tags: Mapping[str, str],
    instance: dg.DagsterInstance | None,
) -> Sequence[str]:
    if partitions_def is None:
        return []
    if PARTITION_TAG in run_tags:
        return [run_tags[PARTITION_TAG]]
    if all(tag in run_tags for tag in RANGE_TAGS):
        between = dg.PartitionKeyRange(*(run_tags[tag] for tag in RANGE_TAGS))
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
    sources = [(f"run config, workers: {key}", configured.get(key)) for key in ("*", *steps)]
    tags = [WORKER_TAG, *(f"{WORKER_TAG}.{key}" for key in steps)]
    sources += [(f"run tag {key}", run_tags.get(key)) for key in tags]
    layers = []
    for source, fields in sources:
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
