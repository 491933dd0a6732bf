"""What a pod's status says: why it waits, and why it ended; and a Job's, whether it has.

The fields are those of the Kubernetes API (`PodStatus`); pods are manifests, as the API server gives them.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from practicus_assets.errors import (
    WorkerCrashed,
    WorkerFailed,
    WorkerLost,
    WorkerOutOfMemory,
    WorkerOutOfStorage,
    WorkerRejected,
    WorkerTimedOut,
)
from practicus_assets.workers.request.manifest import CONTAINER

# reasons for which a container waits that do not pass by themselves, unless what caused them does
_BLOCKED = {
    "InvalidImageName",
    "ErrImageNeverPull",
    "ErrImagePull",
    "ImagePullBackOff",
    "RegistryUnavailable",
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
}
_LASTING = re.compile(
    r"not found|no such image|not present|manifest unknown|does not exist|denied|forbidden|unauthorized|"
    r"authorization failed|invalid|non-root|runAsNonRoot|non-numeric|couldn't find key|no command|"
    r"executable file",
    re.IGNORECASE,
)
_AT_ONCE = {"InvalidImageName", "ErrImageNeverPull"}
_NOT_STARTED = {"StartError", "ContainerCannotRun"}  # of a container that has "ended" all the same
PATIENCE_S = 300.0  # for causes that may pass, and beyond their grace period for pods that are to end
# reasons for which a pod was ended from outside (PodStatus.reason; the kubelet's admission; DisruptionTarget)
_LOST = {
    "Evicted",
    "Preempted",
    "Preempting",
    "NodeLost",
    "NodeAffinity",
    "NodeName",
    "NodePorts",
    "NodeShutdown",
    "Shutdown",
    "TaintToleration",
    "Terminated",
    "TopologyAffinityError",
    "UnexpectedAdmissionError",
}
_LOST_CONTAINER = {"ContainerStatusUnknown", "Unknown"}  # its node was away when it ended
# messages of kubelet's eviction manager (pkg/kubelet/eviction), Kubernetes 1.20 to 1.36
_VOLUME_LIMIT = re.compile(r'Usage of EmptyDir volume "([^"]+)" exceeds the limit "([^"]+)"')
_CONTAINER_LIMIT = re.compile(
    r'Container (\S+) exceeded its local ephemeral storage limit "([^"]+)"|'
    r"Pod ephemeral local storage usage exceeds the total limit of containers (\w+)"
)
_OVER_REQUEST = re.compile(
    rf"The node was low on resource: ([-\w]+)\. .*\bContainer {CONTAINER} was using [^,]+, (request is|which)"
)
_OOM = "OOMKilled"
_PEAK = re.compile(r"peak_memory_bytes=(\d+)")


@dataclass(frozen=True)
class End:
    """How a pod ended before its step did.

    Attributes:
        error: the class of the failure, with what was found.
        container: the one that it is about.
        exit_code: of that container; None if it has none.
        node: on which the pod ran; empty if on none.
        peak_memory: bytes; None if unknown.
        started: whether that container ran.

    """

    error: WorkerFailed
    container: str
    exit_code: int | None
    node: str
    peak_memory: int | None
    started: bool


def end(pod: Mapping[str, Any], blocked_s: float = 0) -> End | None:
    """Return how a pod ended, or that it can never start; None while it may still do its work.

    A pod that succeeded has ended too: whether its step reported that is for the caller to know.

    Args:
        pod: as a manifest.
        blocked_s: for how many seconds `is_blocked` has held of it.

    """
    status, spec = pod.get("status") or {}, pod.get("spec") or {}
    container = _ended_container(pod)
    terminated = (container.get("state") or {}).get("terminated") or {}
    error = _out_of_storage(pod) or _error(pod, container, terminated) or _rejection(status, blocked_s)
    if error is None:
        return None
    peak = _PEAK.search(terminated.get("message") or "")
    return End(
        error=error,
        container=container.get("name") or CONTAINER,
        exit_code=terminated.get("exitCode"),
        node=spec.get("nodeName") or "",
        peak_memory=int(peak[1]) if peak else None,
        started="running" in (container.get("state") or {}) or bool(terminated),
    )


def _error(
    pod: Mapping[str, Any], container: Mapping[str, Any], terminated: Mapping[str, Any]
) -> WorkerFailed | None:
    status = pod.get("status") or {}
    ended = terminated.get("reason") or ""
    lost = _loss(pod, ended)
    if ended == _OOM:
        return WorkerOutOfMemory(
            f"its container was killed for memory, of which it may have {_memory_of(pod)}.",
            "Give the worker more memory, or a memory_limit up to which retries may grow.",
        )
    if status.get("reason") == "DeadlineExceeded":
        limit = (pod.get("spec") or {}).get("activeDeadlineSeconds")
        return WorkerTimedOut(
            f"it ran longer than its time_limit_seconds, which is {limit}.", "Raise time_limit_seconds."
        )
    if lost:
        starved = _OVER_REQUEST.search(lost)
        return WorkerLost(
            f"its pod was taken away ({lost}).",
            f"It used more {starved[1]} than it reserves, so it goes first: reserve more." if starved else "",
        )
    if ended in _NOT_STARTED:
        return WorkerRejected(
            f"container {container['name']} cannot start ({ended}: {terminated.get('message') or '?'}).",
            "Correct the worker's image or command.",
        )
    if terminated or status.get("phase") in {"Failed", "Succeeded"}:
        return _crash(status, container, terminated)
    return None


def _out_of_storage(pod: Mapping[str, Any]) -> WorkerOutOfStorage | None:
    """Return that a pod was evicted because it passed a limit of its own for local disk; None if it was not.

    Its node had disk left: another attempt would end the same way.
    """
    status = pod.get("status") or {}
    message = status.get("message") or "" if status.get("reason") == "Evicted" else ""
    if volume := _VOLUME_LIMIT.search(message):
        path = _mount_path(pod, volume[1])
        return WorkerOutOfStorage(
            f"its pod was evicted: the emptyDir volume at {path} holds more than its limit of {volume[2]}.",
            f"Raise sizeLimit of the volume at {path}, or write less there.",
        )
    if own := _CONTAINER_LIMIT.search(message):
        container, limit = own[1] or CONTAINER, own[2] or own[3]
        raised = "ephemeral_storage" if container == CONTAINER else f"the limit of container {container}"
        return WorkerOutOfStorage(
            f"its pod was evicted: it used more local disk than its limit of {limit}. "
            "Files in /tmp and the log of the container count.",
            f"Raise {raised} of its worker, or write less.",
        )
    return None


def _mount_path(pod: Mapping[str, Any], volume: str) -> str:
    for container in (pod.get("spec") or {}).get("containers") or ():
        for mount in container.get("volumeMounts") or ():
            if mount["name"] == volume:
                return str(mount["mountPath"])
    return volume


def _loss(pod: Mapping[str, Any], ended: str) -> str:
    """Return why a pod was taken away from outside; empty if it was not."""
    status = pod.get("status") or {}
    reason = status.get("reason") or ""
    disrupted = _disruption(status)
    if disrupted:
        return disrupted
    if reason in _LOST or reason.startswith("OutOf"):
        return f"{reason}: {(status.get('message') or 'no message').strip()}"
    if ended in _LOST_CONTAINER:
        return f"{ended}: its node was away when it ended"
    return "it was deleted" if pod["metadata"].get("deletionTimestamp") else ""


def _crash(
    status: Mapping[str, Any], container: Mapping[str, Any], terminated: Mapping[str, Any]
) -> WorkerCrashed:
    code = terminated.get("exitCode")
    signal = f" (signal {code - 128})" if code is not None and code > 128 else ""  # noqa: PLR2004 shells' rule
    reason = terminated.get("reason") or status.get("reason") or status.get("phase")
    name = container.get("name")
    whose = "its process" if name in {None, CONTAINER} else f"container {name}"
    return WorkerCrashed(
        f"{whose} ended with exit code {code}{signal}, {reason}, before it reported the step's result.",
        "Its last log lines are below.",
    )


def _rejection(status: Mapping[str, Any], blocked_s: float) -> WorkerRejected | None:
    for name, state in _waiting(status):
        why, message = state.get("reason") or "", state.get("message") or ""
        lasts = why in _AT_ONCE or _LASTING.search(message) or blocked_s > PATIENCE_S
        if why in _BLOCKED and lasts:
            return WorkerRejected(
                f"container {name} cannot start ({why}: {message or 'no message'}).",
                "Correct the worker's image or configuration.",
            )
    return None


def is_blocked(pod: Mapping[str, Any]) -> bool:
    """Whether a container is stuck in a state that needs intervention, such as an image that is not there."""
    return any(state.get("reason") in _BLOCKED for _, state in _waiting(pod.get("status") or {}))


def is_over(pod: Mapping[str, Any]) -> bool:
    """Whether a pod has ended by itself, and stays to look inside."""
    return (pod.get("status") or {}).get("phase") in {"Succeeded", "Failed"}


def is_held(pod: Mapping[str, Any]) -> bool:
    """Whether a pod whose step has ended goes on because of a sidecar."""
    status = pod.get("status") or {}
    return status.get("phase") == "Running" and "terminated" in (_container(status).get("state") or {})


def is_at_work(pod: Mapping[str, Any]) -> bool:
    """Whether the step of a pod may still do something, as far as the API server knows."""
    return not (is_over(pod) or is_held(pod))


def is_job_over(job: Mapping[str, Any]) -> bool:
    """Whether a Job has ended."""
    conditions = (job.get("status") or {}).get("conditions") or ()
    return any(each["type"] in {"Complete", "Failed"} and each["status"] == "True" for each in conditions)


def obstacle(pod: Mapping[str, Any]) -> str:
    """Return what a pod waits for that may still come; empty if it is on its way."""
    status = pod.get("status") or {}
    for condition in status.get("conditions") or ():
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return f"{condition.get('reason')}: {condition.get('message')}"
    for name, state in _waiting(status):
        if state.get("reason") not in {None, "ContainerCreating", "PodInitializing"}:
            return f"container {name}: {state['reason']}: {state.get('message') or 'no message'}"
    return ""


def last_word(pod: Mapping[str, Any]) -> str:
    """Return the termination message of the step's container; empty while it runs."""
    terminated = (_container(pod.get("status") or {}).get("state") or {}).get("terminated") or {}
    return str(terminated.get("message") or "")


def has_started(pod: Mapping[str, Any]) -> bool:
    """Whether the step's container has been running."""
    state = _container(pod.get("status") or {}).get("state") or {}
    return "running" in state or "terminated" in state


def _container(status: Mapping[str, Any]) -> Mapping[str, Any]:
    container: Mapping[str, Any]
    for container in status.get("containerStatuses") or ():
        if container["name"] == CONTAINER:
            return container
    return {}


def _ended_container(pod: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the step's container, or the init container that failed before it."""
    status, spec = pod.get("status") or {}, pod.get("spec") or {}
    if not has_started(pod):
        # Kubernetes starts an init container anew that is a sidecar (Container.restartPolicy)
        sidecars = [c["name"] for c in spec.get("initContainers") or () if c.get("restartPolicy") == "Always"]
        container: Mapping[str, Any]
        for container in status.get("initContainerStatuses") or ():
            failed = ((container.get("state") or {}).get("terminated") or {}).get("exitCode")
            if failed and container["name"] not in sidecars:
                return container
    return _container(status)


def _waiting(status: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for container in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())):
        waiting = (container.get("state") or {}).get("waiting")
        if waiting:
            yield container["name"], waiting


def _disruption(status: Mapping[str, Any]) -> str:
    for condition in status.get("conditions") or ():
        if condition["type"] == "DisruptionTarget" and condition["status"] == "True":
            return f"{condition.get('reason')}: {condition.get('message')}"
    return ""


def _memory_of(pod: Mapping[str, Any]) -> str:
    for container in (pod.get("spec") or {}).get("containers") or ():
        if container["name"] == CONTAINER:
            return str(
                ((container.get("resources") or {}).get("limits") or {}).get("memory", "an unknown amount")
            )
    return "an unknown amount"
