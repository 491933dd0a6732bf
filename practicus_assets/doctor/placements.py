"""Placements: which worker each step of a code location gets, and in which region."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import dagster as dg

from practicus_assets.doctor.finding import Finding, failed, ok, warning
from practicus_assets.errors import DeclarationError
from practicus_assets.workers.launch.backend import backend
from practicus_assets.workers.placement.configuration import Configuration
from practicus_assets.workers.placement.region import Region
from practicus_assets.workers.request.worker import Worker
from practicus_assets.workers.steps import Job, Step, partition_tags


@dataclass(frozen=True)
class Placement:
    """A step's worker in a region; it may have several, one for each kind of partition."""

    step: str
    worker: Worker
    region: Region


@dataclass
class Placements:
    """What the jobs of a code location ask for.

    Attributes:
        pods: the steps that run in pods, each with its worker.
        regions: that are configured where steps run in pods, by name.
        local: whether there are steps that run on the machine of their run.
        findings: what is wrong with it, or that it is well.

    """

    pods: list[Placement] = field(default_factory=list)
    regions: dict[str, Region] = field(default_factory=dict)
    local: bool = False
    findings: list[Finding] = field(default_factory=list)


def placements(jobs: Sequence[Job], instance: dg.DagsterInstance | None, forced: str | None) -> Placements:
    """Return where the steps of these jobs run, with what.

    Args:
        jobs: of a code location.
        instance: knows dynamic partitions.
        forced: "local" or "kubernetes", instead of what the configuration says.

    """
    made = Placements()
    for job in jobs:
        if not job.steps:
            continue
        if not job.has_workers:
            advice = "Set executor=worker_executor in Definitions, or ignore this."
            made.findings.append(warning(job.label, f"its executor is {job.executor}", advice))
            continue
        try:
            configuration = Configuration.of(job.config)
        except DeclarationError as error:
            made.findings.append(failed(f"configuration of {job.label}", error.problem, error.advice))
            continue
        where, why = backend(configuration, job.config, instance)
        if forced is not None:
            where, why = forced, f"--backend {forced}"
        placed, wrong = _placed(job, configuration, instance)
        place = "Kubernetes pods" if where == "kubernetes" else "local processes"
        made.findings.append(ok(job.label, f"{len(job.steps)} steps run in {place}: {why}"))
        made.findings += wrong
        if where == "local":
            made.local = True
            continue
        made.regions |= {"": configuration.home, **configuration.regions}
        unused = set(made.regions) - {each.region.name for each in (*made.pods, *placed)}
        placed += [_bare(configuration, name) for name in sorted(unused)]
        known = {_key(each) for each in made.pods}
        made.pods += [each for each in placed if _key(each) not in known]
    return made


def _placed(
    job: Job, configuration: Configuration, instance: dg.DagsterInstance | None
) -> tuple[list[Placement], list[Finding]]:
    """Return the workers of a job's steps, each once, and those that contradict the configuration."""
    found: dict[str, Placement] = {}
    wrong = []
    for step in job.steps:
        try:
            found |= {_key(each): each for each in _of_step(step, job, configuration, instance)}
        except DeclarationError as error:
            wrong.append(failed(f"worker of {step.key}", error.problem, error.advice))
    return list(found.values()), wrong


def _of_step(
    step: Step, job: Job, configuration: Configuration, instance: dg.DagsterInstance | None
) -> Iterator[Placement]:
    """Yield a step's worker for a run without partition, and for the first and the last partition."""
    keys: list[str | None] = [None]
    if step.partitions_def is not None:
        known = step.partitions_def.get_partition_keys(dynamic_partitions_store=instance)
        keys += [known[0], known[-1]] if known else []
    for key in keys:
        tags = {**job.run_tags, **(partition_tags(key) if key is not None else {})}
        assignment, region = step.assignment(configuration, tags, instance)
        yield Placement(step.key, assignment.worker, region)


def _bare(configuration: Configuration, region: str) -> Placement:
    """Return what a step that asks for nothing gets in a region."""
    name = "a step that asks for nothing"
    assignment, found = configuration.assign(name, Worker(region=region or None))
    return Placement(name, assignment.worker, found)


def _key(placement: Placement) -> str:
    worker = json.dumps(placement.worker.given(), sort_keys=True)
    return f"{placement.step} {placement.region.name} {worker}"
