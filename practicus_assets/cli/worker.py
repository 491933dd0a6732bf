"""`worker`: the pod that a step would get, and why."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import click
import dagster as dg
import yaml
from rich.markup import escape

from practicus_assets.cli import locations, output
from practicus_assets.cli.instance import dagster_instance, instance_is_set
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


@click.command()
@click.argument("step")
@click.option("-j", "--job", "job_name_", help="The job, where several have such a step.")
@click.option("--partition", help="The run's partition.")
@click.option("--run-tag", "run_tags", multiple=True, metavar="KEY=VALUE", help="A tag of the run.")
@click.option("--attempt", type=click.IntRange(1), help="Number of the attempt; 1 is the first.")
@click.option(
    "--out-of-memory", type=click.IntRange(0), default=0, help="How many attempts ran out of memory."
)
@click.option("--lost", type=click.IntRange(0), default=0, help="How many attempts lost their pod.")
@click.option("--yaml", "as_yaml", is_flag=True, help="Print the manifest only, as YAML.")
@output.json_option
@locations.options
def worker(
    step: str,
    job_name_: str | None,
    partition: str | None,
    run_tags: Sequence[str],
    *,
    attempt: int | None,
    out_of_memory: int,
    lost: int,
    as_yaml: bool,
    as_json: bool,
    **location: Any,
) -> None:
    """Show the Kubernetes Job that worker_executor would make for STEP, and what each field comes from.

    STEP is a step's key, or an asset's key. Nothing is created, and no cluster is asked. Values of
    environment variables that the instance's run launcher adds are hidden, for they may be secrets.
    """
    job, job_step = _step_named(jobs(locations.definitions(**location)), step, job_name_)
    with dagster_instance() if instance_is_set() else dg.DagsterInstance.ephemeral() as instance:
        tags = {**job.run_tags, **_partition(job_step, partition, instance), **dict(map(_tag, run_tags))}
        answer = _answer(
            job,
            job_step,
            tags,
            instance,
            attempt=attempt or 1 + out_of_memory + lost,
            out_of_memory=out_of_memory,
            lost=lost,
        )
    if as_json:
        output.print_json(answer)
    elif as_yaml:
        click.echo(_yaml(answer.manifest), nl=False)
    else:
        _show(answer, job)


def _step_named(plans: Sequence[JobPlan], name: str, job: str | None) -> tuple[JobPlan, Step]:
    """Return the step of that name, or that makes the asset of that name."""
    if job is not None and job not in [each.name for each in plans]:
        names = ", ".join(each.name for each in plans)
        raise DeclarationError(f"there is no job {job!r} here; there are {names}.", "Correct --job.")
    choice = [each for each in plans if job in {None, each.name}]
    matches = [(each, step) for each in choice for step in each.steps if name in {step.key, *step.assets}]
    keys = sorted({step.key for _, step in matches})
    if len(keys) > 1:
        raise DeclarationError(f"{name} is made by the steps {', '.join(keys)}.", "Name one of them.")
    if matches:
        return matches[0]
    all_names = {each for one in choice for step in one.steps for each in (step.key, *step.assets)}
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
        raise DeclarationError(
            f"{step.key} has no partition {key!r}; it has {has}.",
            "Give a key as Dagster shows it; of two dimensions, joined by '|'.",
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
    *,
    attempt: int,
    out_of_memory: int,
    lost: int,
) -> _Answer:
    configuration = Configuration.of(job.config)
    placement = step.declaration.placement(
        configuration, tags, instance, out_of_memory=out_of_memory, lost=lost
    )
    region = placement.region
    launcher = k8s_launcher(instance) if instance_is_set() else None
    backend, why = backend_of(configuration, job.config, instance if instance_is_set() else None)
    image = current_image(launcher)
    environment = variables.of_step(job.name, step.key, attempt, region.roots)
    run = planned_run(job.name, run_id=_RUN_ID, tags=tags, image=image or _NO_IMAGE)
    name = job_name(step.key, _RUN_ID, attempt)
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
        console.print(
            f"[yellow]![/yellow] The executor is {job.executor}, not worker_executor, which is not asked."
        )
    if answer.backend == "local":
        console.print(f"[yellow]![/yellow] Steps run in local processes: {escape(answer.why)}. In a cluster:")
    else:
        console.print(f"Steps run in Kubernetes pods: {escape(answer.why)}.")
    console.print(f"{answer.region} region, namespace {answer.namespace}")
    rows = [
        (name, escape(_text(field["value"])), escape(field["origin"]))
        for name, field in answer.fields.items()
    ]
    console.print(output.table("Worker", ("field", "value", "from"), rows))
    click.echo(_yaml(answer.manifest), nl=False)


def _text(value: Any) -> str:
    if value is None:
        return ""
    return (
        value
        if isinstance(value, str)
        else str(yaml.safe_dump(value, default_flow_style=True)).split("\n...")[0].strip()
    )
