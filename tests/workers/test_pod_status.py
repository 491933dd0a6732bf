"""A pod is read before it is judged: each status is one that a Kubernetes API server has given."""

from typing import Any

import pytest

from practicus_assets.errors import (
    WorkerCrashed,
    WorkerFailed,
    WorkerLost,
    WorkerOutOfMemory,
    WorkerOutOfStorage,
    WorkerRejected,
    WorkerTimedOut,
)
from practicus_assets.workers.kubernetes import pod_status


def pod(status: dict[str, Any], *, deleted: bool = False) -> dict[str, Any]:
    container = {
        "name": "dagster",
        "resources": {"limits": {"memory": "200Mi"}},
        "volumeMounts": [{"name": "volume-0", "mountPath": "/models"}],
    }
    metadata = {"name": "orders", **({"deletionTimestamp": "2026-01-01T00:00:00Z"} if deleted else {})}
    return {
        "metadata": metadata,
        "spec": {"nodeName": "node-7", "activeDeadlineSeconds": 60, "containers": [container]},
        "status": status,
    }


def terminated(code: int, reason: str, message: str = "") -> dict[str, Any]:
    state = {"terminated": {"exitCode": code, "reason": reason, "message": message}}
    return {"containerStatuses": [{"name": "dagster", "state": state}]}


def waiting(reason: str, message: str = "", name: str = "dagster") -> dict[str, Any]:
    state = {"waiting": {"reason": reason, "message": message}}
    return {"phase": "Pending", "containerStatuses": [{"name": name, "state": state}]}


def evicted(message: str) -> dict[str, Any]:
    return {"phase": "Failed", "reason": "Evicted", "message": message}


def disrupted(reason: str, message: str) -> dict[str, Any]:
    return {
        "conditions": [{"type": "DisruptionTarget", "status": "True", "reason": reason, "message": message}]
    }


RUNNING = {"phase": "Running", "containerStatuses": [{"name": "dagster", "state": {"running": {}}}]}


@pytest.mark.parametrize(
    ("status", "kind", "says"),
    [
        ({"phase": "Failed", **terminated(137, "OOMKilled")}, WorkerOutOfMemory, "it may have 200Mi"),
        ({"phase": "Running", **terminated(137, "OOMKilled")}, WorkerOutOfMemory, "it may have 200Mi"),
        (
            {"phase": "Failed", "reason": "Evicted", "message": "low on memory"},
            WorkerLost,
            "Evicted: low on memory",
        ),
        (
            evicted("The node was low on resource: ephemeral-storage. "),
            WorkerLost,
            "Evicted: The node was low on resource: ephemeral-storage.",
        ),
        (
            evicted(
                "The node was low on resource: memory. Container dagster was using 3Gi, "
                "which exceeds its request of 0. "  # 1.20
            ),
            WorkerLost,
            "It used more memory than it reserves, so it goes first: reserve more.",
        ),
        (
            evicted(
                "The node was low on resource: ephemeral-storage. Threshold quantity: 1Gi, available: 900Mi. "
                "Container dagster was using 9Gi, request is 0, has larger consumption of ephemeral-storage. "
            ),
            WorkerLost,
            "It used more ephemeral-storage than it reserves",
        ),
        (evicted("The node had condition: [DiskPressure]. "), WorkerLost, "The node had condition"),
        (
            evicted("Pod was rejected: The node had condition: [MemoryPressure]. "),
            WorkerLost,
            "had condition",
        ),
        (
            evicted('Container dagster exceeded its local ephemeral storage limit "1Gi". '),
            WorkerOutOfStorage,
            "limit of 1Gi. Files in /tmp and the log of the container count. Raise ephemeral_storage of",
        ),
        (
            evicted('Container proxy exceeded its local ephemeral storage limit "10Mi". '),
            WorkerOutOfStorage,
            "Raise the limit of container proxy",
        ),
        (
            evicted("Pod ephemeral local storage usage exceeds the total limit of containers 1536Mi. "),
            WorkerOutOfStorage,
            "more local disk than its limit of 1536Mi.",
        ),
        (
            evicted('Usage of EmptyDir volume "volume-0" exceeds the limit "1Gi". '),
            WorkerOutOfStorage,
            "the emptyDir volume at /models holds more than its limit of 1Gi. Raise sizeLimit",
        ),
        (
            {
                **evicted("Pod ephemeral local storage usage exceeds the total limit of containers 1Gi. "),
                **disrupted("TerminationByKubelet", "in case a version says both"),
                **terminated(137, "ContainerStatusUnknown"),
            },
            WorkerOutOfStorage,
            "limit of 1Gi",
        ),
        *(
            (
                {"phase": "Failed", **disrupted(reason, message), **terminated(137, "Error")},
                WorkerLost,
                f"{reason}: {message}",
            )
            for reason, message in (
                (
                    "PreemptionByScheduler",
                    "a: preempting to accommodate a higher priority pod",
                ),
                ("DeletionByTaintManager", "Taint manager: deleting due to NoExecute taint"),
                ("EvictionByEvictionAPI", "Eviction API: evicting"),
                ("DeletionByPodGC", "PodGC: node no longer exists"),
                ("TerminationByKubelet", "The node was low on resource: memory."),
            )
        ),
        (
            {
                "phase": "Failed",
                "reason": "Terminated",
                "message": "Pod was terminated in response to imminent node shutdown.",
            },
            WorkerLost,
            "imminent node shutdown",
        ),
        ({"phase": "Failed", "reason": "Preempting"}, WorkerLost, "Preempting: no message"),
        ({"phase": "Failed", "reason": "NodeLost"}, WorkerLost, "NodeLost"),
        ({"phase": "Failed", "reason": "Shutdown", **terminated(143, "Error")}, WorkerLost, "Shutdown"),
        (
            {
                "phase": "Failed",
                "conditions": [
                    {"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler"}
                ],
                **terminated(137, "Error"),
            },
            WorkerLost,
            "PreemptionByScheduler",
        ),
        ({"phase": "Failed", "reason": "OutOfnvidia.com/gpu"}, WorkerLost, "OutOfnvidia.com/gpu"),
        ({"phase": "Failed", "reason": "TaintToleration"}, WorkerLost, "TaintToleration"),
        ({"phase": "Failed", **terminated(255, "Unknown")}, WorkerLost, "its node was away"),
        ({"phase": "Failed", **terminated(137, "ContainerStatusUnknown")}, WorkerLost, "its node was away"),
        (
            {"phase": "Failed", **terminated(128, "StartError", 'exec: "pythn": executable file not found')},
            WorkerRejected,
            "executable file not found",
        ),
        (
            {
                "phase": "Failed",
                "initContainerStatuses": [
                    {"name": "fetch", "state": {"terminated": {"exitCode": 3, "reason": "Error"}}}
                ],
                "containerStatuses": [
                    {"name": "dagster", "state": {"waiting": {"reason": "PodInitializing"}}}
                ],
            },
            WorkerCrashed,
            "container fetch ended with exit code 3, Error",
        ),
        (
            {"phase": "Failed", "reason": "DeadlineExceeded"},
            WorkerTimedOut,
            "time_limit_seconds, which is 60.",
        ),
        ({"phase": "Failed", **terminated(1, "Error")}, WorkerCrashed, "exit code 1, Error"),
        ({"phase": "Failed", **terminated(139, "Error")}, WorkerCrashed, "exit code 139 (signal 11)"),
        ({"phase": "Succeeded", **terminated(0, "Completed")}, WorkerCrashed, "exit code 0, Completed"),
        (waiting("ErrImagePull", "manifest unknown"), WorkerRejected, "ErrImagePull: manifest unknown"),
        (waiting("ImagePullBackOff", "access denied"), WorkerRejected, "access denied"),
        (waiting("InvalidImageName"), WorkerRejected, "InvalidImageName: no message"),
        (
            waiting("CreateContainerConfigError", 'secret "db" not found'),
            WorkerRejected,
            'secret "db" not found',
        ),
        (waiting("ErrImagePull", "not found", name="proxy"), WorkerRejected, "container proxy"),
    ],
)
def test_an_end_has_a_class_and_says_what_was_found(
    status: dict[str, Any], kind: type[WorkerFailed], says: str
) -> None:
    end = pod_status.end(pod(status))
    assert end is not None
    assert type(end.error) is kind
    assert says in str(end.error)
    assert end.node == "node-7"


@pytest.mark.parametrize(
    "status",
    [
        RUNNING,
        {"phase": "Pending"},
        waiting("ContainerCreating"),
        waiting("ErrImagePull", "dial tcp: i/o timeout"),
        waiting("ImagePullBackOff", "unexpected status: 503 Service Unavailable"),
        waiting("ImagePullBackOff", 'Back-off pulling image "orders:1"'),
        waiting("ErrImagePull", "dial tcp 10.0.0.1:443: connect: connection refused"),
        waiting("CreateContainerError", "context deadline exceeded"),
        waiting("CreateContainerConfigError", "failed to sync configmap cache: timed out waiting"),
        waiting("ErrImagePull", "toomanyrequests: Too Many Requests"),
        {},
    ],
)
def test_a_pod_that_may_still_do_its_work_has_not_ended(status: dict[str, Any]) -> None:
    assert pod_status.end(pod(status)) is None


def test_a_running_pod_that_is_being_deleted_is_lost() -> None:
    end = pod_status.end(pod(RUNNING, deleted=True))
    assert end is not None
    assert isinstance(end.error, WorkerLost)


def test_an_end_tells_exit_code_and_peak_of_memory() -> None:
    end = pod_status.end(
        pod({"phase": "Failed", **terminated(137, "OOMKilled", "peak_memory_bytes=209715200")})
    )
    assert end is not None
    assert (end.exit_code, end.peak_memory, end.started) == (137, 200 << 20, True)


def test_a_termination_message_of_the_author_is_no_peak_of_memory() -> None:
    end = pod_status.end(pod({"phase": "Failed", **terminated(1, "Error", "bye")}))
    assert end is not None
    assert end.peak_memory is None


@pytest.mark.parametrize(
    ("status", "says"),
    [
        (
            {
                "phase": "Pending",
                "conditions": [
                    {
                        "type": "PodScheduled",
                        "status": "False",
                        "reason": "Unschedulable",
                        "message": "0/1 nodes are available: 1 Insufficient cpu.",
                    }
                ],
            },
            "Unschedulable: 0/1 nodes are available: 1 Insufficient cpu.",
        ),
        (waiting("ErrImagePull", "i/o timeout"), "container dagster: ErrImagePull: i/o timeout"),
        (waiting("ContainerCreating"), ""),
        (RUNNING, ""),
    ],
)
def test_a_pod_that_waits_says_for_what(status: dict[str, Any], says: str) -> None:
    assert pod_status.obstacle(pod(status)) == says


def test_a_cause_that_may_pass_is_waited_for_and_then_not_any_more() -> None:
    status = waiting("ErrImagePull", "dial tcp: i/o timeout")
    assert pod_status.is_blocked(pod(status))
    assert pod_status.end(pod(status), 299) is None
    end = pod_status.end(pod(status), 301)
    assert end is not None
    assert isinstance(end.error, WorkerRejected)


def test_a_pod_whose_step_has_ended_and_whose_sidecar_has_not_is_held() -> None:
    assert pod_status.is_held(pod({"phase": "Running", **terminated(0, "Completed")}))
    assert not pod_status.is_held(pod({"phase": "Succeeded", **terminated(0, "Completed")}))
    assert not pod_status.is_held(pod(RUNNING))


def test_a_sidecar_that_ends_before_the_step_is_no_end_and_says_nothing_about_it() -> None:
    state = {"terminated": {"exitCode": 143, "reason": "Error"}}
    sidecar = {"initContainerStatuses": [{"name": "proxy", "state": state}]}
    running = {"containerStatuses": [{"name": "dagster", "state": {"running": {}}}]}
    starting = {
        "containerStatuses": [{"name": "dagster", "state": {"waiting": {"reason": "PodInitializing"}}}]
    }
    for status in (running, starting):
        found = pod({"phase": "Running", **sidecar, **status})
        found["spec"]["initContainers"] = [{"name": "proxy", "restartPolicy": "Always"}]
        assert pod_status.end(found) is None
    end = pod_status.end(pod({"phase": "Succeeded", **sidecar, **terminated(0, "Completed")}))
    assert end is not None
    assert end.exit_code == 0
