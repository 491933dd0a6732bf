"""Regions: the clusters and namespaces that steps can be sent to."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from practicus_assets.errors import DeclarationError
from practicus_assets.workers.request.worker import Worker

_OWN_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


@dataclass(frozen=True)
class Region:
    """A cluster and a namespace that pods can be sent to.

    Attributes:
        name: the name that workers use; empty for the region that steps go to by default.
        namespace: the namespace of the pods; None is the run's.
        context: a context of the kubeconfig file.
        kubeconfig: the path of a kubeconfig file; None is the default one, or inside of a cluster, that
            cluster.
        service_account, image, env: fields of workers that do not set them.
        command_account: the service account of steps that start pods: of splits, or of commands in images of
            their own.
        engine_account: the service account of steps whose engine starts pods.
        roots: the root of a lake there, by the root that the code configures.
        spot: the `node_selector` and the `tolerations` of nodes that can be taken away.

    """

    name: str = ""
    namespace: str | None = None
    context: str | None = None
    kubeconfig: str | None = None
    service_account: str | None = None
    command_account: str | None = None
    engine_account: str | None = None
    image: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    roots: Mapping[str, str] = field(default_factory=dict)
    spot: Mapping[str, Any] = field(default_factory=dict)

    @property
    def in_cluster(self) -> bool:
        """Whether it is the cluster in which this process runs."""
        return not self.context and not self.kubeconfig and "KUBERNETES_SERVICE_HOST" in os.environ

    @property
    def key(self) -> str:
        """The path of its settings in the executor's configuration."""
        return f"kubernetes: regions: {self.name}" if self.name else "kubernetes"

    @property
    def label(self) -> str:
        """The region's name in messages."""
        return f"region {self.name}" if self.name else "the default region"

    def worker(self) -> Worker:
        """Return what the region gives to workers that do not say otherwise."""
        try:
            return Worker(image=self.image, service_account=self.service_account, env=dict(self.env) or None)
        except DeclarationError as error:
            raise DeclarationError(f"{self.label}: {error.problem}", error.advice) from None


def own_namespace() -> str | None:
    """Return the namespace of the pod in which this process runs."""
    return _OWN_NAMESPACE.read_text().strip() if _OWN_NAMESPACE.exists() else None
