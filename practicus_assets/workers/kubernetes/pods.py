"""Pods: workers on a cluster, one Job an attempt, read before they are judged."""

import contextlib
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import dagster as dg
from dagster._core.events import EngineEventData
from kubernetes.client.exceptions import ApiException

from practicus_assets.errors import WorkerLost, WorkerOutOfMemory, WorkerRejected
from practicus_assets.instance.events import has_ended
from practicus_assets.workers.kubernetes import pod_status
from practicus_assets.workers.kubernetes.cluster import Cluster
from practicus_assets.workers.kubernetes.job import RUN_LABEL, step_job
from practicus_assets.workers.kubernetes.refusal import (
    UNREACHABLE,
    may_pass,
    message_of,
    refusal,
    refusals,
)
from practicus_assets.workers.launch.attempt import Attempt
from practicus_assets.workers.launch.handler import Failure, WorkerHandler
from practicus_assets.workers.placement.assignment import Assignment
from practicus_assets.workers.placement.configuration import Configuration
from practicus_assets.workers.placement.region import Region, own_namespace
from practicus_assets.workers.request.manifest import job_name

_PAGE_S = 0.9  # how long one look at a region's pods serves all steps
_NO_POD_S = 10.0  # after which a Job without a pod is asked why
_LEAVE_S = 10.0  # that a run's end waits for pods with sidecars
_REFUSED = re.compile(r"FailedCreate: .*(forbidden|invalid)", re.IGNORECASE)
_SLOW_START_S = 15.0  # after which a pod that has not started is asked why


@dataclass
class _StepPod:
    """What is known of a step's newest attempt."""

    run_id: str
    attempt: int
    job: str
    cluster: Cluster
    assignment: Assignment
    since: float = field(default_factory=time.monotonic)
    pod: str = ""  # its uid, once it was seen
    unmade: dict[str, Any] | None = None  # its Job, where the API server did not say that it made it
    blocked: float | None = None  # since when its pod waits for what does not come by itself
    has_sidecar: bool = False
    told: str = ""  # the last obstacle that was reported


class PodHandler(WorkerHandler):
    """Runs each step in a pod of its own."""

    def __init__(self, configuration: Configuration, launcher: Any) -> None:
        super().__init__(configuration)
        self._launcher = launcher
        self._clusters: dict[str, Cluster] = {}
        self._watched: dict[str, _StepPod] = {}
        self._pages: dict[str, tuple[float, dict[str, list[dict[str, Any]]]]] = {}
        self._unreachable: set[str] = set()
        self._owners: dict[bool, dict[str, str] | None] = {}

    @property
    def name(self) -> str:
        """How Dagster calls it in the run's log."""
        return "Kubernetes pods"

    def ended(self, step: str, *, succeeded: bool) -> None:
        """Let the pod of a step that succeeded go in minutes; others stay as long as their worker says."""
        super().ended(step, succeeded=succeeded)
        watch = self._watched.get(step)
        if watch is None or not succeeded:
            return
        try:
            watch.cluster.keep_job(watch.job, self.configuration.keep_succeeded_seconds)
        except (ApiException, *UNREACHABLE):
            return  # it then stays as long as a failed one

    def _launch(self, attempt: Attempt) -> Iterator[dg.DagsterEvent]:
        watch = self._watch(attempt)
        worker, cluster = watch.assignment.worker, watch.cluster
        owner = None
        if cluster.region.in_cluster and cluster.namespace == own_namespace():
            with refusals(cluster.region, cluster.namespace):
                owner = self._owner(resumed=attempt.instance.run_will_resume(attempt.run.run_id))
        job = step_job(
            watch.job,
            watch.assignment,
            attempt.run,
            environment=attempt.environment(worker, cluster.region.roots),
            launcher=self._launcher,
            owner=owner,
        )
        container = job["spec"]["template"]["spec"]["containers"][0]
        yield dg.DagsterEvent.step_worker_starting(
            attempt.step_context,
            f'Executing step "{attempt.step}" in Kubernetes job {watch.job}, attempt {attempt.number}.',
            {
                "Kubernetes Job name": watch.job,
                "Kubernetes Namespace": cluster.namespace,
                "Region": cluster.region.name or "default",
                "Image": container["image"],
                "Resources": dg.MetadataValue.json(container.get("resources", {})),
                "Watch": cluster.kubectl("logs", "--follow", f"job/{watch.job}"),
            },
        )
        watch.unmade = job
        self._make(watch)

    def _make(self, watch: _StepPod) -> None:
        """Create a step's Job, or leave it to the next look where the API server does not answer."""
        try:
            watch.cluster.create_job(watch.unmade)
        except ApiException as error:
            if not may_pass(error):
                raise refusal(watch.cluster.region, watch.cluster.namespace, error) from error
        except UNREACHABLE:
            return
        else:
            watch.unmade, watch.since = None, time.monotonic()

    def _look(self, attempt: Attempt) -> Failure | None:
        watch = self._watch(attempt)
        try:
            if watch.unmade is not None:
                self._make(watch)
            pods = self._page(attempt, watch.cluster).get(watch.job, [])
            failure = self._judged(attempt, watch, pods)
        except WorkerRejected as error:
            failure = Failure(error)
        except ApiException as error:  # the step may be well, and reports by itself
            self._tell_unreachable(attempt, watch.cluster, message_of(error))
            return None
        except UNREACHABLE as error:
            self._tell_unreachable(attempt, watch.cluster, str(error))
            return None
        self._unreachable.discard(watch.cluster.region.name)
        if failure is None or has_ended(attempt.instance, attempt.run.run_id, attempt.step, attempt.number):
            return None
        if isinstance(failure.error, WorkerLost | WorkerRejected):
            # a Job without its pod would start another one, and a pod that cannot start would wait for ever
            self._delete(attempt, watch)
        return failure

    def _terminate(self, attempt: Attempt) -> None:
        watch = self._watch(attempt)
        self._tell(attempt, f"Deleting Kubernetes job {watch.job}.")
        self._delete(attempt, watch)

    def _delete(self, attempt: Attempt, watch: _StepPod) -> None:
        try:
            watch.cluster.delete_job(watch.job)
        except (ApiException, *UNREACHABLE) as error:
            remove = watch.cluster.kubectl("delete", "job", watch.job)
            self._tell(attempt, f"The Job could not be deleted: {error}. Delete it with: {remove}")

    def _watch(self, attempt: Attempt) -> _StepPod:
        """Return what is known of an attempt, also if an earlier process of the run started it."""
        watch = self._watched.get(attempt.step)
        if watch is None or watch.attempt != attempt.number:
            assignment = attempt.assignment(self.configuration)
            name = job_name(attempt.step, attempt.run.run_id, attempt.number)
            cluster = self._cluster(assignment.region)
            watch = _StepPod(attempt.run.run_id, attempt.number, name, cluster, assignment)
            self._watched[attempt.step] = watch
        return watch

    def _cluster(self, region: Region) -> Cluster:
        if region.name not in self._clusters:
            self._clusters[region.name] = Cluster.of(region, self._launcher)
        return self._clusters[region.name]

    def _owner(self, *, resumed: bool) -> dict[str, str] | None:
        """Return the owner of Jobs: the run's pod, or where another pod may resume the run, the run's Job."""
        if resumed not in self._owners:
            home = self._cluster(self.configuration.home)
            self._owners[resumed] = home.run_job() if resumed else home.run_pod()
        return self._owners[resumed]

    def _page(self, attempt: Attempt, cluster: Cluster) -> dict[str, list[dict[str, Any]]]:
        """Return the run's pods in a region by their Job's name."""
        key = cluster.region.name
        when, found = self._pages.get(key, (0.0, {}))
        if time.monotonic() - when > _PAGE_S:
            found = self._listed(cluster, attempt.run.run_id)
            self._pages[key] = (time.monotonic(), found)
            self._release(found)
        return found

    def _listed(self, cluster: Cluster, run_id: str) -> dict[str, list[dict[str, Any]]]:
        found: dict[str, list[dict[str, Any]]] = {}
        for pod in cluster.pods(f"{RUN_LABEL}={run_id}"):
            found.setdefault(pod["metadata"]["labels"].get("job-name", ""), []).append(pod)
        return found

    def _release(self, pods: Mapping[str, list[dict[str, Any]]]) -> None:
        """Delete the Jobs of steps that have ended and that a sidecar keeps running."""
        for step in [each for each in self._watched if self.is_over(each)]:
            watch = self._watched[step]
            if any(map(pod_status.is_held, pods.get(watch.job, ()))):
                watch.cluster.delete_job(watch.job)
                del self._watched[step]

    def finish(self) -> None:
        """Wait a moment for sidecars' pods, and let them go."""
        until = time.monotonic() + _LEAVE_S
        while time.monotonic() < until:
            held = [w for step, w in self._watched.items() if w.has_sidecar and self.is_over(step)]
            if not held:
                return
            with contextlib.suppress(ApiException, *UNREACHABLE):
                for watch in held:
                    self._release(self._listed(watch.cluster, watch.run_id))
            time.sleep(_PAGE_S)

    def _judged(self, attempt: Attempt, watch: _StepPod, pods: list[dict[str, Any]]) -> Failure | None:
        if not watch.pod and pods:
            watch.pod = min(pods, key=lambda each: each["metadata"]["creationTimestamp"])["metadata"]["uid"]
        pod = next((each for each in pods if each["metadata"]["uid"] == watch.pod), None)
        if pod is None:
            return self._without_pod(attempt, watch)
        watch.has_sidecar = len(pod["spec"]["containers"]) > 1
        watch.blocked = (watch.blocked or time.monotonic()) if pod_status.is_blocked(pod) else None
        blocked_s = time.monotonic() - watch.blocked if watch.blocked is not None else 0
        end = pod_status.end(pod, blocked_s)
        if end is not None:
            return self._failure(watch, pod, end)
        self._tell_obstacle(attempt, watch, pod)
        return None

    def _without_pod(self, attempt: Attempt, watch: _StepPod) -> Failure | None:
        if watch.pod:
            return Failure(WorkerLost("its pod was deleted."))
        if time.monotonic() - watch.since < _NO_POD_S:
            return None
        job = watch.cluster.job(watch.job)
        if job is None:
            return Failure(WorkerLost(f"its Job {watch.job} was deleted."))
        conditions = (job.get("status") or {}).get("conditions") or ()
        if any(each["type"] == "Failed" and each["status"] == "True" for each in conditions):
            return Failure(WorkerLost("its pod was deleted."))
        warning = self._tell_warning(attempt, watch, "Job", watch.job)
        if _REFUSED.search(warning) and "exceeded quota" not in warning:
            return Failure(
                WorkerRejected(
                    f"the cluster refuses its pod. {warning.rstrip('.')}.",
                    "Correct its worker, or create what it names; practicus-assets worker prints the Job.",
                )
            )
        return None

    def _failure(self, watch: _StepPod, pod: dict[str, Any], end: pod_status.End) -> Failure:
        cluster, name = watch.cluster, pod["metadata"]["name"]
        captured = watch.assignment.worker.capture_logs is not False
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
            metadata["Look inside"] = dg.MetadataValue.md(
                "\n".join(
                    f"    {line}"
                    for line in (
                        cluster.kubectl("logs", name),
                        cluster.kubectl("describe", "pod", name),
                        cluster.kubectl("debug", name, "-it", f"--copy-to={name}-debug", "--", "sh"),
                    )
                )
            )
        grown = watch.assignment.next_memory
        if isinstance(end.error, WorkerOutOfMemory):
            if grown is not None:
                end.error.advice = f"The next attempt gets {grown}."
            elif (limit := watch.assignment.worker.memory_limit) is not None:
                end.error.advice = f"Raise memory_limit of its worker, which is {limit} and is reached."
        return Failure(end.error, may_grow=grown is not None, metadata=metadata, log=log)

    def _tell_obstacle(self, attempt: Attempt, watch: _StepPod, pod: dict[str, Any]) -> None:
        if pod_status.has_started(pod):
            return
        said = pod_status.obstacle(pod)
        if said:
            self._tell_waiting(attempt, watch, said)
        elif time.monotonic() - watch.since > _SLOW_START_S:
            self._tell_warning(attempt, watch, "Pod", pod["metadata"]["name"])

    def _tell_warning(self, attempt: Attempt, watch: _StepPod, kind: str, name: str) -> str:
        """Tell the newest warning about an object, and return it; empty if there is none."""
        warnings = watch.cluster.events(kind, name)
        if not warnings:
            return ""
        said = f"{warnings[-1].get('reason')}: {warnings[-1].get('message')}"
        self._tell_waiting(attempt, watch, said)
        return said

    def _tell_waiting(self, attempt: Attempt, watch: _StepPod, why: str) -> None:
        if why != watch.told:
            watch.told = why
            self._tell(attempt, f"The worker waits. {why}")

    def _tell_unreachable(self, attempt: Attempt, cluster: Cluster, why: str) -> None:
        if cluster.region.name not in self._unreachable:
            self._unreachable.add(cluster.region.name)
            self._tell(attempt, f"The API server of {cluster.region.label} does not answer: {why}")

    def _tell(self, attempt: Attempt, message: str) -> None:
        dg.DagsterEvent.engine_event(attempt.step_context, message, EngineEventData())
