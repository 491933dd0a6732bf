"""Manifests: the pod that a worker asks for, in the terms of `dagster-k8s/config`, and the Job around it."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from practicus_assets.workers.request.worker import Worker

CONTAINER = "dagster"
RUN_LABEL = "dagster/run-id"  # as Dagster labels the pods of a run
GPU_RESOURCE = "nvidia.com/gpu"
_SCRATCH = "scratch"
_TMP = "/tmp"  # noqa: S108 an empty volume of the pod's own

# Pod Security Standards, "Restricted", and a root file system that nobody writes to
_POD_SECURITY = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
_CONTAINER_SECURITY = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "privileged": False,
    "readOnlyRootFilesystem": True,
}


def k8s_config(worker: Worker) -> dict[str, Any]:
    """Return the pod that a worker asks for, as the tag `dagster-k8s/config` holds it.

    Args:
        worker: the worker, its size resolved. Its region and capture_logs do not concern the pod.

    """
    pod_spec = dict(worker.pod_spec or {})
    container, sidecars = _container(worker), []
    for extra in pod_spec.pop("containers", ()):
        if extra.get("name", CONTAINER) == CONTAINER:
            container = merged(container, extra)
        else:
            sidecars.append(extra)
    metadata = _given({"labels": worker.labels, "annotations": worker.annotations})
    kept = _given({"ttlSecondsAfterFinished": worker.keep_failed_seconds})
    return {
        "container_config": container,
        "pod_spec_config": merged(_pod(worker), {**pod_spec, **_given({"containers": sidecars})}),
        **_given({"pod_template_spec_metadata": metadata, "job_spec_config": kept}),
    }


def _pod(worker: Worker) -> dict[str, Any]:
    volumes = [{"name": name, **source} for name, _, source in _volumes(worker)]
    return {
        "automountServiceAccountToken": bool(worker.service_account_token),
        "securityContext": _POD_SECURITY,
        "volumes": [{"name": _SCRATCH, "emptyDir": {}}, *volumes],
        **_given(
            {
                "imagePullSecrets": [{"name": name} for name in worker.image_pull_secrets or ()],
                "serviceAccountName": worker.service_account,
                "nodeSelector": worker.node_selector,
                "tolerations": worker.tolerations,
                "affinity": worker.affinity,
                "priorityClassName": worker.priority_class,
                "activeDeadlineSeconds": worker.time_limit_seconds,
            }
        ),
    }


def _container(worker: Worker) -> dict[str, Any]:
    script = worker.startup_script
    mounts = [{"name": name, "mountPath": path} for name, path, _ in _volumes(worker)]
    variables = [{"name": name, "value": value} for name, value in (worker.env or {}).items()]
    return {
        "securityContext": _CONTAINER_SECURITY,
        "env": [{"name": "HOME", "value": _TMP}, *variables],
        "volumeMounts": [{"name": _SCRATCH, "mountPath": _TMP}, *mounts],
        **_given(
            {
                "resources": _resources(worker),
                "image": worker.image,
                "envFrom": [
                    *({"configMapRef": {"name": name}} for name in worker.config_maps or ()),
                    *({"secretRef": {"name": name}} for name in worker.secrets or ()),
                ],
                "command": ["/bin/sh", "-ec", f'{script}\nexec "$@"', "startup"] if script else None,
            }
        ),
    }


def _volumes(worker: Worker) -> list[tuple[str, str, Mapping[str, Any]]]:
    """Return name, path and source of each volume."""
    return [(f"volume-{i}", path, source) for i, (path, source) in enumerate((worker.volumes or {}).items())]


def _given(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value}


def _resources(worker: Worker) -> dict[str, dict[str, str]]:
    requests = {
        "cpu": worker.cpu,
        "memory": worker.memory,
        "ephemeral-storage": worker.ephemeral_storage,
    }
    limits = {
        "cpu": worker.cpu_limit,
        "memory": worker.memory or worker.memory_limit,
        "ephemeral-storage": worker.ephemeral_storage,
    }
    if worker.gpu:
        gpus = {worker.gpu_resource or GPU_RESOURCE: str(worker.gpu)}
        requests, limits = {**requests, **gpus}, {**limits, **gpus}
    return _given({"requests": _given(requests), "limits": _given(limits)})


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Lay one part of a manifest over another: mappings are merged, lists joined, other values replaced."""
    result = dict(below)
    for key, value in above.items():
        old = result.get(key)
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            result[key] = merged(old, value)
        elif isinstance(old, Sequence) and isinstance(value, Sequence) and not isinstance(value, str):
            result[key] = value if key in {"command", "args"} else [*old, *(e for e in value if e not in old)]
        else:
            result[key] = value
    return result


def job_name(step_key: str, run_id: str, attempt: int, owner: str = "") -> str:
    """Return a Job's name: readable, the same for the same attempt of one owner, and at most 63 characters.

    Pods get the Job's name and six characters more, so it is kept below 57.
    """
    step = re.sub(r"[^a-z0-9]+", "-", step_key.lower()).strip("-")[:30].rstrip("-") or "step"
    identity = "/".join(part for part in (run_id, step_key, owner) if part)
    digest = hashlib.sha256(identity.encode()).hexdigest()[:10]
    return f"{step}-{run_id[:8]}-{digest}-{attempt}"
