"""The steps of a code location: their ops, their assets, and what decides where each of them runs."""

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg
from dagster._core.code_pointer import ModuleCodePointer
from dagster._core.origin import JobPythonOrigin, RepositoryPythonOrigin

from practicus_assets.instance.run_tags import PARTITION_TAG
from practicus_assets.workers.executor import worker_executor
from practicus_assets.workers.placement.declaration import StepDeclaration, declarations

# by these a code server knows its image, and what its runs get beyond what the run launcher gives
_CURRENT_IMAGE, _CONTAINER_CONTEXT = "DAGSTER_CURRENT_IMAGE", "DAGSTER_CONTAINER_CONTEXT"


@dataclass(frozen=True)
class Step:
    """A step of a job.

    Attributes:
        declaration: what the code says about it.
        assets: the assets that it materializes, e.g. `sales/orders`.
        partitions_def: the partitions of these assets.

    """

    declaration: StepDeclaration
    assets: tuple[str, ...]
    partitions_def: dg.PartitionsDefinition[Any] | None

    @property
    def key(self) -> str:
        """The step's key as Dagster spells it, e.g. `sales__orders`, `graph.op`."""
        return self.declaration.step


@dataclass(frozen=True)
class JobPlan:
    """A job of a code location.

    Attributes:
        name: the job's name; all assets together are a job too.
        steps: the job's steps, in no order.
        executor: the name of the job's executor.
        has_workers: whether that executor is `worker_executor`.
        config: the executor's configuration, without what a single run's configuration would add.
        run_tags: the tags that each of its runs has.

    """

    name: str
    steps: tuple[Step, ...]
    executor: str
    has_workers: bool
    config: Mapping[str, Any]
    run_tags: Mapping[str, str]

    @property
    def label(self) -> str:
        """The job's name in messages."""
        return "the job of all assets" if self.name.startswith("__ASSET_JOB") else f"job {self.name}"


def jobs(definitions: dg.Definitions) -> list[JobPlan]:
    """Return the jobs of a code location, that of all assets first."""
    assets = [each for each in definitions.resolve_asset_graph().assets_defs if each.is_executable]
    plans = [_job(job, assets) for job in definitions.get_repository_def().get_all_jobs()]
    return sorted(plans, key=lambda job: (not job.name.startswith("__ASSET_JOB"), job.name))


def current_image(launcher: Any) -> str | None:
    """Return the image of workers that name none: the code location's, else the run launcher's."""
    return os.environ.get(_CURRENT_IMAGE) or getattr(launcher, "job_image", None)


def planned_run(
    job: str, *, run_id: str, tags: Mapping[str, str] | None = None, image: str | None = None
) -> dg.DagsterRun:
    """Return a run as a code server would launch it, for the Jobs that its steps would get.

    Args:
        job: the job's name.
        run_id: the run's id.
        tags: the run's tags.
        image: the code location's image.

    """
    context = json.loads(os.environ.get(_CONTAINER_CONTEXT) or "null")
    repository = RepositoryPythonOrigin(
        executable_path=sys.executable,
        code_pointer=ModuleCodePointer(__name__, "planned_run"),
        container_image=image,
        container_context=context,
    )
    return dg.DagsterRun(
        job, run_id=run_id, tags=dict(tags or {}), job_code_origin=JobPythonOrigin(job, repository)
    )


def partition_tags(key: str) -> dict[str, str]:
    """Return the tags of a run of one partition."""
    return {PARTITION_TAG: key}


def executor_config(job: dg.JobDefinition) -> Mapping[str, Any] | None:
    """Return a job's configuration of `worker_executor`; None if another executor starts its steps."""
    executor = job.executor_def
    if executor.executor_creation_fn is not worker_executor.executor_creation_fn:
        return None
    given = dict((job.run_config or {}).get("execution", {}))
    mapped: Any = executor.apply_config_mapping({"config": {}, **given})
    return dict(mapped.value["config"]) if mapped.success else {}


def _job(job: dg.JobDefinition, assets: Sequence[dg.AssetsDefinition]) -> JobPlan:
    config = executor_config(job)
    return JobPlan(
        name=job.name,
        steps=tuple(_steps(job, assets)),
        executor=job.executor_def.name,
        has_workers=config is not None,
        config=config or {},
        run_tags=job.run_tags,
    )


def _steps(job: dg.JobDefinition, assets: Sequence[dg.AssetsDefinition]) -> Iterator[Step]:
    for node in job.nodes:
        asset = next((asset for asset in assets if asset.node_def is node.definition), None)
        keys = tuple(sorted(key.to_user_string() for key in asset.keys)) if asset is not None else ()
        for declaration in declarations(node, ""):
            yield Step(declaration, keys, asset.partitions_def if asset is not None else None)
