"""`worker`: the pod that a step would get, and why."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import click
import dagster as dg
import yaml
from rich.markup import escape

from practicus_assets.cli.answers import locations, output
from practicus_assets.cli.answers.instance import opened_instance
from practicus_assets.cli.answers.listing import Column
from practicus_assets.cli.dagster_home import instance_is_set
from practicus_assets.code_location import CodeLocation
from practicus_assets.errors import DeclarationError, did_you_mean
from practicus_assets.workers.kubernetes.cluster import Cluster
from practicus_assets.workers.kubernetes.job import step_job
from practicus_assets.workers.launch import variables
from practicus_assets.workers.launch.backend import backend_of, k8s_launcher
from practicus_assets.workers.placement.configuration import Configuration
from practicus_assets.workers.placement.placement import Placement
from practicus_assets.workers.request.manifest import job_name
from practicus_assets.workers.request.tags import K8S_CONFIG_TAG
from practicus_assets.workers.steps import JobPlan, Step, current_image, jobs, partition_tags, planned_run

_RUN_ID = "00000000-0000-0000-0000-000000000000"
_NO_IMAGE = "no-image-is-named"
_HIDDEN = "***"
_PLAIN = {"HOME", "DAGSTER_HOME"}  # set by this package and by Dagster's launcher
_OF_DAGSTER = {  # executors that start no pods
    executor.name
    for executor in (dg.in_process_executor, dg.multiprocess_executor, dg.multi_or_in_process_executor)
}

_COLUMNS = (Column("field"), Column("value", wraps=True), Column("from", wraps=True))


@dataclass(frozen=True)
class Question:
    """Which step's pod is asked about.

    Attributes:
        step: the step's key, or the key of an asset that it makes.
        job: the job's name; None where only one has such a step.
        partition: the key of the run's partition; None for none.
        run_tags: the run's tags, as KEY=VALUE.
        attempt: the number of the attempt, counted from 1.
        out_of_memory: how many attempts ran out of memory.
        lost: how many attempts lost their pod.

    """

    step: str
    job: str | None
    partition: str | None
    run_tags: Sequence[str]
    attempt: int
    out_of_memory: int
    lost: int


@dataclass(frozen=True)
class _Answer:
    step: str
    job: str
    assets: tuple[str, ...]
    backend: str
    why: str
    region: str
    namespace: str
    fields: Mapping[str, Mapping[str, Any]]
    manifest: Mapping[str, Any]


def show_worker(question: Question, location: CodeLocation, *, as_yaml: bool, as_json: bool) -> None:
    """Print the Kubernetes Job that a step would get.

    Args:
        question: the step, and the run and the attempt that it is part of.
        location: the code location.
        as_yaml: whether only the manifest is printed.
        as_json: whether programs read the output.

    """
    plans = jobs(locations.definitions(location))
    job, step = _step_named(plans, question.step, question.job)
    is_set = instance_is_set()
    with opened_instance(launches=True) if is_set else dg.DagsterInstance.ephemeral() as instance:
        partition = _partition(step, question.partition, instance)
        tags = {**job.run_tags, **partition, **dict(map(_tag, question.run_tags))}
        answer = _answer(job, step, tags, instance, question)
    if as_json:
        output.print_json(answer)
    elif as_yaml:
        click.echo(_yaml(answer.manifest), nl=False)
    else:
        _show(answer, job)


def _step_named(plans: Sequence[JobPlan], name: str, job: str | None) -> tuple[JobPlan, Step]:
    """Return the step of that name, or that makes the asset of that name."""
    names = [plan.name for plan in plans]
    if job is not None and job not in names:
        raise DeclarationError(
            f"there is no job {job!r} here.", did_you_mean(job, names, f"There are {', '.join(names)}.")
        )
    choice = [plan for plan in plans if job in {None, plan.name}]
    matches = [(plan, step) for plan in choice for step in plan.steps if name in {step.key, *step.assets}]
    keys = sorted({step.key for _, step in matches})
    if len(keys) > 1:
        raise DeclarationError(f"{name} is made by the steps {', '.join(keys)}.", "Name one of them.")
    if matches:
        return matches[0]
    all_names = {key for plan in choice for step in plan.steps for key in (step.key, *step.assets)}
    raise DeclarationError(
        f"there is no step or asset {name!r} here that runs.",
        did_you_mean(name, all_names, f"There are {', '.join(sorted(all_names)) or 'none'}.", most=3),
    )


def _partition(step: Step, key: str | None, instance: dg.DagsterInstance) -> dict[str, str]:
    if key is None:
        return {}
    if step.partitions_def is None:
        raise DeclarationError(f"{step.key} has no partitions, and --partition is {key!r}.", "Leave it out.")
    keys = step.partitions_def.get_partition_keys(dynamic_partitions_store=instance)
    if key not in keys:
        has = f"{len(keys)}, from {keys[0]} to {keys[-1]}" if keys else "none"
        advice = "Give a key as Dagster shows it; of two dimensions, joined by '|'."
        raise DeclarationError(
            f"{step.key} has no partition {key!r}; it has {has}.", did_you_mean(key, keys, advice)
        )
    return partition_tags(key)


def _tag(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise DeclarationError(
            f"--run-tag is {text!r}.", 'Write KEY=VALUE, e.g. practicus/worker={"cpu": 2}.'
        )
    return key, value


def _answer(
    job: JobPlan,
    step: Step,
    tags: Mapping[str, str],
    instance: dg.DagsterInstance,
    question: Question,
) -> _Answer:
    configuration = Configuration.of(job.config)
    placement = step.declaration.placement(
        configuration, tags, instance, out_of_memory=question.out_of_memory, lost=question.lost
    )
    region = placement.region
    launcher = k8s_launcher(instance) if instance_is_set() else None
    backend, why = backend_of(configuration, job.config, instance if instance_is_set() else None)
    image = current_image(launcher)
    environment = variables.of_step(job.name, step.key, question.attempt, region.roots)
    run = planned_run(job.name, run_id=_RUN_ID, tags=tags, image=image or _NO_IMAGE)
    name = job_name(step.key, _RUN_ID, question.attempt)
    manifest = step_job(name, placement, run, environment=environment, launcher=launcher)
    _hide(manifest, {*_PLAIN, *environment, *(placement.worker.env or {})})
    fields = {**_fields(placement), **_of_tags(placement)}
    if "image" not in fields and "container_config.image" not in fields:
        origin = "the code location, else the run launcher" if image else "nothing names one"
        fields["image"] = {"value": image, "origin": origin}
    return _Answer(
        step=step.key,
        job=job.name,
        assets=step.assets,
        backend=backend,
        why=why,
        region=region.name or "default",
        namespace=Cluster.of(region, launcher).namespace,
        fields={**fields, **_inherited(placement, manifest)},
        manifest=manifest,
    )


def _fields(placement: Placement) -> dict[str, dict[str, Any]]:
    spot = f"spot nodes of {placement.region.label}"
    return {
        name: {"value": value, "origin": placement.origins.get(name, spot)}
        for name, value in placement.worker.given().items()
        if name != "size"
    }


def _of_tags(placement: Placement) -> dict[str, dict[str, Any]]:
    """Return what the step's own tags say about its pod, beside its worker."""
    origin = f"the tag {K8S_CONFIG_TAG} of {placement.step}; the worker is laid over it"
    config = json.loads(placement.pod_tags.get(K8S_CONFIG_TAG, "{}"))
    return {
        f"{section}.{name}": {"value": value, "origin": origin}
        for section, part in config.items()
        if section != "merge_behavior"
        for name, value in part.items()
    }


def _inherited(placement: Placement, manifest: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the resources that the pod has, and neither its worker nor its tags say."""
    worker = placement.worker
    given = {
        "requests": {"cpu": worker.cpu, "memory": worker.memory},
        "limits": {"cpu": worker.cpu_limit, "memory": worker.memory or worker.memory_limit},
    }
    config = json.loads(placement.pod_tags.get(K8S_CONFIG_TAG, "{}"))
    tagged = config.get("container_config", {}).get("resources", {})
    resources = manifest["spec"]["template"]["spec"]["containers"][0].get("resources", {})
    return {
        f"resources.{kind}.{name}": {"value": resources[kind][name], "origin": "the instance's run launcher"}
        for kind, mine in given.items()
        for name, value in mine.items()
        if value is None and name in (resources.get(kind) or {}) and name not in tagged.get(kind, {})
    }


def _hide(manifest: dict[str, Any], shown: set[str]) -> None:
    for container in manifest["spec"]["template"]["spec"]["containers"]:
        for variable in container.get("env", ()):
            if "value" in variable and variable["name"] not in shown:
                variable["value"] = _HIDDEN


def _yaml(manifest: Mapping[str, Any]) -> str:
    text: str = yaml.safe_dump(manifest, sort_keys=False, width=110)
    return text


def _show(answer: _Answer, job: JobPlan) -> None:
    console = output.console()
    makes = f", which makes {', '.join(answer.assets)}" if set(answer.assets) - {answer.step} else ""
    console.print(f"[bold]{escape(answer.step)}[/bold]{escape(makes)}, in {escape(job.label)}")
    if not job.has_workers:
        console.print(f"[yellow]![/yellow] {escape(_without_workers(job))}")
    if answer.backend == "local":
        console.print(f"[yellow]![/yellow] Steps run in local processes: {escape(answer.why)}. In a cluster:")
    else:
        console.print(f"Steps run in Kubernetes pods: {escape(answer.why)}.")
    console.print(f"{answer.region} region, namespace {answer.namespace}")
    rows = [(name, _text(field["value"]), field["origin"]) for name, field in answer.fields.items()]
    output.print_table("Worker", _COLUMNS, rows)
    click.echo(_yaml(answer.manifest), nl=False)


def _without_workers(job: JobPlan) -> str:
    starts = "another executor starts its steps"
    if job.executor in _OF_DAGSTER:
        starts = "that is Dagster's own, so its steps run in processes"
    return (
        f"The executor of {job.label} is {job.executor}: {starts}, without workers. Set "
        "executor=worker_executor in Definitions or in the job; what follows is what it would do."
    )


def _text(value: Any) -> str:
    if value is None:
        return ""
    return (
        value
        if isinstance(value, str)
        else str(yaml.safe_dump(value, default_flow_style=True)).split("\n...")[0].strip()
    )
