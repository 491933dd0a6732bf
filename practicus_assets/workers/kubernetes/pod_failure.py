"""The failure of an attempt whose pod ended before it was done, with what helps to look inside."""

import re
from collections.abc import Callable, Mapping
from typing import Any

import dagster as dg

from practicus_assets.errors import WorkerFailed, WorkerLost, WorkerOutOfMemory, WorkerRejected
from practicus_assets.workers.kubernetes.cluster import Cluster
from practicus_assets.workers.kubernetes.pod_status import End
from practicus_assets.workers.launch.handler import Failure
from practicus_assets.workers.placement.placement import Placement

NO_POD_S = 10.0  # after which a Job without a pod is asked why
_REFUSED = re.compile(r"FailedCreate: .*(forbidden|invalid)", re.IGNORECASE)


def without_pod(cluster: Cluster, name: str, warning: Callable[[], str]) -> WorkerFailed | None:
    """Return why a Job whose pod never came will have none; None while it may still come.

    Args:
        cluster: where the Job is.
        name: the Job's name.
        warning: returns the newest warning about it; empty if there is none.

    """
    job = cluster.job(name)
    if job is None:
        return WorkerLost(f"its Job {name} was deleted.")
    conditions = (job.get("status") or {}).get("conditions") or ()
    if any(each["type"] == "Failed" and each["status"] == "True" for each in conditions):
        return WorkerLost("its pod was deleted.")
    why = warning()
    if _REFUSED.search(why) and "exceeded quota" not in why:
        return WorkerRejected(
            f"the cluster refuses its pod. {why.rstrip('.')}.",
            "Correct its worker, or create what it names; practicus-assets worker prints the Job.",
        )
    return None


def failure_of(cluster: Cluster, placement: Placement, pod: Mapping[str, Any], end: End) -> Failure:
    """Return the failure of an attempt, by how its pod ended.

    Args:
        cluster: where the pod is.
        placement: the worker that it got.
        pod: as a manifest.
        end: how it ended.

    """
    name = pod["metadata"]["name"]
    captured = placement.worker.capture_logs is not False
    log = cluster.log_tail(name, end.container) if end.started and captured else ""
    metadata: dict[str, Any] = {
        "Pod": name,
        "Kubernetes Namespace": cluster.namespace,
        "Node": end.node or "none",
    }
    if end.exit_code is not None:
        metadata["Exit code"] = end.exit_code
    if end.peak_memory is not None:
        metadata["Peak memory"] = f"{end.peak_memory / 2**20:.0f}Mi"
    if log:
        metadata["Last log lines"] = dg.MetadataValue.md(f"```\n{log}\n```")
    if end.started:
        looks = (
            cluster.kubectl("logs", name),
            cluster.kubectl("describe", "pod", name),
            cluster.kubectl("debug", name, "-it", f"--copy-to={name}-debug", "--", "sh"),
        )
        metadata["Look inside"] = dg.MetadataValue.md("\n".join(f"    {line}" for line in looks))
    grown = placement.next_memory
    if isinstance(end.error, WorkerOutOfMemory):
        if grown is not None:
            end.error.advice = f"The next attempt gets {grown}."
        elif (limit := placement.worker.memory_limit) is not None:
            end.error.advice = f"Raise memory_limit of its worker, which is {limit} and is reached."
    return Failure(end.error, may_grow=grown is not None, metadata=metadata, log=log)
