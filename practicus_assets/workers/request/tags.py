"""Tags by which an op or an asset asks for a worker, or describes its pod in Dagster's terms."""

import json
from collections.abc import Mapping
from typing import Any

from practicus_assets.errors import DeclarationError
from practicus_assets.parameters import named_parameters
from practicus_assets.workers.request.api_types import check, in_api_spelling
from practicus_assets.workers.request.manifest import k8s_config, merged
from practicus_assets.workers.request.worker import SIZES, Worker

WORKER_TAG = "practicus/worker"
SPLIT_WORKER_TAG = "practicus/split-worker"  # of a step whose splits are pods: their worker
TASK_TAG = "practicus/task"  # what a task runs, which keeps its time limit itself
BARE_IMAGE_TAG = "practicus/bare-image"  # of a task whose command runs in an image that has not this package
ENGINE_TAG = "practicus/engine-worker"  # of a table whose engine has workers: what each of them asks for
K8S_CONFIG_TAG = "dagster-k8s/config"  # what the stock k8s_job_executor reads
_OWN_K8S_CONFIG_TAG = "practicus/k8s-config"  # the author's part of it, where a worker is laid over that
_RESOURCES_TAG = "dagster-k8s/resource_requirements"  # deprecated, and still read by Dagster

# of `dagster-k8s/config`, each with the API's type (dagster-k8s, "Customizing your deployment")
_SECTIONS = {
    "container_config": "V1Container",
    "pod_spec_config": "V1PodSpec",
    "pod_template_spec_metadata": "V1ObjectMeta",
    "job_config": "V1Job",
    "job_metadata": "V1ObjectMeta",
    "job_spec_config": "V1JobSpec",
}
_MERGE_BEHAVIORS = ("DEEP", "SHALLOW")


@named_parameters
def worker_tags(worker: Worker) -> dict[str, Any]:
    """Return the tags with which a plain `@dg.asset` or `@dg.op` asks for a worker.

    `worker_executor` reads them. Dagster's `k8s_job_executor` reads `dagster-k8s/config`, in which a named
    size is the standard one; a size that only the configuration of `worker_executor` knows is left out.

    Args:
        worker: the worker that the step asks for.

    Returns:
        `op_tags` of `@dg.asset`, `tags` of `@dg.op`.

    Example:
        `@dg.asset(op_tags=worker_tags(Worker(memory="8Gi")))`

    """
    if not isinstance(worker, Worker):
        raise DeclarationError(f"worker is {worker!r}.", 'Pass a Worker, e.g. Worker(memory="8Gi").')
    return {WORKER_TAG: worker.given(), K8S_CONFIG_TAG: _derived(worker)}


def with_worker(tags: Mapping[str, Any], worker: Worker, source: str) -> dict[str, Any]:
    """Return an asset's `op_tags` with a worker laid over them.

    Args:
        tags: the author's `op_tags`.
        worker: the worker that the asset declares.
        source: the asset's name, for errors.

    Raises:
        DeclarationError: if the author's `dagster-k8s/config` is wrong, or the tags name a worker as well.

    """
    if WORKER_TAG in tags:
        raise DeclarationError(
            f"{source} has a worker and the tag {WORKER_TAG} in its op_tags.", "Keep one of them."
        )
    if K8S_CONFIG_TAG not in tags:
        return {**tags, **worker_tags(worker)}
    own = k8s_config_of(tags[K8S_CONFIG_TAG], source)
    return {
        **tags,
        WORKER_TAG: worker.given(),
        K8S_CONFIG_TAG: merged(own, _derived(worker)),
        _OWN_K8S_CONFIG_TAG: own,
    }


def own_pod_tags(tags: Mapping[str, str], step: str) -> dict[str, str]:
    """Return the tags of a step that its author wrote to describe its pod to Dagster.

    What `worker_tags` derives from a worker is left out: the worker itself says more, and may be changed by
    the configuration and by a run.

    Args:
        tags: the tags of the step's op, as Dagster keeps them: values as JSON.
        step: the step's key, for errors.

    Raises:
        DeclarationError: if `dagster-k8s/config` is wrong.

    """
    own = {_RESOURCES_TAG: tags[_RESOURCES_TAG]} if _RESOURCES_TAG in tags else {}
    given = tags.get(_OWN_K8S_CONFIG_TAG, tags.get(K8S_CONFIG_TAG))
    if given is None or (_OWN_K8S_CONFIG_TAG not in tags and _is_derived(tags)):
        return own
    return {**own, K8S_CONFIG_TAG: json.dumps(k8s_config_of(given, step))}


def without_resources(pod_tags: Mapping[str, str]) -> dict[str, str]:
    """Return what `own_pod_tags` returned, without the CPU, memory and the like that it asks for."""
    if K8S_CONFIG_TAG not in pod_tags:
        return {}
    config = json.loads(pod_tags[K8S_CONFIG_TAG])
    container = {k: v for k, v in config.get("container_config", {}).items() if k != "resources"}
    return {K8S_CONFIG_TAG: json.dumps({**config, "container_config": container})}


def k8s_config_of(value: Any, source: str) -> dict[str, Any]:
    """Return the value of a tag `dagster-k8s/config`, with the field names that Kubernetes uses.

    Args:
        value: a mapping, or its JSON.
        source: the step or asset that has the tag, for errors.

    Raises:
        DeclarationError: naming each field that is unknown or has a value of a wrong type.

    """
    where = f"the tag {K8S_CONFIG_TAG} of {source}"
    try:
        config = json.loads(value) if isinstance(value, str) else value
    except json.JSONDecodeError as error:
        raise DeclarationError(f"{where} is not JSON: {error}.", "Write a mapping.") from None
    if not isinstance(config, Mapping):
        raise DeclarationError(f"{where} is {config!r}.", "Write a mapping, e.g. {'container_config': {}}.")
    unknown = sorted(set(config) - {*_SECTIONS, "merge_behavior"})
    if unknown:
        raise DeclarationError(
            f"{where} has the unknown section {unknown[0]!r}.", f"Its sections are {', '.join(_SECTIONS)}."
        )
    if config.get("merge_behavior", "DEEP") not in _MERGE_BEHAVIORS:
        raise DeclarationError(
            f"{where}: merge_behavior is {config['merge_behavior']!r}.", "Write DEEP or SHALLOW."
        )
    sections = {}
    for section, section_value in config.items():
        type_name = _SECTIONS.get(section)
        sections[section] = section_value if type_name is None else in_api_spelling(type_name, section_value)
        if type_name is not None:
            try:
                check(type_name, sections[section], section)
            except DeclarationError as error:
                raise DeclarationError(f"{where}: {error.problem}", error.advice) from None
    return sections


def _derived(worker: Worker) -> dict[str, Any]:
    standard = {name.casefold() for name in SIZES}
    return k8s_config(
        worker.sized(SIZES, "op_tags")
        if worker.size is not None and worker.size.casefold() in standard
        else worker
    )


def _is_derived(tags: Mapping[str, str]) -> bool:
    """Return whether the tag `dagster-k8s/config` of an op is what `worker_tags` makes of its worker."""
    if WORKER_TAG not in tags:
        return False
    try:
        derived = _derived(Worker.from_config(tags[WORKER_TAG], WORKER_TAG))
        return bool(json.loads(json.dumps(derived)) == json.loads(tags[K8S_CONFIG_TAG]))
    except (DeclarationError, json.JSONDecodeError):
        return False
