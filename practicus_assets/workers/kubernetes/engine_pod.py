"""The pods of an engine's workers: what the step that starts them is told of them."""

import json
from collections.abc import Mapping
from typing import Any

import dagster as dg

from practicus_assets.workers.kubernetes.job import step_job
from practicus_assets.workers.kubernetes.starting_account import StartingAccount
from practicus_assets.workers.launch import variables
from practicus_assets.workers.placement.placement import Placement
from practicus_assets.workers.request.manifest import CONTAINER


def engine_environment(placement: Placement, run: dg.DagsterRun, launcher: Any) -> dict[str, str]:
    """Return the variable by which a step knows the pods of its engine's workers; none if it has none.

    Args:
        placement: the step's.
        run: the run of the step.
        launcher: the instance's run launcher, if it is a `K8sRunLauncher`.

    Raises:
        DeclarationError: if no service account is named with which the step may start them.

    """
    if placement.engine is None:
        return {}
    StartingAccount.of(placement)
    job = step_job("engine", placement.engine, run, environment={}, launcher=launcher)
    return {variables.ENGINE_POD: json.dumps(_pod_of(job))}


def _pod_of(job: Mapping[str, Any]) -> dict[str, Any]:
    """Return the pod of a Job as a template whose container does not say what runs in it."""
    template: dict[str, Any] = json.loads(json.dumps(job["spec"]["template"]))
    for container in template["spec"]["containers"]:
        if container["name"] == CONTAINER:
            container.pop("args", None)
    return {"metadata": {"labels": template["metadata"]["labels"]}, "spec": template["spec"]}
