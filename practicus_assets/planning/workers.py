"""Workers: what the step of a table asks for, in a run of some of its partitions."""

from collections.abc import Mapping, Sequence

import dagster as dg

from practicus_assets.instance.run_tags import PARTITION_TAG, RANGE_TAGS
from practicus_assets.workers.placement.configuration import Configuration
from practicus_assets.workers.placement.declaration import StepDeclaration

_FIELDS = ("size", "cpu", "cpu_limit", "memory", "memory_limit", "gpu", "image", "region", "spot")


def worker_of(
    assets: dg.AssetsDefinition,
    keys: Sequence[str],
    configuration: Configuration,
    instance: dg.DagsterInstance,
) -> Mapping[str, str]:
    """Return the fields of the worker of an asset's step, as far as they are given, as texts.

    Args:
        assets: the asset.
        keys: the partitions of the run, in their order; none for a run without partitions.
        configuration: the executor's configuration.
        instance: the Dagster instance, which knows dynamic partitions.

    """
    tags = dict(zip(RANGE_TAGS, (keys[0], keys[-1]), strict=True)) if keys else {}
    tags = {PARTITION_TAG: keys[0]} if len(keys) == 1 else tags
    op = assets.node_def
    if not isinstance(op, dg.OpDefinition):
        return {}  # a graph, whose steps have each a worker of its own
    placement = StepDeclaration(op.name, op, op.tags).placement(configuration, tags, instance)
    given = placement.worker.given()
    return {name: str(given[name]) for name in _FIELDS if name in given and given[name] is not False}
