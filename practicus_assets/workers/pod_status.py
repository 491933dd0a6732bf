"""What a pod says of itself: why it waits, and why it ended.

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
    WorkerRejected,
    WorkerTimedOut,
)
from practicus_assets.workers.manifest import CONTAINER

# reasons for which a container waits, and will wait for ever
_REJECTED = {
    "InvalidImageName",
    "ErrImageNeverPull",
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
    "StartError",
}
_IMAGE_PULL = {"ErrImagePull", "ImagePullBackOff", "RegistryUnavailable"}
_MAY_PASS = re.compile(
    r"time?out|too many requests|\b(429|50[0234])\b|reset by peer|\bEOF\b|temporar", re.IGNORECASE
)
# reasons for which a pod was ended from outside (PodStatus.reason, and the condition DisruptionTarget)
_LOST = {
    "Evicted",
    "Preempted",
    "Preempting",
    "NodeLost",
    "NodeAffinity",
    "NodeShutdown",
    "Shutdown",
    "Terminated",
    "UnexpectedAdmissionError",
    "OutOfcpu",
    "OutOfmemory",
    "OutOfpods",
}
_OOM = "OOMKilled"
_PEAK = re.compile(r"peak_memory_bytes=(\d+)")
SIGKILL_EXIT = 137


@dataclass(frozen=True)
class End:
    """How a pod ended before its step did.

    Attributes:
        error: the class of the failure, with what was found.
        exit_code: of the step's container; None if it has none.
        node: on which it ran; empty if on none.
        peak_memory: bytes; None if unknown.
        started: whether the step's container ran.

    """

    error: WorkerFailed
    exit_code: int | None
    node: str
    peak_memory: int | None
    started: bool


def end(pod: Mapping[str, Any]) -> End | None:
    """Return how a pod ended, or that it can never start; None while it may still do its work.

    A pod that succeeded has ended too: whether its step reported that is for the caller to know.
    """
    status, spec = pod.get("status") or {}, pod.get("spec") or {}
    container = _container(status)
    terminated = (container.get("state") or {}).get("terminated") or {}
    exit_code = terminated.get("exitCode")
    error = _error(pod, terminated)
    if error is None:
        return None
    peak = _PEAK.search(terminated.get("message") or "")
    return End(
        error=error,
        exit_code=exit_code,
        node=spec.get("nodeName") or "",
        peak_memory=int(peak[1]) if peak else None,
        started="running" in (container.get("state") or {}) or bool(terminated),
    )


def _error(pod: Mapping[str, Any], terminated: Mapping[str, Any]) -> WorkerFailed | None:
    status = pod.get("status") or {}
    phase, reason = status.get("phase"), status.get("reason") or ""
    disrupted = _disruption(status) or ("it was deleted" if pod["metadata"].get("deletionTimestamp") else "")
    if terminated.get("reason") == _OOM:
        return WorkerOutOfMemory(
            f"its container was killed for memory, of which it may have {_memory_of(pod)}.",
            "Give the worker more memory, or a memory_limit up to which retries may grow.",
        )
    if reason == "DeadlineExceeded":
        limit = (pod.get("spec") or {}).get("activeDeadlineSeconds")
        return WorkerTimedOut(f"it ran longer than its time_limit of {limit} s.", "Raise time_limit.")
    if reason in _LOST or disrupted:
        why = disrupted or f"{reason}: {status.get('message') or 'no message'}"
        return WorkerLost(f"its pod was taken away ({why}).")
    if phase in {"Failed", "Succeeded"} or terminated:
        code = terminated.get("exitCode")
        signal = f" (signal {code - 128})" if code is not None and code > 128 else ""  # noqa: PLR2004 shells' rule
        said = terminated.get("reason") or reason or phase
        return WorkerCrashed(
            f"its process ended with exit code {code}{signal}, {said}, before it reported the step's result.",
            "Its last log lines are below.",
        )
    return _rejection(status)


def _rejection(status: Mapping[str, Any]) -> WorkerRejected | None:
    for name, state in _waiting(status):
        why, message = state.get("reason") or "", state.get("message") or ""
        if why in _REJECTED or (why in _IMAGE_PULL and not _MAY_PASS.search(message)):
            return WorkerRejected(
                f"container {name} cannot start ({why}: {message or 'no message'}).",
                "Mend the worker's image or configuration.",
            )
    return None


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


def has_started(pod: Mapping[str, Any]) -> bool:
    """Whether the step's container has been running."""
    state = _container(pod.get("status") or {}).get("state") or {}
    return "running" in state or "terminated" in state


def _container(status: Mapping[str, Any]) -> Mapping[str, Any]:
    each: Mapping[str, Any]
    for each in status.get("containerStatuses") or ():
        if each["name"] == CONTAINER:
            return each
    return {}


def _waiting(status: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for each in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())):
        waiting = (each.get("state") or {}).get("waiting")
        if waiting:
            yield each["name"], waiting


def _disruption(status: Mapping[str, Any]) -> str:
    for condition in status.get("conditions") or ():
        if condition["type"] == "DisruptionTarget" and condition["status"] == "True":
            return f"{condition.get('reason')}: {condition.get('message')}"
    return ""


def _memory_of(pod: Mapping[str, Any]) -> str:
    for each in (pod.get("spec") or {}).get("containers") or ():
        if each["name"] == CONTAINER:
            return str(((each.get("resources") or {}).get("limits") or {}).get("memory", "an unknown amount"))
    return "an unknown amount"
