"""Pods of splits: each split in one of its own, some at a time, and again alone if its pod fails."""

import re
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from kubernetes.client.exceptions import ApiException

from practicus_assets.engines.answers import SplitFailed, refused, value_of
from practicus_assets.engines.processes import TRIES
from practicus_assets.engines.splits import Split
from practicus_assets.errors import (
    WorkerCrashed,
    WorkerFailed,
    WorkerLost,
    WorkerOutOfMemory,
    WorkerRejected,
    WorkerTimedOut,
)
from practicus_assets.workers.kubernetes import pod_status
from practicus_assets.workers.kubernetes.answered import answered, own_pod
from practicus_assets.workers.kubernetes.cluster import Cluster
from practicus_assets.workers.kubernetes.pod_failure import NO_POD_S, without_pod
from practicus_assets.workers.kubernetes.refusal import UNREACHABLE, may_pass, message_of, refusal
from practicus_assets.workers.kubernetes.split_jobs import SplitJobs, end_splits
from practicus_assets.workers.request.manifest import CONTAINER

AT_ONCE = 32
_LOOK_S = 1.0
_ANSWER = re.compile(r"answer_sha256=([0-9a-f]{64})")


class Post(Protocol):
    """Where pods find their work, and leave their answers."""

    def work(self, split: Split, name: str) -> str:
        """Return the text by which the pod of a Job of this name finds the work of a split."""

    def answer(self, name: str, digest: str) -> bytes | None:
        """Return the answer that the pod of a Job left; None if it is not there, or has another digest."""


@dataclass
class _Pod:
    """The pod of a split, as far as it was seen."""

    split: Split
    number: int = 1  # of the attempt
    out_of_memory: int = 0
    lost: int = 0
    crashed: int = 0
    job: str = ""
    since: float = 0.0
    uid: str = ""
    started: bool = False
    blocked: float | None = None
    name: str = ""

    def again(self) -> "_Pod":
        """Return the next attempt at the split, which has the counts of this one."""
        return _Pod(self.split, self.number + 1, self.out_of_memory, self.lost, self.crashed)

    def __str__(self) -> str:
        return f"{self.split}: its pod {self.name}" if self.uid else f"{self.split}: its Job {self.job}"


class SplitPods:
    """Runs splits in pods of their own, beside the pod of their step, which owns them.

    A split whose pod ran out of memory is run again alone with more, as far as its worker grows; one whose
    pod was lost, as often as a step; one whose process died, as often as one in a process.

    Args:
        jobs: what their Jobs are made of.
        cluster: where this process runs.
        post: what brings them their work.
        at_once: how many run at the same time.
        done: called with each split and what it returned, in the order of their ends.
        warn: takes texts on splits that wait, or run again.
        log: takes what a pod has written, once it has ended, unless its worker says that nobody is to.

    """

    def __init__(
        self,
        jobs: SplitJobs,
        cluster: Cluster,
        post: Post,
        *,
        at_once: int | None,
        done: Callable[[Split, Any], None],
        warn: Callable[[str], None],
        log: Callable[[str, str], None],
    ) -> None:
        self._jobs = jobs
        self._cluster = cluster
        self._post = post
        self._at_once = at_once or AT_ONCE
        self._done = done
        self._warn = warn
        self._log = log
        self._owner: Mapping[str, str] = {}
        self._running: dict[str, _Pod] = {}
        self._obstacle = ""
        self._moved = time.monotonic()  # when a pod started or ended last

    def run(self, splits: Sequence[Split]) -> None:
        """Run them all; whatever ends this ends their pods.

        Raises:
            SplitFailed: with the first error of a split.
            WorkerFailed: of the class of what happened to a pod, if that is not tried again.

        """
        jobs = self._jobs
        self._owner = own_pod(
            self._cluster, "those of its splits", "its pod, or the worker out of its splits"
        )
        end_splits(self._cluster, jobs.step, jobs.run_id)  # what an earlier attempt left running
        waiting = deque(_Pod(split) for split in splits)
        self._moved = time.monotonic()
        try:
            while waiting or self._running:
                while waiting and len(self._running) < self._at_once:
                    if not self._started(waiting[0]):
                        break
                    waiting.popleft()
                time.sleep(_LOOK_S)
                pods = self._pods()
                for pod in list(self._running.values()):
                    again = self._looked_at(pod, pods.get(pod.job, ()))
                    if again is not None:
                        waiting.appendleft(again)
                self._refuse_standstill()
        finally:
            self.end()

    def end(self) -> None:
        """Delete the Jobs that still run."""
        for job in list(self._running):
            self._delete(job)

    def _started(self, pod: _Pod) -> bool:
        """Make the Job of a split; return False where that may be possible later."""
        pod.job = self._jobs.name(pod.split.index, pod.number, self._owner)
        work = self._post.work(pod.split, pod.job)
        job = self._jobs.made(pod.job, work, self._owner, out_of_memory=pod.out_of_memory, lost=pod.lost)
        try:
            self._cluster.create_job(job)
        except ApiException as error:
            if not may_pass(error):
                raise refusal(self._cluster.region, self._cluster.namespace, error) from error
            self._tell_obstacle(message_of(error))
            return False
        except UNREACHABLE as error:
            self._tell_obstacle(str(error))
            return False
        pod.since = time.monotonic()
        self._running[pod.job] = pod
        return True

    def _pods(self) -> dict[str, list[dict[str, Any]]]:
        by_job: dict[str, list[dict[str, Any]]] = {}
        for pod in answered(self._cluster, lambda: self._cluster.pods(self._jobs.selector)):
            by_job.setdefault(pod["metadata"]["labels"].get("job-name", ""), []).append(pod)
        return by_job

    def _looked_at(self, pod: _Pod, manifests: Sequence[dict[str, Any]]) -> _Pod | None:
        """Take the answer of a split whose pod has ended, or return its next attempt."""
        manifest = next((m for m in manifests if pod.uid in {"", m["metadata"]["uid"]}), None)
        if manifest is None:
            error = self._without_pod(pod)
            return self._failed(pod, error, {}) if error is not None else None
        pod.uid, pod.name = manifest["metadata"]["uid"], manifest["metadata"]["name"]
        if pod_status.has_started(manifest) and not pod.started:
            pod.started, self._moved = True, time.monotonic()
        content = self._answer(pod, manifest)
        if content is not None:
            self._take(pod, content, manifest)
            return None
        pod.blocked = (pod.blocked or time.monotonic()) if pod_status.is_blocked(manifest) else None
        end = pod_status.end(manifest, time.monotonic() - pod.blocked if pod.blocked is not None else 0)
        if end is None:
            if not pod.started and (obstacle := pod_status.obstacle(manifest)):
                self._tell_obstacle(obstacle)
            return None
        if end.started:
            self._tell_log(pod, self._cluster.log_tail, end.container)
        return self._failed(pod, end.error, manifest)

    def _answer(self, pod: _Pod, manifest: Mapping[str, Any]) -> bytes | None:
        """Return the answer of a pod that has ended, if it said that it left one, or why it cannot."""
        word = pod_status.last_word(manifest)
        said = _ANSWER.search(word)
        return self._post.answer(pod.job, said[1]) if said is not None else refused(word, pod.split)

    def _take(self, pod: _Pod, content: bytes, manifest: Mapping[str, Any]) -> None:
        self._moved = time.monotonic()
        self._tell_log(pod, partial(self._cluster.log_tail, lines=None), CONTAINER)
        try:
            value = value_of(content)
        except SplitFailed as failed:
            self._leave(pod, manifest)
            failed.error.add_note(f"In its pod {pod.name}: {self._cluster.kubectl('logs', pod.name)}")
            raise
        self._delete(pod.job)
        self._done(pod.split, value)

    def _leave(self, pod: _Pod, manifest: Mapping[str, Any]) -> None:
        """Leave a failed pod to look inside, unless a sidecar, which does not end by itself, keeps it up."""
        if pod_status.is_held(manifest):
            self._delete(pod.job)
        else:
            del self._running[pod.job]

    def _failed(self, pod: _Pod, error: WorkerFailed, manifest: Mapping[str, Any]) -> _Pod:
        """Return the next attempt at a split whose pod ended without an answer.

        Raises:
            WorkerFailed: if there is none.

        """
        self._moved = time.monotonic()
        if isinstance(error, WorkerLost | WorkerRejected):
            self._delete(pod.job)  # a Job without its pod would start another one
        else:
            self._leave(pod, manifest)
        again, how = pod.again(), ""
        memory = self._jobs.memory(pod.out_of_memory + 1)
        if isinstance(error, WorkerOutOfMemory) and memory is not None:
            again.out_of_memory += 1
            how = f" with {memory}"
        elif isinstance(error, WorkerLost) and pod.lost < self._jobs.lost_retries:
            again.lost += 1
        elif isinstance(error, WorkerCrashed) and pod.crashed + 1 < TRIES:
            again.crashed += 1
        else:
            raise self._explained(pod, error)
        self._warn(f"{pod}, attempt {pod.number}: {error.problem} It runs again alone{how}")
        return again

    def _explained(self, pod: _Pod, error: WorkerFailed) -> WorkerFailed:
        """Return the error that ends the step, with what to do about it."""
        advice = error.advice
        if isinstance(error, WorkerOutOfMemory):
            advice = (
                "Give the worker of its splits more memory, or a memory_limit to grow to; or cut more splits."
            )
        elif isinstance(error, WorkerLost):
            used_up = f"kubernetes: lost_retries, {self._jobs.lost_retries}, is used up"
            advice = f"{used_up}: find out why they get lost, or raise it."
        elif isinstance(error, WorkerCrashed):
            advice = (
                f"Its last log lines are in the step's log; all: {self._cluster.kubectl('logs', pod.name)}"
            )
        return type(error)(f"{pod}, attempt {pod.number}: {error.problem}", advice)

    def _without_pod(self, pod: _Pod) -> WorkerFailed | None:
        """Return why a Job has no pod; None while it may still come."""
        if pod.uid:
            return WorkerLost("it was deleted.")
        if time.monotonic() - pod.since < NO_POD_S:
            return None
        cluster = self._cluster
        return answered(cluster, lambda: without_pod(cluster, pod.job, lambda: self._warning(pod.job)))

    def _warning(self, job: str) -> str:
        """Tell the newest warning about a Job, and return it; empty if there is none."""
        try:
            warnings = self._cluster.events("Job", job)
        except (ApiException, *UNREACHABLE):  # the account need not have the right
            return ""
        if not warnings:
            return ""
        why = f"{warnings[-1].get('reason')}: {warnings[-1].get('message')}"
        self._tell_obstacle(why)
        return why

    def _refuse_standstill(self) -> None:
        """Raise WorkerTimedOut if no pod has run for too long."""
        limit = self._jobs.start_seconds
        if any(pod.started for pod in self._running.values()) or time.monotonic() - self._moved < limit:
            return
        names = ", ".join(str(pod) for pod in list(self._running.values())[:2]) or "its splits: their Jobs"
        raise WorkerTimedOut(
            f"{names}: no pod of its splits has run for {limit:.0f} s. "
            f"{(self._obstacle or 'Nothing says why').rstrip('.')}.",
            "Ask for less in the worker of its splits, make room for it, or raise "
            "kubernetes: split_start_seconds in the executor's configuration.",
        )

    def _tell_obstacle(self, why: str) -> None:
        if why != self._obstacle:
            self._obstacle = why
            self._warn(f"the pods of splits wait. {why}")

    def _tell_log(self, pod: _Pod, log: Callable[..., str], container: str) -> None:
        if self._jobs.captures_logs:
            self._log(str(pod), log(pod.name, container))

    def _delete(self, job: str) -> None:
        self._running.pop(job, None)
        try:
            self._cluster.delete_job(job)
        except (ApiException, *UNREACHABLE) as error:
            remove = self._cluster.kubectl("delete", "job", job)
            self._warn(f"a Job could not be deleted: {error}. Delete it with: {remove}")
