"""Calls of the API server by a pod that cannot go on without their answers."""

import sys
import time
from collections.abc import Callable
from typing import TypeVar

from kubernetes.client.exceptions import ApiException

from practicus_assets.errors import WorkerRejected
from practicus_assets.workers.kubernetes.cluster import Cluster
from practicus_assets.workers.kubernetes.refusal import UNREACHABLE, may_pass, refusal

_PAUSE_S = 1.0

Answer = TypeVar("Answer")


def own_pod(cluster: Cluster, owned: str, place: str) -> dict[str, str]:
    """Return the pod of this process, as an owner.

    Args:
        cluster: where it runs.
        owned: what it is to own, for people.
        place: where hostNetwork and hostname are to be left out, for people.

    Raises:
        WorkerRejected: if it is not found.

    """
    owner = answered(cluster, cluster.run_pod)
    if owner is None:
        raise WorkerRejected(
            f"its step does not find its own pod, which is to own {owned}.",
            f"Leave hostNetwork and hostname out of {place}.",
        )
    return owner


def answered(cluster: Cluster, call: Callable[[], Answer]) -> Answer:
    """Return what the API server answers, once it does.

    Raises:
        WorkerRejected: if it refuses.

    """
    told = ""
    while True:
        try:
            return call()
        except ApiException as error:
            if not may_pass(error):
                raise refusal(cluster.region, cluster.namespace, error) from error
            problem = str(error.reason)
        except UNREACHABLE as error:
            problem = str(error)
        if problem != told:
            sys.stderr.write(f"The API server does not answer: {problem}\n")
            told = problem
        time.sleep(_PAUSE_S)
