"""The workers of a Sail server: parts of its process, or pods that it starts beside the step's."""

import json
import math
import os
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any

from practicus_assets.engines.limits import cores
from practicus_assets.engines.spark.lost_pods import has_ended, is_of_connection, trouble_of
from practicus_assets.errors import DeclarationError, EngineFailed
from practicus_assets.lake.delta.snapshot import Snapshot
from practicus_assets.lake.layers.listed_files import listed_files
from practicus_assets.redaction import is_secret, may_be_secret
from practicus_assets.workers.launch import variables
from practicus_assets.workers.placement.region import Region, own_namespace
from practicus_assets.workers.request.manifest import CONTAINER
from practicus_assets.workers.request.quantity import amount

if TYPE_CHECKING:
    from practicus_assets.workers.kubernetes.cluster import Cluster

PROGRAM = ("python", "-P", "-m", "practicus_assets.engines.spark.pod_program")
REACH = "PRACTICUS_ENGINE_REACH"  # of a worker's pod: the names of variables that are storage options
OWNER_LABEL = "practicus/engine-of"  # of a worker's pod: the pod of its step
_CONTAINER = "worker"  # as Sail names it, which lays what it knows itself below the template
_START_S = {True: 600, False: 60}  # a node may have to be added for a pod
_IDLE_S = 600  # after which a worker without work ends
_GRACE_S = 5
_DIVIDED = 10 << 20  # bytes from which Sail has several tasks read the files of a partition
_LOOK_S = 2.0
_REFUSED = re.compile(r"failed to start worker \d+: (.{1,300})")
_STATUS_S = 20.0  # that a cluster may take to say how a pod ended


class SailWorkers:
    """The workers of a Sail server.

    Args:
        count: how many, at most: Sail starts them when a query has work for them.
        inputs: what the queries read.
        reach: the variables by which a server reaches the stores of tables.

    Attributes:
        in_pods: whether they are pods; else they are parts of the server's process.

    """

    def __init__(
        self, count: int, inputs: Iterable[Any] = (), reach: Mapping[str, str] | None = None
    ) -> None:
        self._count = count
        self._inputs = list(inputs)
        self._reach = reach or {}
        text = os.environ.get(variables.ENGINE_POD)
        self._template: dict[str, Any] | None = json.loads(text) if text else None
        self._over = threading.Event()
        self._trouble = ""
        self._seen: set[str] = set()  # pods that did not end well; all until they end
        self._watch: threading.Thread | None = None
        self.in_pods = self._template is not None

    def settings(self) -> dict[str, str]:
        """Return the variables of the environment that configure the server.

        Raises:
            DeclarationError: if pods would not know how to reach a store.
            EngineFailed: if the API server refuses to say where this pod is, or does not answer.

        """
        tasks = self._count * self._cores if self.in_pods else max(self._count, self._cores)
        # Sail runs all tasks of a query at once or none, and fills one worker before it gives to the next
        slots = math.ceil(max(tasks, sum(_tasks_of(value, tasks) for value in self._inputs)) / self._count)
        cluster = {
            "WORKER_INITIAL_COUNT": 0,  # these would not be counted among the most that there may be
            "WORKER_MAX_COUNT": self._count,
            "WORKER_TASK_SLOTS": slots,
            "WORKER_MAX_IDLE_TIME_SECS": _IDLE_S,
            "WORKER_LAUNCH_TIMEOUT_SECS": _START_S[self.in_pods],
            "TASK_LAUNCH_TIMEOUT_SECS": _START_S[self.in_pods],
            "WORKER_HEARTBEAT_INTERVAL_SECS": 5,
            "WORKER_HEARTBEAT_TIMEOUT_SECS": 60,
            # a task that is tried again writes its rows again, beside those of the attempt that failed
            "TASK_MAX_ATTEMPTS": 1,
        }
        settings = {f"SAIL_CLUSTER__{name}": str(value) for name, value in cluster.items()}
        settings |= {"SAIL_MODE": "local-cluster", "SAIL_EXECUTION__DEFAULT_PARALLELISM": str(tasks)}
        return settings | self._of_pods() if self.in_pods else settings

    def watch(self, said: Callable[[], str], give_up: Callable[[], None]) -> None:
        """Look at the pods until `end`, and give up on the server once one fails, or cannot be started.

        Sail waits long for pods that failed before they reported, and goes on with others in the place of
        those that failed later.

        Args:
            said: returns what the server said of what went wrong.
            give_up: ends the server.

        """

        def look() -> None:
            while not self._over.wait(_LOOK_S):
                refused = _REFUSED.search(said())
                cause = f"it cannot start a pod: {refused[1]}" if refused else ""
                if found := cause or self._failed(waiting=False):
                    self._trouble = found
                    give_up()
                    return

        if self.in_pods:
            self._watch = threading.Thread(target=look, daemon=True)
            self._watch.start()

    def end(self) -> None:
        """Delete the pods that are left, if the API server lets us; without a server they end anyway."""
        self._over.set()
        if self._watch is not None:
            self._watch.join()
        if self.in_pods:
            with suppress(EngineFailed), _answers():
                self._cluster.delete_pods(self._selector)

    def trouble(self, said: str) -> str:
        """Return what is wrong with pods, as a phrase; empty if nothing is known to be.

        Args:
            said: what the server said of a query that failed; of a connection that is lost, the cluster is
                given a while to say how the pod ended.

        """
        until = time.monotonic() + (_STATUS_S if is_of_connection(said) else 0)
        while self.in_pods and not self._trouble:
            if found := self._failed(waiting=True):
                self._trouble = found
            elif time.monotonic() > until:
                break
            else:
                time.sleep(0.5)
        return self._trouble

    def _failed(self, *, waiting: bool) -> str:
        """Return which pods have failed, or those that wait or are gone, too.

        Empty if the API server does not answer. Sail deletes its pods itself where it ends a session, so one
        that is gone says nothing before a query fails.
        """
        try:
            with _answers():
                pods = self._cluster.pods(self._selector)
        except EngineFailed:
            return ""
        found = {pod["metadata"]["name"]: trouble_of(pod, waiting=waiting) for pod in pods}
        ended = {pod["metadata"]["name"] for pod in pods if has_ended(pod)}
        self._seen = (self._seen | found.keys()) - ended
        if waiting:
            found |= dict.fromkeys(
                sorted(self._seen - found.keys()), "is gone: it was deleted, drained or lost with its node"
            )
        return "; ".join([f"its pod {name} {how}" for name, how in found.items() if how][:3])

    @property
    def _cores(self) -> int:
        """The cores of a worker."""
        if self._template is None:
            return cores()
        resources = _container(self._template).get("resources") or {}
        asked = {**(resources.get("limits") or {}), **(resources.get("requests") or {})}.get("cpu", 1)
        return max(1, round(amount(str(asked))))

    @cached_property
    def _cluster(self) -> "Cluster":
        from practicus_assets.workers.kubernetes.cluster import Cluster  # noqa: PLC0415 the extra kubernetes

        return Cluster(Region(), own_namespace() or "default")

    @cached_property
    def _pod(self) -> str:
        return os.environ.get("HOSTNAME", "")

    @property
    def _selector(self) -> str:
        return f"{OWNER_LABEL}={self._pod}"

    def _of_pods(self) -> dict[str, str]:
        with _answers():
            own = self._cluster.pod(self._pod)
        if own is None:
            raise EngineFailed(
                f"this step runs in no pod named {self._pod!r} of the namespace {self._cluster.namespace}.",
                "Leave out hostNetwork and hostname of its worker's pod_spec.",
            )
        address = own["status"]["podIP"]
        assert self._template is not None
        template = pod_template(self._template, self._pod, own["spec"].get("nodeName", ""))
        pod = template["spec"]
        _container(template, _CONTAINER).setdefault("env", []).extend(_told(self._reach))
        texts = {
            "SAIL_KUBERNETES__IMAGE": _container(template, _CONTAINER)["image"],
            "SAIL_KUBERNETES__NAMESPACE": self._cluster.namespace,
            "SAIL_KUBERNETES__DRIVER_POD_NAME": self._pod,  # which owns them
            "SAIL_KUBERNETES__WORKER_POD_NAME_PREFIX": f"{self._pod[:36].rstrip('-.')}-sail-",
            "SAIL_KUBERNETES__WORKER_SERVICE_ACCOUNT_NAME": pod.get("serviceAccountName") or "default",
            "SAIL_CLUSTER__DRIVER_LISTEN_HOST": address,
            "SAIL_CLUSTER__DRIVER_EXTERNAL_HOST": address,
        }
        quoted = {name: json.dumps(text) for name, text in texts.items()}  # a name may look like a number
        return {
            **quoted,
            "SAIL_MODE": "kubernetes-cluster",
            "SAIL_KUBERNETES__WORKER_POD_TEMPLATE": json.dumps(template),
        }


def pod_template(template: Mapping[str, Any], owner: str, node: str) -> dict[str, Any]:
    """Return the template of a worker's pod as Sail takes it.

    Args:
        template: the pod, as the executor made it.
        owner: the name of the step's pod.
        node: the node of the step's pod; folders of a node are not those of another.

    """
    made: dict[str, Any] = json.loads(json.dumps(template))
    made["metadata"]["labels"][OWNER_LABEL] = owner
    container = _container(made)
    container["name"] = _CONTAINER
    container["command"] = [*container.get("command", ()), *PROGRAM]
    pod = made["spec"]
    pod["terminationGracePeriodSeconds"] = _GRACE_S
    if any("hostPath" in volume for volume in pod.get("volumes", ())):
        affinity = pod.setdefault("affinity", {}).setdefault("nodeAffinity", {})
        required = affinity.setdefault("requiredDuringSchedulingIgnoredDuringExecution", {})
        required["nodeSelectorTerms"] = required.get("nodeSelectorTerms") or [{}]
        for term in required["nodeSelectorTerms"]:
            term["matchFields"] = [{"key": "metadata.name", "operator": "In", "values": [node]}]
    return made


def _told(reach: Mapping[str, str]) -> list[dict[str, str]]:
    """Return the variables of a pod by which it reaches the stores of tables as the step does.

    Raises:
        DeclarationError: for a secret that the step has not from its own pod, whose Secrets they share.

    """
    given = {name: value for name, value in reach.items() if os.environ.get(name) != value}
    for name, value in given.items():
        if may_be_secret(name) or is_secret(name, value):
            raise DeclarationError(
                f"the storage option {name} is nothing that the pods of the engine's workers may be told.",
                f"Put it into a Kubernetes Secret with the key {name}, which the worker names in secrets.",
            )
    given[REACH] = ",".join(reach)
    return [{"name": name, "value": value} for name, value in given.items()]


def _tasks_of(value: Any, parallelism: int) -> int:
    """Return how many tasks read an input: one each partition and file, and more for large ones."""
    if isinstance(value, Mapping):
        return sum(_tasks_of(each, parallelism) for each in value.values())
    if not isinstance(value, Snapshot):
        return 0
    at, files = listed_files(value)
    parts: dict[tuple[Any, ...], list[int]] = {}
    for file in files:
        parts.setdefault(tuple(map(file.values.get, at.partition_by)), []).append(file.size)
    return sum(
        parallelism if sum(sizes) >= _DIVIDED else min(len(sizes), parallelism) for sizes in parts.values()
    )


def _container(template: Mapping[str, Any], name: str = CONTAINER) -> dict[str, Any]:
    return next(each for each in template["spec"]["containers"] if each["name"] == name)


@contextmanager
def _answers() -> Iterator[None]:
    """Raise EngineFailed for what the API server refuses or does not answer."""
    from kubernetes.client.exceptions import ApiException  # noqa: PLC0415 the extra kubernetes

    from practicus_assets.workers.kubernetes.refusal import UNREACHABLE, message_of  # noqa: PLC0415

    try:
        yield
    except ApiException as error:
        raise EngineFailed(
            f"the API server refuses the step what it needs for its engine's workers: {message_of(error)}",
            "Grant its service account to create, get, list, delete and deletecollection pods: "
            "deploy/region/accounts.yaml, dagster-engine.",
        ) from error
    except UNREACHABLE as error:
        raise EngineFailed(
            f"the API server cannot be reached for the engine's workers: {error}.", "Run again."
        ) from error
