"""The pod of a step's command, in any image: the step starts it, passes its output on, and reads its end.

The step is a pod itself, and owns the command's Job: a step that is gone takes its command with it. How a
pod ended that was killed, lost or refused is for the executor to say: the step ends without a word then.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from kubernetes.client.exceptions import ApiException

from practicus_assets.errors import WorkerCrashed
from practicus_assets.workers.kubernetes import pod_status
from practicus_assets.workers.kubernetes.answered import answered, own_pod
from practicus_assets.workers.kubernetes.cluster import Cluster
from practicus_assets.workers.kubernetes.command_log import CommandLog
from practicus_assets.workers.kubernetes.earlier_attempts import EarlierAttempts
from practicus_assets.workers.kubernetes.refusal import UNREACHABLE
from practicus_assets.workers.launch import variables
from practicus_assets.workers.placement.region import Region, own_namespace
from practicus_assets.workers.request.manifest import RUN_LABEL, job_name

SILENT = 70  # the exit code of a step that leaves it to its command's pod to say how the attempt ended
_LOOK_S = 1.0
_NO_POD_S = 30.0  # after which a Job without a pod is asked for


def command_job_name(step: str, run_id: str, attempt: int) -> str:
    """Return the name of the Job of a step's command."""
    return job_name(f"{step}\0command", run_id, attempt)


class CommandPod:
    """The pod of a step's command.

    Args:
        job: its Job, as the executor made it; the command's words and variables are not in it yet.
        cluster: where this process runs.
        owner: the pod of this process.
        earlier: the attempts before this one.

    """

    def __init__(
        self, job: Mapping[str, Any], cluster: Cluster, owner: Mapping[str, str], earlier: EarlierAttempts
    ) -> None:
        self._job = dict(job)
        self._name: str = job["metadata"]["name"]
        self._cluster = cluster
        self._owner = owner
        self._earlier = earlier

    @classmethod
    def of_this_step(cls) -> "CommandPod":
        """Return the pod of the command of the step that this process runs.

        Raises:
            WorkerRejected: if this process does not find its own pod.

        """
        job = json.loads(os.environ[variables.COMMAND_JOB])
        cluster = Cluster(Region(), own_namespace() or "default")
        owner = own_pod(cluster, "that of its command", "the pod_spec of the executor's default")
        attempt = int(os.environ[variables.ATTEMPT])
        labels = job["metadata"]["labels"]
        step = job_name(os.environ[variables.STEP], labels[RUN_LABEL], attempt)
        grace_s = job["spec"]["template"]["spec"].get("terminationGracePeriodSeconds") or 0
        earlier = EarlierAttempts(cluster, step, job["metadata"]["name"], attempt, grace_s)
        return cls(job, cluster, owner, earlier)

    def run(
        self, command: Sequence[str], environment: Mapping[str, str], pass_on: Callable[[bytes], object]
    ) -> int:
        """Run the command to its end, and return its exit code.

        If the pod ends in another way, this process ends, with the exit code `SILENT`.

        Args:
            command: the program and its arguments.
            environment: variables by name, beside those of the worker.
            pass_on: takes the command's output as it comes.

        Raises:
            WorkerRejected: if the API server refuses the Job, or the pod of an earlier attempt does not end.

        """
        self._earlier.end()
        job = with_command(self._job, command, environment)
        job["metadata"]["ownerReferences"] = [dict(self._owner)]
        log = CommandLog(self._cluster, pass_on)
        try:
            answered(self._cluster, lambda: self._cluster.create_job(job))
            pod = self._ended(log)
        except BaseException:  # a step that fails leaves its pod, and so would not take its command with it
            with suppress(ApiException, *UNREACHABLE):
                self._cluster.delete_job(self._name)
            raise
        log.finish()
        if pod is not None and pod_status.is_held(pod):  # by a sidecar, which does not end by itself
            answered(self._cluster, lambda: self._cluster.delete_job(self._name))
        end = pod_status.end(pod, pod_status.PATIENCE_S + 1) if pod is not None else None
        if end is None or type(end.error) is not WorkerCrashed or end.exit_code is None:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(SILENT)
        return end.exit_code

    def _ended(self, log: CommandLog) -> dict[str, Any] | None:
        """Wait for the pod to end, and return it; None if it is gone, or never came."""
        seen, blocked, since = "", None, time.monotonic()
        while True:
            pods = answered(self._cluster, lambda: self._cluster.pods(f"job-name={self._name}"))
            pod = next((each for each in pods if seen in {"", each["metadata"]["uid"]}), None)
            if pod is None:
                late = time.monotonic() - since > _NO_POD_S
                if seen or (late and self._has_none()):
                    return None
            else:
                seen = pod["metadata"]["uid"]
                blocked = (blocked or time.monotonic()) if pod_status.is_blocked(pod) else None
                blocked_s = time.monotonic() - blocked if blocked is not None else 0
                if pod_status.has_started(pod):
                    log.begin(pod["metadata"]["name"])
                if pod_status.end(pod, blocked_s) is not None:
                    return pod
            time.sleep(_LOOK_S)

    def _has_none(self) -> bool:
        """Whether the Job is gone, or has failed before it had a pod."""
        job = answered(self._cluster, lambda: self._cluster.job(self._name))
        return job is None or pod_status.is_job_over(job)


def with_command(
    job: Mapping[str, Any], command: Sequence[str], environment: Mapping[str, str]
) -> dict[str, Any]:
    """Return a Job whose container runs a command.

    Args:
        job: the Job, as a manifest.
        command: the program and its arguments; where the container has a startup script, its arguments.
        environment: variables by name. Kubernetes replaces `$(NAME)` in them and in the command, unless told.

    """
    made: dict[str, Any] = json.loads(json.dumps(job))
    container = made["spec"]["template"]["spec"]["containers"][0]
    container["args" if container.get("command") else "command"] = [literal(word) for word in command]
    own = [{"name": name, "value": literal(value)} for name, value in environment.items()]
    kept = [each for each in container.get("env", ()) if each["name"] not in environment]
    container["env"] = [*kept, *own]
    return made


def literal(text: str) -> str:
    """Return a text as a manifest has it where Kubernetes would replace `$(NAME)`."""
    return text.replace("$", "$$")
