"""Runs each attempt as a Kubernetes Job, and reads the pod's status to classify failures."""

import contextlib
import json
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import dagster as dg
from dagster._core.events import EngineEventData
from kubernetes.client.exceptions import ApiException

from practicus_assets.errors import WorkerLost, WorkerRejected
from practicus_assets.instance.events import has_ended
from practicus_assets.workers.kubernetes import pod_status
from practicus_assets.workers.kubernetes.cluster import Cluster
from practicus_assets.workers.kubernetes.command_pod import SILENT, command_job_name
from practicus_assets.workers.kubernetes.earlier_work import EarlierWork
from practicus_assets.workers.kubernetes.engine_pod import engine_environment
from practicus_assets.workers.kubernetes.job import step_job
from practicus_assets.workers.kubernetes.pod_failure import NO_POD_S, failure_of, without_pod
from practicus_assets.workers.kubernetes.refusal import UNREACHABLE, may_pass, message_of, refusal, refusals
from practicus_assets.workers.kubernetes.split_jobs import SPLITS_LABEL, SplitJobs, end_splits
from practicus_assets.workers.kubernetes.starting_account import StartingAccount
from practicus_assets.workers.launch import usage, variables
from practicus_assets.workers.launch.attempt import Attempt
from practicus_assets.workers.launch.handler import Failure, WorkerHandler
from practicus_assets.workers.placement.configuration import Configuration
from practicus_assets.workers.placement.placement import Placement
from practicus_assets.workers.placement.region import Region, own_namespace
from practicus_assets.workers.request.manifest import RUN_LABEL, job_name

_PAGE_S = 0.9  # how long one look at a region's pods serves all steps
_LEAVE_S = 10.0  # that a run's end waits for pods with sidecars
_SLOW_START_S = 15.0  # after which a pod that has not started is asked why


@dataclass
class _StepPod:
    """The pod of a step's newest attempt, as far as it was seen."""

    run_id: str
    attempt: int
    job: str
    cluster: Cluster
    placement: Placement
    since: float = field(default_factory=time.monotonic)
    pod: str = ""  # its uid, once it was seen
    unmade: dict[str, Any] | None = None  # its Job, where the API server did not say that it made it
    blocked: float | None = None  # when its pod became stuck (e.g. bad image)
    has_sidecar: bool = False
    obstacle: str = ""  # the last one that was reported
    command: str = ""  # the Job that the step starts for its command, where that has a pod of its own

    @property
    def jobs(self) -> list[str]:
        return [self.job, self.command] if self.command else [self.job]


class PodHandler(WorkerHandler):
    """Runs each step in a pod of its own."""

    def __init__(self, configuration: Configuration, launcher: Any) -> None:
        super().__init__(configuration)
        self._launcher = launcher
        self._clusters: dict[str, Cluster] = {}
        self._step_pods: dict[str, _StepPod] = {}
        self._pages: dict[str, tuple[float, dict[str, list[dict[str, Any]]]]] = {}
        self._unreachable: set[str] = set()
        self._earlier: EarlierWork | None = None
        self._owners: dict[bool, dict[str, str] | None] = {}

    @property
    def name(self) -> str:
        """The backend's name in the run's log."""
        return "Kubernetes pods"

    def ended(self, step: str, *, succeeded: bool) -> None:
        """Let the pod of a step that succeeded go in minutes; others stay as long as their worker says."""
        super().ended(step, succeeded=succeeded)
        step_pod = self._step_pods.get(step)
        if step_pod is None or not succeeded:
            return
        try:
            for job in step_pod.jobs:
                step_pod.cluster.keep_job(job, self.configuration.keep_succeeded_seconds)
        except (ApiException, *UNREACHABLE):
            return  # it then stays as long as a failed one

    def _launch(self, attempt: Attempt) -> Iterator[dg.DagsterEvent]:
        step_pod = self._step_pod(attempt)
        worker, cluster = step_pod.placement.worker, step_pod.cluster
        owner = None
        if cluster.region.in_cluster and cluster.namespace == own_namespace():
            with refusals(cluster.region, cluster.namespace):
                owner = self._owner(resumed=attempt.instance.run_will_resume(attempt.run.run_id))
        environment = attempt.environment(worker, cluster.region.roots)
        environment |= engine_environment(step_pod.placement, attempt.run, self._launcher)
        command = self._command_job(attempt, step_pod)
        if command is not None:
            environment[variables.COMMAND_JOB] = json.dumps(command)
        if step_pod.placement.splits is not None:
            environment |= self._splits(attempt, step_pod).environment
        job = step_job(
            step_pod.job,
            step_pod.placement.starter or step_pod.placement,
            attempt.run,
            environment=environment,
            launcher=self._launcher,
            owner=owner,
        )
        container = (command or job)["spec"]["template"]["spec"]["containers"][0]
        if command is None and step_pod.placement.splits is None:  # else it only starts what does the work
            asked = usage.of_container(attempt.run.run_id, attempt.step, container)
            container["env"] += [{"name": name, "value": value} for name, value in asked.items()]
        yield dg.DagsterEvent.step_worker_starting(
            attempt.step_context,
            f'Executing step "{attempt.step}" in Kubernetes job {step_pod.job}, attempt {attempt.number}.',
            {
                "Kubernetes Job name": step_pod.job,
                "Kubernetes Namespace": cluster.namespace,
                "Region": cluster.region.name or "default",
                "Image": container["image"],
                "Resources": dg.MetadataValue.json(container.get("resources", {})),
                "Follow": cluster.kubectl("logs", "--follow", f"job/{step_pod.jobs[-1]}"),
            },
        )
        step_pod.unmade = job
        self._make(attempt, step_pod)

    def _splits(self, attempt: Attempt, step_pod: _StepPod) -> SplitJobs:
        """Return what the step makes the Jobs of its splits of."""
        return SplitJobs.described(
            step_pod.placement,
            attempt.run,
            attempt=attempt.number,
            configuration=self.configuration,
            launcher=self._launcher,
        )

    def _command_job(self, attempt: Attempt, step_pod: _StepPod) -> dict[str, Any] | None:
        """Return the Job that the step starts for its command; None if it is to start none."""
        if not step_pod.command:
            return None
        StartingAccount.of(step_pod.placement)
        return step_job(
            step_pod.command, step_pod.placement, attempt.run, environment={}, launcher=self._launcher
        )

    def _make(self, attempt: Attempt, step_pod: _StepPod) -> None:
        """Create a step's Job, or leave it to the next look where that cannot be yet."""
        try:
            if self._waits_for_earlier(attempt, step_pod):
                return
            step_pod.cluster.create_job(step_pod.unmade)
        except ApiException as error:
            if not may_pass(error):
                raise refusal(step_pod.cluster.region, step_pod.cluster.namespace, error) from error
            self._tell_waiting(attempt, step_pod, message_of(error))
        except UNREACHABLE as error:
            self._tell_unreachable(attempt, step_pod.cluster, str(error))
        else:
            step_pod.unmade, step_pod.since = None, time.monotonic()

    def _waits_for_earlier(self, attempt: Attempt, step_pod: _StepPod) -> bool:
        """Whether a task has to wait for work before it; a table need not, for the fence is in its log."""
        self._earlier = self._earlier or EarlierWork(attempt.run, attempt.instance)
        is_task, waited_s = attempt.is_task, time.monotonic() - step_pod.since
        numbers = range(1, attempt.number) if is_task else ()
        attempts = [job_name(attempt.step, attempt.run.run_id, each) for each in numbers]
        obstacle = self._earlier.obstacle(step_pod.cluster, attempts, waited_s if is_task else 0)
        if obstacle and is_task:
            self._tell_waiting(attempt, step_pod, obstacle)
        return bool(obstacle) and is_task

    def _look(self, attempt: Attempt) -> Failure | None:
        step_pod = self._step_pod(attempt)
        try:
            if step_pod.unmade is not None:
                self._make(attempt, step_pod)
            if step_pod.unmade is not None:
                return None
            page = self._page(attempt, step_pod.cluster)
            failure = self._judged(attempt, step_pod, page.get(step_pod.job, []), page)
        except WorkerRejected as error:
            failure = Failure(error)
        except ApiException as error:  # the step may be well, and reports by itself
            self._tell_unreachable(attempt, step_pod.cluster, message_of(error))
            return None
        except UNREACHABLE as error:
            self._tell_unreachable(attempt, step_pod.cluster, str(error))
            return None
        self._unreachable.discard(step_pod.cluster.region.name)
        if failure is None or has_ended(attempt.instance, attempt.run.run_id, attempt.step, attempt.number):
            return None
        # a failed pod stays to look inside, and owns those of its splits
        if step_pod.placement.splits is not None:
            end_splits(step_pod.cluster, attempt.step, attempt.run.run_id)
        if isinstance(failure.error, WorkerLost | WorkerRejected):
            # a Job without its pod would start another one, and a pod that cannot start would wait for ever
            self._delete(attempt, step_pod.cluster, step_pod.jobs)
        elif not any(map(pod_status.is_over, page.get(step_pod.command, ()))):
            # the step's own pod failed, which does not end its command
            self._delete(attempt, step_pod.cluster, step_pod.jobs[1:])
        return failure

    def _terminate(self, attempt: Attempt) -> None:
        step_pod = self._step_pod(attempt)
        self._tell(attempt, f"Deleting Kubernetes job {step_pod.job}.")
        self._delete(attempt, step_pod.cluster, step_pod.jobs)

    def _delete(self, attempt: Attempt, cluster: Cluster, jobs: Sequence[str]) -> None:
        for job in jobs:
            try:
                cluster.delete_job(job)
            except (ApiException, *UNREACHABLE) as error:
                remove = cluster.kubectl("delete", "job", job)
                self._tell(attempt, f"The Job could not be deleted: {error}. Delete it with: {remove}")

    def _step_pod(self, attempt: Attempt) -> _StepPod:
        """Return the pod of an attempt, also if an earlier process of the run started it."""
        step_pod = self._step_pods.get(attempt.step)
        if step_pod is None or step_pod.attempt != attempt.number:
            placement = attempt.placement(self.configuration)
            name = job_name(attempt.step, attempt.run.run_id, attempt.number)
            cluster = self._cluster(placement.region)
            step_pod = _StepPod(attempt.run.run_id, attempt.number, name, cluster, placement)
            if placement.starter is not None:
                step_pod.command = command_job_name(attempt.step, attempt.run.run_id, attempt.number)
            self._step_pods[attempt.step] = step_pod
        return step_pod

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
        listed_at, pods = self._pages.get(key, (0.0, {}))
        if time.monotonic() - listed_at > _PAGE_S:
            pods = self._listed(cluster, attempt.run.run_id)
            self._pages[key] = (time.monotonic(), pods)
            self._release(pods)
        return pods

    def _listed(self, cluster: Cluster, run_id: str) -> dict[str, list[dict[str, Any]]]:
        by_job: dict[str, list[dict[str, Any]]] = {}
        for pod in cluster.pods(f"{RUN_LABEL}={run_id},!{SPLITS_LABEL}"):
            by_job.setdefault(pod["metadata"]["labels"].get("job-name", ""), []).append(pod)
        return by_job

    def _release(self, pods: Mapping[str, list[dict[str, Any]]]) -> None:
        """Delete the Jobs of steps that have ended and that a sidecar keeps running."""
        for step in [each for each in self._step_pods if self.is_over(each)]:
            step_pod = self._step_pods[step]
            if any(map(pod_status.is_held, pods.get(step_pod.job, ()))):
                step_pod.cluster.delete_job(step_pod.job)
                del self._step_pods[step]

    def finish(self) -> None:
        """Wait a moment for sidecars' pods, and let them go."""
        until = time.monotonic() + _LEAVE_S
        while time.monotonic() < until:
            held = [one for step, one in self._step_pods.items() if one.has_sidecar and self.is_over(step)]
            if not held:
                return
            with contextlib.suppress(ApiException, *UNREACHABLE):
                for step_pod in held:
                    self._release(self._listed(step_pod.cluster, step_pod.run_id))
            time.sleep(_PAGE_S)

    def _judged(
        self,
        attempt: Attempt,
        step_pod: _StepPod,
        pods: list[dict[str, Any]],
        page: Mapping[str, list[dict[str, Any]]],
    ) -> Failure | None:
        if not step_pod.pod and pods:
            step_pod.pod = min(pods, key=lambda each: each["metadata"]["creationTimestamp"])["metadata"][
                "uid"
            ]
        pod = next((each for each in pods if each["metadata"]["uid"] == step_pod.pod), None)
        if pod is None:
            return self._without_pod(attempt, step_pod)
        step_pod.has_sidecar = len(pod["spec"]["containers"]) > 1
        step_pod.blocked = (step_pod.blocked or time.monotonic()) if pod_status.is_blocked(pod) else None
        blocked_s = time.monotonic() - step_pod.blocked if step_pod.blocked is not None else 0
        end = pod_status.end(pod, blocked_s)
        commands = page.get(step_pod.command, [])
        if end is not None and step_pod.command and end.exit_code == SILENT:
            return self._of_command_pod(step_pod, commands)
        if end is not None:
            return failure_of(step_pod.cluster, step_pod.placement, pod, end)
        for each in (pod, *commands):
            self._tell_obstacle(attempt, step_pod, each)
        return None

    def _of_command_pod(self, step_pod: _StepPod, commands: list[dict[str, Any]]) -> Failure:
        """Return how the pod of a step's command ended, where its step leaves that to it."""
        for pod in commands:
            end = pod_status.end(pod, math.inf)
            if end is not None:
                return failure_of(step_pod.cluster, step_pod.placement, pod, end)
        return Failure(WorkerLost("the pod of its command was deleted."))

    def _without_pod(self, attempt: Attempt, step_pod: _StepPod) -> Failure | None:
        if step_pod.pod:
            return Failure(WorkerLost("its pod was deleted."))
        if time.monotonic() - step_pod.since < NO_POD_S:
            return None
        cluster, job = step_pod.cluster, step_pod.job
        error = without_pod(cluster, job, lambda: self._tell_warning(attempt, step_pod, "Job", job))
        return Failure(error) if error is not None else None

    def _tell_obstacle(self, attempt: Attempt, step_pod: _StepPod, pod: dict[str, Any]) -> None:
        if pod_status.has_started(pod):
            return
        obstacle = pod_status.obstacle(pod)
        if obstacle:
            self._tell_waiting(attempt, step_pod, obstacle)
        elif time.monotonic() - step_pod.since > _SLOW_START_S:
            self._tell_warning(attempt, step_pod, "Pod", pod["metadata"]["name"])

    def _tell_warning(self, attempt: Attempt, step_pod: _StepPod, kind: str, name: str) -> str:
        """Tell the newest warning about an object, and return it; empty if there is none."""
        warnings = step_pod.cluster.events(kind, name)
        if not warnings:
            return ""
        text = f"{warnings[-1].get('reason')}: {warnings[-1].get('message')}"
        self._tell_waiting(attempt, step_pod, text)
        return text

    def _tell_waiting(self, attempt: Attempt, step_pod: _StepPod, why: str) -> None:
        if why != step_pod.obstacle:
            step_pod.obstacle = why
            self._tell(attempt, f"The worker waits. {why}")

    def _tell_unreachable(self, attempt: Attempt, cluster: Cluster, why: str) -> None:
        if cluster.region.name not in self._unreachable:
            self._unreachable.add(cluster.region.name)
            self._tell(attempt, f"The API server of {cluster.region.label} does not answer: {why}")

    def _tell(self, attempt: Attempt, message: str) -> None:
        dg.DagsterEvent.engine_event(attempt.step_context, message, EngineEventData())
