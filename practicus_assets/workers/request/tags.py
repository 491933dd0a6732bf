"""Tags by which an op or an asset asks for a worker."""

from typing import Any

from practicus_assets.workers.request.manifest import k8s_config
from practicus_assets.workers.request.worker import SIZES, Worker

WORKER_TAG = "practicus/worker"
K8S_CONFIG_TAG = "dagster-k8s/config"  # what the stock k8s_job_executor reads


def worker_tags(worker: Worker) -> dict[str, Any]:
    """Return the tags with which a plain `@dg.asset` or `@dg.op` asks for a worker.

    `worker_executor` reads them. Dagster's `k8s_job_executor` reads `dagster-k8s/config`, in which a named
    size is the standard one.

    Args:
        worker: what the step asks for.

    Returns:
        `op_tags` of `@dg.asset`, `tags` of `@dg.op`.

    Raises:
        DeclarationError: if the worker's size is not a standard one.

    Example:
        `@dg.asset(op_tags=worker_tags(Worker(memory="8Gi")))`

    """
    return {WORKER_TAG: worker.given(), K8S_CONFIG_TAG: k8s_config(worker.sized(SIZES, "op_tags"))}
