"""The run that a run re-executes: pods of its steps may be at work still, where its own pod died."""

from typing import Any

import dagster as dg

from practicus_assets.errors import WorkerRejected
from practicus_assets.workers.kubernetes import pod_status
from practicus_assets.workers.kubernetes.cluster import Cluster
from practicus_assets.workers.kubernetes.earlier_attempts import how_to_end
from practicus_assets.workers.request.manifest import RUN_LABEL


class EarlierRun:
    """What the run before left at work.

    Args:
        run: the run that may re-execute one.
        instance: where runs are recorded.

    """

    def __init__(self, run: dg.DagsterRun, instance: dg.DagsterInstance) -> None:
        earlier = instance.get_run_by_id(run.parent_run_id) if run.parent_run_id is not None else None
        self._run_id = earlier.run_id if earlier is not None and earlier.is_finished else None
        self._asked: set[str] = set()
        self._over: set[str] = set()  # regions

    def obstacle(self, cluster: Cluster, waited_s: float) -> str:
        """Ask what is at work in a region to end, and return what has not; empty if all has.

        Args:
            cluster: the region's API server.
            waited_s: for how many seconds that was waited for.

        Raises:
            WorkerRejected: if it was too long.

        """
        if self._run_id is None or cluster.region.name in self._over:
            return ""
        selector = f"{RUN_LABEL}={self._run_id},app.kubernetes.io/component!=run_worker,job-name"
        left = [pod for pod in cluster.pods(selector) if pod_status.is_at_work(pod)]
        if not left:
            self._over.add(cluster.region.name)
            return ""
        for job in {pod["metadata"]["labels"]["job-name"] for pod in left} - self._asked:
            cluster.delete_job(job)
            self._asked.add(job)
        names = [pod["metadata"]["name"] for pod in left]
        problem = f"{', '.join(names)} of the run {self._run_id}, which this run re-executes, has not ended."
        if waited_s > pod_status.PATIENCE_S + max(map(_grace_s, left)):
            raise WorkerRejected(problem, how_to_end(cluster, ("describe", "pod", *names), left))
        return problem


def _grace_s(pod: dict[str, Any]) -> float:
    return float(pod["metadata"].get("deletionGracePeriodSeconds") or 0)
