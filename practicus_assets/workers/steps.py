"""The steps of a code location: their ops, their assets, and what decides where each of them runs."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg

from practicus_assets.workers.executor import worker_executor
from practicus_assets.workers.placement.configuration import Configuration
from practicus_assets.workers.placement.declaration import PARTITION_TAG, declared, overrides
from practicus_assets.workers.placement.layers import Assignment
from practicus_assets.workers.placement.region import Region

_CURRENT_IMAGE = "DAGSTER_CURRENT_IMAGE"  # by which a code server knows its own


@dataclass(frozen=True)
class Step:
    """A step of a job.

    Attributes:
        key: as Dagster names it, e.g. `sales__orders`, `graph.op`.
        assets: which it materializes, e.g. `sales/orders`.
        partitions_def: of the assets.

    """

    key: str
    assets: tuple[str, ...]
    partitions_def: dg.PartitionsDefinition[Any] | None
    _op: dg.OpDefinition
    _tags: Mapping[str, str]

    def assignment(
        self,
        configuration: Configuration,
        run_tags: Mapping[str, str],
        instance: dg.DagsterInstance | None,
        *,
        out_of_memory: int = 0,
        lost: int = 0,
    ) -> tuple[Assignment, Region]:
        """Return the worker that the step gets in a run with these tags, and the region it goes to.

        Args:
            configuration: of the executor.
            run_tags: may hold the partition, and what the run's launcher wants changed.
            instance: knows dynamic partitions.
            out_of_memory: how many earlier attempts ran out of memory.
            lost: how many lost their pod.

        Raises:
            DeclarationError: if what is asked for contradicts itself or the configuration.

        """
        asked = declared(self._op, self._tags, run_tags, instance)
        changes = overrides(run_tags, configuration.workers, self.key)
        return configuration.assign(self.key, asked, changes, out_of_memory, lost)


@dataclass(frozen=True)
class Job:
    """A job of a code location.

    Attributes:
        name: as Dagster names it; all assets together are one too.
        steps: in no order.
        executor: its name.
        has_workers: whether that executor is `worker_executor`.
        config: of the executor, without what a single run's configuration would add.
        run_tags: that each of its runs has.

    """

    name: str
    steps: tuple[Step, ...]
    executor: str
    has_workers: bool
    config: Mapping[str, Any]
    run_tags: Mapping[str, str]

    @property
    def label(self) -> str:
        """How it is called in messages."""
        return "the job of all assets" if self.name.startswith("__ASSET_JOB") else f"job {self.name}"


def jobs(definitions: dg.Definitions) -> list[Job]:
    """Return the jobs of a code location, that of all assets first."""
    assets = [each for each in definitions.resolve_asset_graph().assets_defs if each.is_executable]
    found = [_job(each, assets) for each in definitions.get_repository_def().get_all_jobs()]
    return sorted(found, key=lambda job: (not job.name.startswith("__ASSET_JOB"), job.name))


def current_image(launcher: Any) -> str | None:
    """Return the image of workers that name none: the code location's, else the run launcher's."""
    return os.environ.get(_CURRENT_IMAGE) or getattr(launcher, "job_image", None)


def partition_tags(key: str) -> dict[str, str]:
    """Return the tags of a run of one partition."""
    return {PARTITION_TAG: key}


def _job(job: dg.JobDefinition, assets: Sequence[dg.AssetsDefinition]) -> Job:
    executor = job.executor_def
    has_workers = executor.executor_creation_fn is worker_executor.executor_creation_fn
    given = dict((job.run_config or {}).get("execution", {})) if has_workers else {}
    mapped: Any = executor.apply_config_mapping({"config": {}, **given}) if has_workers else None
    return Job(
        name=job.name,
        steps=tuple(_steps(job, assets)),
        executor=executor.name,
        has_workers=has_workers,
        config=mapped.value["config"] if mapped is not None and mapped.success else {},
        run_tags=job.run_tags,
    )


def _steps(job: dg.JobDefinition, assets: Sequence[dg.AssetsDefinition]) -> Iterator[Step]:
    for node in job.nodes:
        made = next((each for each in assets if each.node_def is node.definition), None)
        keys = tuple(sorted(key.to_user_string() for key in made.keys)) if made is not None else ()
        for key, op, tags in _ops(node, ""):
            yield Step(key, keys, made.partitions_def if made is not None else None, op, tags)


def _ops(node: Any, prefix: str) -> Iterator[tuple[str, dg.OpDefinition, Mapping[str, str]]]:
    if isinstance(node.definition, dg.OpDefinition):
        yield f"{prefix}{node.name}", node.definition, node.tags
        return
    for each in node.definition.nodes:
        yield from _ops(each, f"{prefix}{node.name}.")
