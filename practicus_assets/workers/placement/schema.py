"""The schema of the configuration of `worker_executor`, and what is wrong with one that does not fit it."""

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg
from dagster._config import Shape, process_config, validate_config

from practicus_assets.errors import DeclarationError, did_you_mean
from practicus_assets.workers.request.worker import RENAMED

BACKENDS = ("local", "kubernetes")
_ISOLATIONS = ("auto", "process", "none")

_WORKER_FIELDS = "Fields of a Worker, e.g. {memory: 4Gi}."
_SPOT = {
    "node_selector": dg.Field(dg.Permissive(), is_required=False),
    "tolerations": dg.Field([dg.Permissive()], is_required=False),
}
_REGION = {
    "namespace": dg.Field(
        dg.StringSource, is_required=False, description="The namespace of the pods; by default the run's."
    ),
    "context": dg.Field(dg.StringSource, is_required=False, description="A context of the kubeconfig file."),
    "kubeconfig": dg.Field(
        dg.StringSource,
        is_required=False,
        description="A file's path. By default the cluster that this process runs in, else the usual file.",
    ),
    "service_account": dg.Field(
        dg.StringSource, is_required=False, description="The service account of the pods."
    ),
    "command_account": dg.Field(
        dg.StringSource,
        is_required=False,
        description="The service account of steps that start pods: commands in other images, or splits.",
    ),
    "engine_account": dg.Field(
        dg.StringSource,
        is_required=False,
        description="The service account of steps whose engine starts pods, its workers.",
    ),
    "image": dg.Field(
        dg.StringSource, is_required=False, description="The image of the pods; by default the run's."
    ),
    "env": dg.Field(dg.Permissive(), is_required=False, description="Environment variables; no secrets."),
    "roots": dg.Field(
        dg.Permissive(),
        is_required=False,
        description="Where a lake is found there, by the root_uri that the code configures.",
    ),
    "spot": dg.Field(_SPOT, is_required=False, description="The nodes that can be taken away."),
}
_KUBERNETES = {
    **_REGION,
    "regions": dg.Field(dg.Map(str, _REGION, "name"), is_required=False),
    "keep_succeeded_seconds": dg.Field(
        dg.IntSource, is_required=False, description="The seconds that the pods of successful steps stay."
    ),
    "lost_retries": dg.Field(
        dg.IntSource,
        is_required=False,
        description="How often a step that lost its pod or node is tried again.",
    ),
    "split_start_seconds": dg.Field(
        dg.IntSource,
        is_required=False,
        description="The seconds that a step waits for the pods of its splits while none of them runs.",
    ),
}
SCHEMA = {
    "backend": dg.Field(
        dg.Enum("WorkerBackend", [dg.EnumValue(name) for name in BACKENDS]),
        is_required=False,
        description="local: processes of this machine. kubernetes: one pod per step. By default kubernetes "
        "where the instance launches runs there, else local.",
    ),
    "isolation": dg.Field(
        dg.Enum("WorkerIsolation", [dg.EnumValue(name) for name in _ISOLATIONS]),
        is_required=False,
        description="Whether local steps have processes of their own. process: each one. none: all run in "
        "the run's. auto: as none, unless a step of the run declares a worker.",
    ),
    "max_concurrent": dg.Field(
        dg.IntSource, is_required=False, description="The steps of a run that run at the same time, at most."
    ),
    "default": dg.Field(
        dg.Permissive(), is_required=False, description=f"The worker of all steps. {_WORKER_FIELDS}"
    ),
    "sizes": dg.Field(
        dg.Permissive(), is_required=False, description=f"Workers by the name of a size. {_WORKER_FIELDS}"
    ),
    "workers": dg.Field(
        dg.Permissive(),
        is_required=False,
        description=f'Changes for this run, by the key of a step or "*". {_WORKER_FIELDS}',
    ),
    "kubernetes": dg.Field(_KUBERNETES, is_required=False),
}


def processed(config: Any, source: str) -> dict[str, Any]:
    """Return a configuration as Dagster processes that of a run: checked, and with `{env: NAME}` replaced.

    Args:
        config: the configuration as it was written.
        source: the place where it was written, for errors.

    Raises:
        DeclarationError: naming the first field that does not fit the schema.

    """
    result = process_config(Shape(SCHEMA), config)
    if result.errors:
        raise _misfit(result.errors[0], source)
    return dict(result.value or {})


def refuse_misfit(config: Mapping[str, Any], source: str) -> None:
    """Raise DeclarationError for a configuration that does not fit the schema, whose `{env: NAME}` stay."""
    result = validate_config(Shape(SCHEMA), config)
    if result.errors:
        raise _misfit(result.errors[0], source)


def _misfit(error: Any, source: str) -> DeclarationError:
    """Return the error for a field that does not fit the schema."""
    entries = [getattr(entry, "field_name", getattr(entry, "map_key", None)) for entry in error.stack.entries]
    path = [str(entry) for entry in entries if entry is not None]
    place = ": ".join([source, *path])
    unknown = getattr(error.error_data, "field_names", None) or [
        getattr(error.error_data, "field_name", None)
    ]
    if unknown[0] is None:
        return DeclarationError(
            f"{place} is wrong. {' '.join(error.message.splitlines()[:2])}", "Correct it."
        )
    names = _fields_at(path)
    name = str(unknown[0])
    return DeclarationError(
        f"{place} has the unknown field {name!r}.",
        f"It is called {RENAMED[name]} now."
        if RENAMED.get(name) in names
        else did_you_mean(name, names, f"Its fields are {', '.join(sorted(names))}."),
    )


def _fields_at(path: Sequence[str]) -> Mapping[str, Any]:
    """Return the fields that the schema has at a path."""
    if not path:
        return SCHEMA
    if path[-1] == "spot":
        return _SPOT
    return _KUBERNETES if path == ["kubernetes"] else _REGION
