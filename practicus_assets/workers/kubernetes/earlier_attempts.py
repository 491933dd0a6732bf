"""Earlier attempts at a step that starts a command: they end before the command begins."""

import sys
import time
from collections.abc import Sequence
from typing import Any

from practicus_assets.errors import WorkerRejected
from practicus_assets.workers.kubernetes import pod_status
from practicus_assets.workers.kubernetes.answered import answered
from practicus_assets.workers.kubernetes.cluster import Cluster

_LOOK_S = 1.0


class EarlierAttempts:
    """What earlier attempts at a step may have left at work.

    Args:
        cluster: where this process runs.
        step: the name of the Job of this attempt's step.
        command: the name of the Job of this attempt's command.
        attempt: the number of this attempt, from 1; the names end with it.
        grace_s: how many seconds a command has to end that is asked to.

    """

    def __init__(self, cluster: Cluster, step: str, command: str, attempt: int, grace_s: float) -> None:
        self._cluster = cluster
        self._steps, self._commands = (
            [f"{name.removesuffix(str(attempt))}{number}" for number in range(1, attempt)]
            for name in (step, command)
        )
        self._command = command
        self._patience_s = pod_status.PATIENCE_S + grace_s
        self._until = 0.0

    def end(self) -> None:
        """End their commands, and return once none is at work: a command is not to run twice at a time.

        Raises:
            WorkerRejected: if a pod of theirs does not end, or the API server refuses.

        """
        self._until = time.monotonic() + self._patience_s
        for step in self._steps:  # which may live, as where its node is cut off, and start its command late
            self._wait(step)
        for command in self._commands:
            job = self._job(command)
            if job is not None and not pod_status.is_job_over(job):  # else it stays, to look inside
                self._delete(command)
            self._wait(command)
        if self._job(self._command) is not None:  # of another pod of this attempt
            self._delete(self._command)
        self._wait(self._command, is_to_be_gone=True)  # also where that pod has deleted the Job itself

    def _job(self, name: str) -> dict[str, Any] | None:
        return answered(self._cluster, lambda: self._cluster.job(name))

    def _delete(self, job: str) -> None:
        answered(self._cluster, lambda: self._cluster.delete_job(job))
        while self._job(job) is not None:
            self._pause([], job)

    def _wait(self, job: str, *, is_to_be_gone: bool = False) -> None:
        """Wait until no pod of a Job is at work, which is so for a grace period after the Job is gone."""
        told = False
        while True:
            pods = answered(self._cluster, lambda: self._cluster.pods(f"job-name={job}"))
            left = [pod for pod in pods if is_to_be_gone or pod_status.is_at_work(pod)]
            if not left:
                return
            if not told:
                sys.stderr.write(f"This attempt waits for an earlier one to end: {_shown(left)}.\n")
                told = True
            self._pause(left, job)

    def _pause(self, left: Sequence[dict[str, Any]], job: str) -> None:
        if time.monotonic() > self._until:
            raise WorkerRejected(
                f"an earlier attempt of the Job {job} does not end: {_shown(left) or 'it is not deleted'}.",
                how_to_end(self._cluster, ("get", "pods", "-l", f"job-name={job}"), left),
            )
        time.sleep(_LOOK_S)


def how_to_end(cluster: Cluster, look: Sequence[str], pods: Sequence[dict[str, Any]]) -> str:
    """Return what a person can do about pods that do not end.

    Args:
        cluster: where they are.
        look: the words for kubectl that show what keeps them.
        pods: the pods, as manifests; none if it is a Job that stays.

    """
    names = [pod["metadata"]["name"] for pod in pods]
    force = f". If its node is off for good: {cluster.kubectl('delete', 'pod', *names, '--force')}"
    return f"See what keeps it: {cluster.kubectl(*look)}" + (force if names else "")


def _shown(pods: Sequence[dict[str, Any]]) -> str:
    return ", ".join(
        f"the pod {pod['metadata']['name']} is {(pod.get('status') or {}).get('phase')} on the node "
        f"{(pod.get('spec') or {}).get('nodeName')}"
        for pod in pods
    )
