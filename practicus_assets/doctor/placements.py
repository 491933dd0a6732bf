"""Placements: which worker each step of a code location gets, and in which region."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from practicus_assets.doctor.finding import Finding, failed, ok, warning
from practicus_assets.errors import DeclarationError
from practicus_assets.workers.configuration import Configuration
from practicus_assets.workers.executor import backend
from practicus_assets.workers.region import Region
from practicus_assets.workers.spec import Worker
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
        found: of steps that would run in pods.
        regions: that are configured, by name.
        local: whether there are steps that run on the machine of their run.
        findings: what is wrong with it, or that it is well.

    """

    found: list[Placement] = field(default_factory=list)
    regions: dict[str, Region] = field(default_factory=dict)
    local: bool = False
    findings: list[Finding] = field(default_factory=list)


def placements(
    jobs: Sequence[Job], instance: dg.DagsterInstance | None, launcher: Any, forced: str | None
) -> Placements:
    """Return where the steps of these jobs run, with what.

    Args:
        jobs: of a code location.
        instance: knows dynamic partitions.
        launcher: the instance's run launcher.
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
            made.findings.append(failed(f"configuration of {job.label}", error.found, error.advice))
            continue
        where, why = backend(configuration, job.config, launcher)
        if forced is not None:
            where, why = forced, f"--backend {forced}"
        place = "Kubernetes pods" if where == "kubernetes" else "local processes"
        made.findings.append(ok(job.label, f"{len(job.steps)} steps run in {place}: {why}"))
        made.local |= where == "local"
        if where == "kubernetes":
            made.regions |= {"": configuration.home, **configuration.regions}
        made.findings += _placed(made, job, configuration, instance, pods=where == "kubernetes")
        _fill(made, configuration)
    return made


def _placed(
    made: Placements,
    job: Job,
    configuration: Configuration,
    instance: dg.DagsterInstance | None,
    *,
    pods: bool,
) -> Iterator[Finding]:
    seen = {_key(each) for each in made.found}
    wrong = 0
    for step in job.steps:
        try:
            for placement in _of_step(step, job, configuration, instance):
                if pods and _key(placement) not in seen:
                    seen.add(_key(placement))
                    made.found.append(placement)
        except DeclarationError as error:
            wrong += 1
            yield failed(f"worker of {step.key}", error.found, error.advice)
    if not wrong:
        yield ok(f"workers of {job.label}", "each agrees with the configuration")


def _of_step(
    step: Step, job: Job, configuration: Configuration, instance: dg.DagsterInstance | None
) -> Iterator[Placement]:
    keys: list[str | None] = [None]
    if step.partitions_def is not None:
        known = step.partitions_def.get_partition_keys(dynamic_partitions_store=instance)
        keys += [known[0], known[-1]] if known else []
    for key in keys:
        tags = {**job.run_tags, **(partition_tags(key) if key is not None else {})}
        assignment, region = step.assignment(configuration, tags, instance)
        yield Placement(step.key, assignment.worker, region)


def _fill(made: Placements, configuration: Configuration) -> None:
    """Give each region that no step uses the worker of a step that asks for nothing."""
    used = {each.region.name for each in made.found}
    for name in [each for each in made.regions if each not in used]:
        asked = Worker(region=name) if name else Worker()
        assignment, region = configuration.assign("a step", asked)
        made.found.append(Placement("a step", assignment.worker, region))


def _key(placement: Placement) -> str:
    worker = json.dumps(placement.worker.given(), sort_keys=True)
    return f"{placement.step} {placement.region.name} {worker}"
