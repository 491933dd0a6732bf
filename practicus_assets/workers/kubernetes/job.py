"""The Job of one attempt at a step, as a manifest."""

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg
import kubernetes
from dagster_k8s import DagsterK8sJobConfig, K8sRunLauncher, construct_dagster_k8s_job
from dagster_k8s.container_context import K8sContainerContext
from dagster_k8s.job import UserDefinedDagsterK8sConfig, get_user_defined_k8s_config

from practicus_assets.errors import DeclarationError
from practicus_assets.workers.placement.placement import Placement
from practicus_assets.workers.request.manifest import RUN_LABEL, k8s_config
from practicus_assets.workers.request.tags import K8S_CONFIG_TAG

COMMAND: Sequence[str] = ("python", "-m", "practicus_assets.workers.launch.entrypoint", "api", "execute_step")
_RESOURCES = ("cpu", "cpu_limit", "memory", "memory_limit", "ephemeral_storage", "gpu")


def step_job(
    name: str,
    placement: Placement,
    run: dg.DagsterRun,
    *,
    environment: Mapping[str, str],
    launcher: Any,
    owner: Mapping[str, str] | None = None,
    command: Sequence[str] = COMMAND,
) -> dict[str, Any]:
    """Return the Job in which a step runs: for the executor, for those who want to see it, and for a trial.

    It begins with what the instance's `K8sRunLauncher` and the code location's container context give
    to every run, as with Dagster's `k8s_job_executor`. The step's own tags are laid over that, and the worker
    over both. Of a command in an image without this package it is the command's Job, which has nothing of
    that but the secrets of image registries; the step that starts it adds its words and its variables.

    Args:
        name: the Job's name.
        placement: the step's worker and its own tags.
        run: the run of the step; its code location's image is used where the worker names none.
        environment: the variables of the step's process; a command has none of them.
        launcher: the instance's run launcher, if it is a `K8sRunLauncher`.
        owner: an owner reference; the Job is deleted with its owner.
        command: what its container runs, unless that is a command in an image without this package.

    Raises:
        DeclarationError: if no image is named anywhere, or Dagster cannot make a Job of it.

    """
    try:
        job = _job(name, placement, run, environment, launcher, command)
    except DeclarationError:
        raise
    except Exception as error:  # what Dagster and the client raise for a wrong field has no common class
        raise DeclarationError(
            f"its Kubernetes Job cannot be made: {error}.",
            f"Correct its worker, its tag {K8S_CONFIG_TAG}, or the configuration of the run launcher.",
        ) from error
    manifest: dict[str, Any] = kubernetes.client.ApiClient().sanitize_for_serialization(job)
    if owner is not None:
        manifest["metadata"]["ownerReferences"] = [dict(owner)]
    manifest["spec"] |= {"backoffLimit": 0, "completions": 1, "parallelism": 1}  # else it might run twice
    template = manifest["spec"]["template"]
    pod = template["spec"]
    pod["restartPolicy"] = "Never"
    pod["volumes"] = _last_by(pod.get("volumes", ()), "name")
    for container in pod["containers"]:
        for key, unique in (("env", "name"), ("volumeMounts", "mountPath")):
            if key in container:
                container[key] = _last_by(container[key], unique)
    if placement.starter is not None:
        _without_dagster(manifest["metadata"], template["metadata"], pod["containers"][0])
    return manifest


def _job(  # noqa: PLR0917 what a Job is made of
    name: str,
    placement: Placement,
    run: dg.DagsterRun,
    environment: Mapping[str, str],
    launcher: Any,
    command: Sequence[str],
) -> Any:
    worker = placement.worker
    launcher = launcher if isinstance(launcher, K8sRunLauncher) else None
    location = run.job_code_origin
    image = location.repository_origin.container_image if location is not None else None
    context = K8sContainerContext.create_for_run(run, launcher, include_run_tags=False)
    bare = placement.starter is not None
    if bare:
        secrets = context.run_k8s_config.pod_spec_config.get("image_pull_secrets")
        context = K8sContainerContext(image_pull_secrets=secrets)
        launcher = image = None
    if any(getattr(worker, field) is not None for field in _RESOURCES):
        # those of the small pod that only starts steps would bound a worker that asks for its own
        inherited = {k: v for k, v in context.run_k8s_config.container_config.items() if k != "resources"}
        context = context._replace(run_k8s_config=context.run_k8s_config._replace(container_config=inherited))
    of_worker = UserDefinedDagsterK8sConfig.from_dict(k8s_config(worker))
    for layer in (get_user_defined_k8s_config(placement.pod_tags), of_worker):
        context = context.merge(K8sContainerContext(run_k8s_config=layer))
    if launcher is not None:
        config = context.get_k8s_job_config(image, launcher)
    else:
        config = DagsterK8sJobConfig(job_image=image, image_pull_policy="IfNotPresent")
    if not config.job_image and not context.run_k8s_config.container_config.get("image"):
        raise DeclarationError(
            f"no image is named for its pod in {placement.region.label}.",
            f"Set {placement.region.key}: image in the executor's configuration, or image of the worker.",
        )
    return construct_dagster_k8s_job(
        job_config=config,
        args=None if bare else command,
        job_name=name,
        pod_name=name,
        component="command" if bare else "step_worker",
        user_defined_k8s_config=context.run_k8s_config,
        labels=_labels(run, placement.step),
        env_vars=[] if bare else [{"name": key, "value": value} for key, value in environment.items()],
    )


def _without_dagster(job: dict[str, Any], pod: dict[str, Any], container: dict[str, Any]) -> None:
    """Take away what Dagster says of each of its own containers: network policies go by the label."""
    for metadata in (job, pod):
        metadata["labels"]["app.kubernetes.io/name"] = "practicus-command"
    container["env"] = [each for each in container["env"] if each["name"] != "DAGSTER_HOME"]


def _labels(run: dg.DagsterRun, step: str) -> dict[str, str]:
    labels = {"dagster/job": run.job_name, "dagster/op": step, RUN_LABEL: run.run_id}
    if run.remote_job_origin is not None:
        labels["dagster/code-location"] = run.remote_job_origin.location_name
    return labels


def _last_by(items: Sequence[dict[str, Any]], key: str) -> list[dict[str, Any]]:
    """Return items without those that a later one of the same name replaces: the worker comes last."""
    return list({each[key]: each for each in items}.values())
