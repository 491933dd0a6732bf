"""Earlier work: pods of earlier attempts at a task, or of runs that a run re-executes, that go on."""

from collections.abc import Sequence
from typing import Any

import dagster as dg

from practicus_assets.errors import WorkerRejected
from practicus_assets.workers.kubernetes import pod_status
from practicus_assets.workers.kubernetes.cluster import Cluster
from practicus_assets.workers.kubernetes.earlier_attempts import how_to_end
from practicus_assets.workers.request.manifest import RUN_LABEL

_ENDS_ALONE_S = 120.0  # for a pod whose step has reported its end, and which stays to look inside
_RUNS = 100  # of one selector, the newest ones


class EarlierWork:
    """What earlier attempts and runs left at work.

    Args:
        run: the run that may re-execute others.
        instance: where runs are recorded.

    """

    def __init__(self, run: dg.DagsterRun, instance: dg.DagsterInstance) -> None:
        self._runs = _ended_before(run, instance)
        self._asked: set[str] = set()
        self._over: set[str] = set()  # regions in which the runs have nothing at work

    def obstacle(self, cluster: Cluster, attempts: Sequence[str], waited_s: float) -> str:
        """Ask what is at work in a region to end, and return what has not; empty if all has.

        Args:
            cluster: the region's API server.
            attempts: the names of the Jobs of earlier attempts that are to end, too.
            waited_s: for how many seconds that was waited for.

        Raises:
            WorkerRejected: if it was too long.

        """
        left = _at_work(cluster, f"job-name in ({','.join(attempts)})") if attempts else []
        if left:
            return self._obstacle(
                cluster, left, "an earlier attempt", waited_s, is_to_end=waited_s > _ENDS_ALONE_S
            )
        if not self._runs or cluster.region.name in self._over:
            return ""
        runs = f"{RUN_LABEL} in ({','.join(self._runs)})"
        left = _at_work(cluster, f"{runs},app.kubernetes.io/component!=run_worker,job-name")
        if not left:
            self._over.add(cluster.region.name)
            return ""
        found = " and ".join(sorted({pod["metadata"]["labels"][RUN_LABEL] for pod in left}))
        whose = f"the run {found}, which this run re-executes,"
        return self._obstacle(cluster, left, whose, waited_s, is_to_end=True)

    def _obstacle(
        self,
        cluster: Cluster,
        left: Sequence[dict[str, Any]],
        whose: str,
        waited_s: float,
        *,
        is_to_end: bool,
    ) -> str:
        jobs = {pod["metadata"]["labels"]["job-name"] for pod in left} if is_to_end else set()
        for job in jobs - self._asked:
            cluster.delete_job(job)
            self._asked.add(job)
        names = [pod["metadata"]["name"] for pod in left]
        problem = f"{', '.join(names)} of {whose} has not ended."
        if waited_s > pod_status.PATIENCE_S + max(map(_grace_s, left)):
            raise WorkerRejected(problem, how_to_end(cluster, ("describe", "pod", *names), left))
        return problem


def _ended_before(run: dg.DagsterRun, instance: dg.DagsterInstance) -> list[str]:
    """Return the runs that a run re-executes, one by way of the other, if they have ended."""
    ended: list[str] = []
    while run.parent_run_id is not None and len(ended) < _RUNS:
        parent = instance.get_run_by_id(run.parent_run_id)
        if parent is None:
            break
        if parent.is_finished:
            ended.append(parent.run_id)
        run = parent
    return ended


def _at_work(cluster: Cluster, selector: str) -> list[dict[str, Any]]:
    return [pod for pod in cluster.pods(selector) if pod_status.is_at_work(pod)]


def _grace_s(pod: dict[str, Any]) -> float:
    return float(pod["metadata"].get("deletionGracePeriodSeconds") or 0)
