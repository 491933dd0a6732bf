"""The Job of one attempt at a step, as a manifest."""

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg
import kubernetes
from dagster_k8s import DagsterK8sJobConfig, K8sRunLauncher, construct_dagster_k8s_job
from dagster_k8s.container_context import K8sContainerContext
from dagster_k8s.job import UserDefinedDagsterK8sConfig, get_user_defined_k8s_config

from practicus_assets.errors import DeclarationError
from practicus_assets.workers.request.manifest import k8s_config
from practicus_assets.workers.request.worker import Worker

COMMAND = ("python", "-m", "practicus_assets.workers.launch.entrypoint", "api", "execute_step")
_RESOURCES = ("cpu", "cpu_limit", "memory", "memory_limit", "ephemeral_storage", "gpu")
RUN_LABEL = "dagster/run-id"


def step_job(
    name: str,
    worker: Worker,
    run: dg.DagsterRun,
    *,
    step: str,
    environment: Mapping[str, str],
    image: str | None,
    launcher: Any,
    tags: Mapping[str, str] | None = None,
    owner: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return the Job in which a step runs.

    It begins with what the instance's `K8sRunLauncher` and the code location's container context give
    to every run, as with Dagster's `k8s_job_executor`; the worker is laid over that.

    Args:
        name: of the Job.
        worker: what the pod asks for, its size resolved.
        run: to which the step belongs.
        step: the step's key.
        environment: variables of the step's process.
        image: the code location's; the worker's own goes before it.
        launcher: the instance's run launcher, if it is a `K8sRunLauncher`.
        tags: of the step; its own `dagster-k8s/config`, if it has one, is below the worker.
        owner: an owner reference; the Job is deleted with its owner.

    Raises:
        DeclarationError: if no image is named anywhere.

    """
    launcher = launcher if isinstance(launcher, K8sRunLauncher) else None
    asked = UserDefinedDagsterK8sConfig.from_dict(k8s_config(worker))
    context = K8sContainerContext.create_for_run(run, launcher, include_run_tags=False)
    if any(getattr(worker, field) is not None for field in _RESOURCES):
        # those of the small pod that only starts steps would bound a worker that asks for its own
        inherited = {k: v for k, v in context.run_k8s_config.container_config.items() if k != "resources"}
        context = context._replace(run_k8s_config=context.run_k8s_config._replace(container_config=inherited))
    own = get_user_defined_k8s_config(tags or {})
    context = context.merge(K8sContainerContext(run_k8s_config=own))
    context = context.merge(K8sContainerContext(run_k8s_config=asked))
    if launcher is not None:
        config = context.get_k8s_job_config(image, launcher)
    else:
        config = DagsterK8sJobConfig(job_image=image, image_pull_policy="IfNotPresent")
    if not worker.image and not config.job_image:
        raise DeclarationError(
            "no image is named for its pod.",
            "Set kubernetes: image in the executor's configuration, or image of the worker.",
        )
    job = construct_dagster_k8s_job(
        job_config=config,
        args=COMMAND,
        job_name=name,
        pod_name=name,
        component="step_worker",
        user_defined_k8s_config=context.run_k8s_config,
        labels=_labels(run, step),
        env_vars=[{"name": key, "value": value} for key, value in environment.items()],
    )
    manifest: dict[str, Any] = kubernetes.client.ApiClient().sanitize_for_serialization(job)
    if owner is not None:
        manifest["metadata"]["ownerReferences"] = [dict(owner)]
    pod = manifest["spec"]["template"]["spec"]
    pod["volumes"] = _last_by(pod.get("volumes", ()), "name")
    for container in pod["containers"]:
        for key, unique in (("env", "name"), ("volumeMounts", "mountPath")):
            if key in container:
                container[key] = _last_by(container[key], unique)
    return manifest


def _labels(run: dg.DagsterRun, step: str) -> dict[str, str]:
    found = {"dagster/job": run.job_name, "dagster/op": step, RUN_LABEL: run.run_id}
    if run.remote_job_origin is not None:
        found["dagster/code-location"] = run.remote_job_origin.location_name
    return found


def _last_by(items: Sequence[dict[str, Any]], key: str) -> list[dict[str, Any]]:
    """Return items without those that a later one of the same name replaces: the worker comes last."""
    return list({each[key]: each for each in items}.values())
