"""Placements: which worker each step of a code location gets, and in which region."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import dagster as dg

from practicus_assets.doctor.finding import Finding, failed, ok, warning
from practicus_assets.errors import DeclarationError
from practicus_assets.workers.launch.backend import backend_of
from practicus_assets.workers.placement.configuration import Configuration
from practicus_assets.workers.placement.placement import Placement
from practicus_assets.workers.placement.region import Region
from practicus_assets.workers.request.worker import Worker
from practicus_assets.workers.steps import JobPlan, Step, partition_tags


@dataclass
class Placements:
    """What the jobs of a code location ask for.

    Attributes:
        pods: the workers of the steps that run in pods; a step has several if they depend on the partition.
        regions: the regions that are configured where steps run in pods, by name.
        local: whether there are steps that run on the machine of their run.
        findings: one for each job, and one for each worker that is wrong.

    """

    pods: list[Placement] = field(default_factory=list)
    regions: dict[str, Region] = field(default_factory=dict)
    local: bool = False
    findings: list[Finding] = field(default_factory=list)


def placements(
    jobs: Sequence[JobPlan], instance: dg.DagsterInstance | None, forced: str | None
) -> Placements:
    """Return where the steps of jobs run, and with which workers.

    Args:
        jobs: the jobs of a code location.
        instance: Dagster's instance, which knows dynamic partitions.
        forced: the backend, instead of what the configuration says: "local" or "kubernetes".

    """
    result = Placements()
    for job in jobs:
        if not job.steps:
            continue
        if not job.has_workers:
            advice = "Set executor=worker_executor in Definitions, or ignore this."
            result.findings.append(warning(job.label, f"its executor is {job.executor}", advice))
            continue
        try:
            configuration = Configuration.of(job.config)
        except DeclarationError as error:
            result.findings.append(failed(f"configuration of {job.label}", error.problem, error.advice))
            continue
        backend, why = backend_of(configuration, job.config, instance)
        if forced is not None:
            backend, why = forced, f"--backend {forced}"
        workers, mistakes = _workers(job, configuration, instance)
        described = "Kubernetes pods" if backend == "kubernetes" else "local processes"
        result.findings.append(ok(job.label, f"{len(job.steps)} steps run in {described}: {why}"))
        result.findings += mistakes
        if backend == "local":
            result.local = True
            continue
        result.regions |= {"": configuration.home, **configuration.regions}
        unused = set(result.regions) - {pod.region.name for pod in (*result.pods, *workers)}
        workers += [_bare(configuration, name) for name in sorted(unused)]
        seen = {_key(pod) for pod in result.pods}
        result.pods += [worker for worker in workers if _key(worker) not in seen]
    return result


def _workers(
    job: JobPlan, configuration: Configuration, instance: dg.DagsterInstance | None
) -> tuple[list[Placement], list[Finding]]:
    """Return the workers of a job's steps, without repetition, and those that are wrong."""
    workers: dict[str, Placement] = {}
    mistakes = []
    for step in job.steps:
        try:
            workers |= {_key(worker): worker for worker in _of_step(step, job, configuration, instance)}
        except DeclarationError as error:
            mistakes.append(failed(f"worker of {step.key}", error.problem, error.advice))
    return list(workers.values()), mistakes


def _of_step(
    step: Step, job: JobPlan, configuration: Configuration, instance: dg.DagsterInstance | None
) -> Iterator[Placement]:
    """Yield a step's worker for a run without partition, and for the first and the last partition."""
    keys: list[str | None] = [None]
    if step.partitions_def is not None:
        partitions = step.partitions_def.get_partition_keys(dynamic_partitions_store=instance)
        keys += [partitions[0], partitions[-1]] if partitions else []
    for key in keys:
        tags = {**job.run_tags, **(partition_tags(key) if key is not None else {})}
        yield step.declaration.placement(configuration, tags, instance)


def _bare(configuration: Configuration, region: str) -> Placement:
    """Return what a step that asks for nothing gets in a region."""
    return configuration.place("a step that asks for nothing", Worker(region=region or None))


def _key(placement: Placement) -> str:
    worker = json.dumps([placement.worker.given(), dict(placement.pod_tags)], sort_keys=True)
    return f"{placement.step} {placement.region.name} {worker}"
