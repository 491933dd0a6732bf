"""`worker_executor`: each step of a run in a worker of its own."""

import inspect
from collections.abc import Mapping
from functools import update_wrapper
from typing import Any, cast

import dagster as dg
from dagster._core.execution.retries import get_retries_config
from dagster._core.execution.tags import get_tag_concurrency_limits_config

from practicus_assets.workers.placement.schema import SCHEMA, refuse_misfit

_DAGSTERS = {
    "retries": get_retries_config(),
    "tag_concurrency_limits": get_tag_concurrency_limits_config(),
}


class WorkerExecutorDefinition(dg.ExecutorDefinition):
    """The definition of `worker_executor`, which refuses a wrong configuration where it is written."""

    def configured(self, config_or_config_fn: Any, *rest: Any, **options: Any) -> Any:
        """Return the executor with a configuration, as `dg.ExecutorDefinition.configured` does.

        Raises:
            DeclarationError: naming the field that does not exist, or whose value is wrong.

        """
        if isinstance(config_or_config_fn, Mapping):
            own = {name: value for name, value in config_or_config_fn.items() if name not in _DAGSTERS}
            refuse_misfit(own, "the configuration of worker_executor")
        return super().configured(config_or_config_fn, *rest, **options)


def _create(init_context: dg.InitExecutorContext) -> dg.Executor:
    """Run each step in a worker: a process on this machine, or a pod with what its `Worker` asks for.

    Where steps run is decided by `backend` of the run's configuration, else by the environment variable
    `PRACTICUS_WORKERS`, else by the instance: where it launches runs in Kubernetes, steps are pods. The
    run's log says which, and why.

    Raises:
        DeclarationError: if the configuration is wrong, or pods could not report to the instance.

    """
    from practicus_assets.workers.delegation import executor_of  # noqa: PLC0415 definitions do without

    return executor_of(init_context)


worker_executor = WorkerExecutorDefinition(
    name="worker",
    config_schema={**SCHEMA, **_DAGSTERS},
    requirements=dg.multiple_process_executor_requirements(),
    executor_creation_fn=_create,
    description=inspect.getdoc(_create),
)
update_wrapper(cast("Any", worker_executor), _create)
