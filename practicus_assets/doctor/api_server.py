"""An API server's answers to questions that only an examination asks: version, rights, objects, nodes."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kubernetes.client.exceptions import ApiException

from practicus_assets.workers.kubernetes.cluster import TIMEOUT_S, Cluster

_FORBIDDEN, _NOT_FOUND = 403, 404
_METADATA_ONLY = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"

# where objects of a kind are found; `{namespace}` in those that have one
_PATHS = {
    "service account": "/api/v1/namespaces/{namespace}/serviceaccounts/{name}",
    "Secret": "/api/v1/namespaces/{namespace}/secrets/{name}",
    "ConfigMap": "/api/v1/namespaces/{namespace}/configmaps/{name}",
    "PersistentVolumeClaim": "/api/v1/namespaces/{namespace}/persistentvolumeclaims/{name}",
    "PriorityClass": "/apis/scheduling.k8s.io/v1/priorityclasses/{name}",
    "StorageClass": "/apis/storage.k8s.io/v1/storageclasses/{name}",
    "RuntimeClass": "/apis/node.k8s.io/v1/runtimeclasses/{name}",
}
CLUSTER_KINDS = {kind for kind, path in _PATHS.items() if "{namespace}" not in path}


class Forbidden(Exception):
    """The caller has no right to see this."""


@dataclass(frozen=True)
class ApiServer:
    """The API server of a region.

    Attributes:
        cluster: the region's cluster.

    """

    cluster: Cluster

    def version(self) -> str:
        """Return its version."""
        return str(self._call("GET", "/version")["gitVersion"])

    def may(self, verb: str, group: str, resource: str, account: tuple[str, str] | None = None) -> bool:
        """Return whether something is allowed in the pods' namespace.

        Args:
            verb: the verb, e.g. "create".
            group: the API group; empty for the core group.
            resource: the resource, e.g. "pods" or "pods/log".
            account: the namespace and name of a service account; None asks for the caller.

        Raises:
            Forbidden: if that may not be asked.

        """
        resource, _, subresource = resource.partition("/")
        attributes = {"verb": verb, "group": group, "resource": resource, "subresource": subresource}
        spec: dict[str, Any] = {
            "resourceAttributes": {**attributes, "namespace": self.cluster.namespace},
        }
        kind = "SelfSubjectAccessReview"
        if account is not None:
            kind = "SubjectAccessReview"
            spec["user"] = "system:serviceaccount:{}:{}".format(*account)
            everybody = ["system:authenticated", "system:serviceaccounts"]
            spec["groups"] = [*everybody, f"system:serviceaccounts:{account[0]}"]
        review = {"apiVersion": "authorization.k8s.io/v1", "kind": kind, "spec": spec}
        path = f"/apis/authorization.k8s.io/v1/{kind.lower()}s"
        return bool(self._call("POST", path, body=review)["status"].get("allowed"))

    def find(self, kind: str, name: str) -> Mapping[str, Any] | None:
        """Return an object as a manifest, of a Secret its metadata alone; None if there is none.

        Raises:
            Forbidden: if it may not be seen.

        """
        path = _PATHS[kind].format(namespace=self.cluster.namespace, name=name)
        try:
            return self._call("GET", path, accept=_METADATA_ONLY if kind == "Secret" else "application/json")
        except ApiException as error:
            if error.status == _NOT_FOUND:
                return None
            raise

    def nodes(self) -> list[Mapping[str, Any]]:
        """Return the cluster's nodes as manifests.

        Raises:
            Forbidden: if they may not be seen.

        """
        nodes: list[Mapping[str, Any]] = self._call("GET", "/api/v1/nodes")["items"]
        return nodes

    def _call(
        self, method: str, path: str, *, body: Any = None, accept: str = "application/json"
    ) -> dict[str, Any]:
        try:
            answer = self.cluster.api.call_api(
                path,
                method,
                header_params={"Accept": accept, "Content-Type": "application/json"},
                body=body,
                auth_settings=["BearerToken"],
                _preload_content=False,
                _request_timeout=TIMEOUT_S,
            )
        except ApiException as error:
            if error.status == _FORBIDDEN:
                raise Forbidden from error
            raise
        response = answer[0] if isinstance(answer, tuple) else answer
        parsed: dict[str, Any] = json.loads(response.data)
        return parsed
