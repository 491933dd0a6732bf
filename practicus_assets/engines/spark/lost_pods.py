"""Lost pods of an engine's workers: what the engine says of them, and what the cluster does."""

import re
from collections.abc import Mapping
from typing import Any

# of Rust's and tonic's errors, and of Sail's driver; a query may have columns with such words
_LOST = re.compile(
    r"connection (?:reset|refused|closed|aborted|error\b)|error trying to connect|tcp connect error|"
    r"h2 protocol error|transport error|broken pipe|for lost worker|"
    r"(?:worker (?:heartbeat|registration)|task scheduling) timeout",
    re.IGNORECASE,
)


def is_of_connection(said: str) -> bool:
    """Return whether an engine says that a connection, or one of its workers, is lost."""
    return _LOST.search(said) is not None


def has_ended(pod: Mapping[str, Any]) -> bool:
    """Return whether a pod did all of its work, as one that was idle for long; it may go at any time."""
    return (pod.get("status") or {}).get("phase") == "Succeeded" and not pod["metadata"].get(
        "deletionTimestamp"
    )


def trouble_of(pod: Mapping[str, Any], *, waiting: bool) -> str:
    """Return how a pod failed, or if asked what it waits for or who takes it away; empty if it does well."""
    from practicus_assets.workers.kubernetes import pod_status  # noqa: PLC0415 only of pods

    status = pod.get("status") or {}
    for container in status.get("containerStatuses") or ():
        ended = (container.get("state") or {}).get("terminated")
        if ended is not None and ended.get("exitCode"):
            return f"ended with exit code {ended['exitCode']}, {ended.get('reason')}"
    if status.get("phase") == "Failed":
        return f"failed: {status.get('reason')}: {status.get('message')}"
    if waiting and pod["metadata"].get("deletionTimestamp"):
        end = pod_status.end(pod)
        return end.error.problem.removeprefix("its pod ").rstrip(".") if end is not None else "was deleted"
    end = pod_status.end(pod) if pod_status.is_blocked(pod) else None
    waits = pod_status.obstacle(pod) if waiting or end is not None else ""
    return f"waits: {waits}" if waits else ""
