"""A region's API server, and the few calls that workers make."""

import json
import os
import socket
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

import kubernetes
from kubernetes.client.exceptions import ApiException

from practicus_assets.errors import DeclarationError
from practicus_assets.workers.kubernetes.refusal import UNREACHABLE
from practicus_assets.workers.placement.region import Region, own_namespace

TIMEOUT_S = (5, 30)  # to connect, and to answer
# so that one who waits for a log that says nothing for hours notices that the connection is gone
_KEEP_ALIVE = {"SO_KEEPALIVE": 1, "TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3}
_LOG_LINES = 25
_LOG_BYTES = 20_000
_WHOLE_LOG_BYTES = 2**20

# what the calls below need in the pods' namespace, each as verb, API group and resource
RIGHTS = (
    ("create", "batch", "jobs"),
    ("get", "batch", "jobs"),
    ("list", "batch", "jobs"),
    ("patch", "batch", "jobs"),
    ("delete", "batch", "jobs"),
    ("get", "", "pods"),
    ("list", "", "pods"),
    ("get", "", "pods/log"),
    ("list", "", "events"),
)


class Cluster:
    """One region's API server.

    Args:
        region: the region.
        namespace: the namespace of the pods.

    Raises:
        DeclarationError: if the kubeconfig file or its context is not there.

    """

    def __init__(self, region: Region, namespace: str) -> None:
        self.region = region
        self.namespace = namespace

    @classmethod
    def of(cls, region: Region, launcher: Any) -> "Cluster":
        """Return a region's cluster; where the region names no namespace, pods go to that of the run.

        Args:
            region: the region.
            launcher: the instance's run launcher, which knows the namespace of runs.

        """
        of_runs = own_namespace() or getattr(launcher, "job_namespace", None) or "default"
        return cls(region, region.namespace or of_runs)

    @cached_property
    def api(self) -> Any:
        """The API client."""
        configuration = kubernetes.client.Configuration()
        try:
            if self.region.in_cluster:
                kubernetes.config.load_incluster_config(client_configuration=configuration)
            else:
                kubernetes.config.load_kube_config(
                    self.region.kubeconfig, self.region.context, client_configuration=configuration
                )
        except kubernetes.config.ConfigException as error:
            named = self.region.context or self.region.kubeconfig
            raise DeclarationError(
                f"{self.region.label} cannot be reached: {str(error).rstrip('.')}.",
                f"Correct {self.region.key}: context or kubeconfig in the executor's configuration."
                if named
                else f"Set KUBECONFIG, or {self.region.key}: context and kubeconfig.",
            ) from error
        configuration.retries = 2
        client = kubernetes.client.ApiClient(configuration)
        client.rest_client.pool_manager.connection_pool_kw["socket_options"] = [
            (socket.SOL_SOCKET if name.startswith("SO") else socket.IPPROTO_TCP, getattr(socket, name), value)
            for name, value in {"TCP_NODELAY": 1, **_KEEP_ALIVE}.items()
            if hasattr(socket, name)
        ]
        return client

    @cached_property
    def _core(self) -> Any:
        return kubernetes.client.CoreV1Api(self.api)

    @cached_property
    def _batch(self) -> Any:
        return kubernetes.client.BatchV1Api(self.api)

    def create_job(self, job: Any) -> None:
        """Create a Job; one of that name that exists already is taken for it."""
        try:
            self._batch.create_namespaced_job(self.namespace, job, _request_timeout=TIMEOUT_S)
        except ApiException as error:
            if error.status != 409:  # noqa: PLR2004 conflict: an earlier call made it, and its answer was lost
                raise

    def delete_job(self, name: str) -> None:
        """Delete a Job and its pods, which get their grace period."""
        self._unless_gone(
            self._batch.delete_namespaced_job, name, self.namespace, propagation_policy="Background"
        )

    def keep_job(self, name: str, seconds: int) -> None:
        """Have a finished Job, and its pods, stay that long."""
        body = {"spec": {"ttlSecondsAfterFinished": seconds}}
        self._unless_gone(self._batch.patch_namespaced_job, name, self.namespace, body)

    def pods(self, selector: str) -> list[dict[str, Any]]:
        """Return the pods that have these labels, as manifests."""
        return self._items(self._core.list_namespaced_pod, label_selector=selector)

    def delete_pods(self, selector: str) -> None:
        """Delete the pods that have these labels, at once."""
        self._core.delete_collection_namespaced_pod(
            self.namespace,
            label_selector=selector,
            grace_period_seconds=0,
            _preload_content=False,
            _request_timeout=TIMEOUT_S,
        )

    def job(self, name: str) -> dict[str, Any] | None:
        """Return a Job as a manifest; None if there is none."""
        return self._unless_gone(self._batch.read_namespaced_job, name, self.namespace, parsed=True)

    def jobs(self, selector: str) -> list[dict[str, Any]]:
        """Return the Jobs that have these labels, as manifests."""
        return self._items(self._batch.list_namespaced_job, label_selector=selector)

    def pod(self, name: str) -> dict[str, Any] | None:
        """Return a pod as a manifest; None if there is none."""
        return self._unless_gone(self._core.read_namespaced_pod, name, self.namespace, parsed=True)

    def events(self, kind: str, name: str) -> list[dict[str, Any]]:
        """Return the warnings about an object, oldest first."""
        selector = f"involvedObject.kind={kind},involvedObject.name={name},type=Warning"
        warnings = self._items(self._core.list_namespaced_event, field_selector=selector)
        return sorted(warnings, key=lambda each: each.get("lastTimestamp") or each.get("eventTime") or "")

    def log_tail(self, pod: str, container: str, *, lines: int | None = _LOG_LINES) -> str:
        """Return the last lines that a container wrote; nothing if there are none to be had.

        Args:
            pod: the pod's name.
            container: the container's name.
            lines: how many, in few bytes; None for all that there are, up to a megabyte from their beginning.

        """
        try:
            answer = self._core.read_namespaced_pod_log(
                pod,
                self.namespace,
                container=container,
                **({"tail_lines": lines} if lines is not None else {}),
                limit_bytes=_LOG_BYTES if lines is not None else _WHOLE_LOG_BYTES,
                _preload_content=False,
                _request_timeout=TIMEOUT_S,
            )
        except (ApiException, *UNREACHABLE):
            return ""
        return str(answer.data.decode(errors="replace"))

    def follow_log(self, pod: str, container: str) -> Any:
        """Return what a container has written and is going to write, as an answer to be read by `stream`."""
        return self._core.read_namespaced_pod_log(
            pod,
            self.namespace,
            container=container,
            follow=True,
            _preload_content=False,
            _request_timeout=(TIMEOUT_S[0], None),
        )

    def run_pod(self) -> dict[str, str] | None:
        """Return the pod in which this process runs, as an owner; None if it runs in none."""
        pod = self._own_pod()
        if pod is None:
            return None
        name, uid = (pod["metadata"][key] for key in ("name", "uid"))
        return {"apiVersion": "v1", "kind": "Pod", "name": name, "uid": uid}

    def run_job(self) -> dict[str, str] | None:
        """Return the Job of the pod in which this process runs, as an owner; None if it has none."""
        pod = self._own_pod() or {"metadata": {}}
        for owner in pod["metadata"].get("ownerReferences") or ():
            if owner["kind"] == "Job":
                return {key: owner[key] for key in ("apiVersion", "kind", "name", "uid")}
        return None

    def _own_pod(self) -> dict[str, Any] | None:
        host = os.environ.get("HOSTNAME")
        return self.pod(host) if self.region.in_cluster and host else None

    def kubectl(self, *words: str) -> str:
        """Return a command line that a person can use."""
        chosen = [f"--context {self.region.context}"] if self.region.context else []
        return " ".join(["kubectl", *chosen, f"--namespace {self.namespace}", *words])

    def _items(self, call: Callable[..., Any], **arguments: str) -> list[dict[str, Any]]:
        answer = call(self.namespace, _preload_content=False, _request_timeout=TIMEOUT_S, **arguments)
        items: list[dict[str, Any]] = json.loads(answer.data)["items"]
        return items

    def _unless_gone(
        self, call: Callable[..., Any], *arguments: Any, parsed: bool = False, **options: Any
    ) -> dict[str, Any] | None:
        try:
            answer = call(*arguments, _preload_content=False, _request_timeout=TIMEOUT_S, **options)
        except ApiException as error:
            if error.status == 404:  # noqa: PLR2004 not found
                return None
            raise
        manifest: Mapping[str, Any] = json.loads(answer.data) if parsed else {}
        return dict(manifest)
