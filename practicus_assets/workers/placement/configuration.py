"""Configuration of `worker_executor`: where steps run, with which defaults, sizes and regions."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import dagster as dg
import yaml

from practicus_assets.errors import DeclarationError, did_you_mean
from practicus_assets.workers.placement.assignment import Assignment
from practicus_assets.workers.placement.layers import LayeredWorker
from practicus_assets.workers.placement.region import Region
from practicus_assets.workers.request.manifest import merged
from practicus_assets.workers.request.worker import Worker

ENVIRONMENT = "PRACTICUS_WORKERS"
_BUILT_IN = Worker(keep_on_failure=3600, capture_logs=True)
_ISOLATIONS = ("auto", "process", "none")
_BACKENDS = ("local", "kubernetes")

_WORKER_FIELDS = "Fields of a Worker, e.g. {memory: 4Gi}."
_REGION = {
    "namespace": dg.Field(dg.StringSource, is_required=False, description="By default the run's."),
    "context": dg.Field(dg.StringSource, is_required=False, description="Of the kubeconfig file."),
    "kubeconfig": dg.Field(
        dg.StringSource,
        is_required=False,
        description="A file's path. By default the cluster that this process runs in, else the usual file.",
    ),
    "service_account": dg.Field(dg.StringSource, is_required=False, description="Of the step's pods."),
    "image": dg.Field(dg.StringSource, is_required=False, description="By default the run's."),
    "env": dg.Field(dg.Permissive(), is_required=False, description="Environment variables; no secrets."),
    "roots": dg.Field(
        dg.Permissive(),
        is_required=False,
        description="Where a lake is found there, by the root_uri that the code configures.",
    ),
    "spot": dg.Field(
        {
            "node_selector": dg.Field(dg.Permissive(), is_required=False),
            "tolerations": dg.Field([dg.Permissive()], is_required=False),
        },
        is_required=False,
        description="Which nodes can be taken away.",
    ),
}
SCHEMA = {
    "backend": dg.Field(
        dg.Enum("WorkerBackend", [dg.EnumValue(name) for name in _BACKENDS]),
        is_required=False,
        description="local: processes of this machine. kubernetes: a pod a step. By default kubernetes where "
        "the instance launches runs there, else local.",
    ),
    "isolation": dg.Field(
        dg.Enum("WorkerIsolation", [dg.EnumValue(name) for name in _ISOLATIONS]),
        is_required=False,
        description="Of local steps. process: each has its own. none: the run's. auto: the run's, "
        "unless one of the run's steps declares a worker.",
    ),
    "max_concurrent": dg.Field(dg.IntSource, is_required=False, description="Steps of a run at a time."),
    "default": dg.Field(dg.Permissive(), is_required=False, description=f"Of all steps. {_WORKER_FIELDS}"),
    "sizes": dg.Field(dg.Permissive(), is_required=False, description=f"By name. {_WORKER_FIELDS}"),
    "workers": dg.Field(
        dg.Permissive(),
        is_required=False,
        description=f'Of this run\'s steps, by key or "*". {_WORKER_FIELDS}',
    ),
    "kubernetes": dg.Field(
        {
            **_REGION,
            "regions": dg.Field(dg.Map(str, _REGION, "name"), is_required=False),
            "keep_succeeded": dg.Field(
                dg.IntSource, is_required=False, description="Seconds that pods of successful steps stay."
            ),
            "lost_retries": dg.Field(
                dg.IntSource,
                is_required=False,
                description="How often a step is tried again that lost its pod or node.",
            ),
        },
        is_required=False,
    ),
}


@dataclass(frozen=True)
class Configuration:
    """What `worker_executor` is told.

    Attributes:
        backend: "local", "kubernetes", or empty where the instance decides.
        isolation: of local steps.
        max_concurrent: steps of a run at a time; None is unlimited, or one a core where they are local.
        default: the worker of steps that do not say otherwise.
        sizes: named sizes besides the standard ones.
        workers: fields to override, by step.
        home: the region of steps that name none.
        regions: the others, by name.
        keep_succeeded: seconds.
        lost_retries: a number of attempts.

    """

    backend: str = ""
    isolation: str = "auto"
    max_concurrent: int | None = None
    default: Worker = field(default_factory=Worker)
    sizes: Mapping[str, Worker] = field(default_factory=dict)
    workers: Mapping[str, Any] = field(default_factory=dict)
    home: Region = field(default_factory=Region)
    regions: Mapping[str, Region] = field(default_factory=dict)
    keep_succeeded: int = 300
    lost_retries: int = 5

    @classmethod
    def of(cls, run_config: Mapping[str, Any]) -> "Configuration":
        """Return the configuration of the environment with that of a run laid over it.

        `PRACTICUS_WORKERS` is `local`, `kubernetes`, or the path of a YAML file in the shape of the
        executor's configuration.

        Raises:
            DeclarationError: naming the file or the field that is wrong.

        """
        given = merged(_from_environment(), {k: v for k, v in run_config.items() if k in SCHEMA})
        kubernetes = dict(given.pop("kubernetes", None) or {})
        regions = kubernetes.pop("regions", None) or {}
        rest = {
            name: kubernetes.pop(name) for name in ("keep_succeeded", "lost_retries") if name in kubernetes
        }
        return cls(
            **{k: v for k, v in given.items() if k not in {"default", "sizes"}},
            **rest,
            default=Worker.from_config(given.get("default", {}), "the executor's default"),
            sizes={
                name: Worker.from_config(size, f"the executor's size {name}")
                for name, size in given.get("sizes", {}).items()
            },
            home=_region("", kubernetes),
            regions={name: _region(name, region) for name, region in regions.items()},
        )

    def assign(
        self,
        step: str,
        declared: Worker,
        *,
        changes: Sequence[tuple[str, Worker]] = (),
        out_of_memory: int = 0,
        lost: int = 0,
        pod_tags: Mapping[str, str] | None = None,
    ) -> Assignment:
        """Return the worker that a step gets, and the region it goes to.

        Args:
            step: the step's key.
            declared: the worker that the step declares.
            changes: workers that the run's launcher lays over it, each with its source, the weakest first.
            out_of_memory: the number of earlier attempts that ran out of memory.
            lost: the number of earlier attempts that lost their pod.
            pod_tags: the step's own tags in Dagster's terms, see `Assignment`.

        Raises:
            DeclarationError: for an unknown size or region.

        """
        below = [("default", _BUILT_IN), ("executor's default", self.default)]
        above = [(step, declared), *changes]
        region = self.region(LayeredWorker.of([*below, *above], self.sizes).worker.region)
        layers = [*below, (region.label, region.worker()), *above]
        layered = LayeredWorker.of(layers, self.sizes).after(out_of_memory, lost)
        return Assignment(step, region.placed(layered.worker), layered.origins, region, pod_tags or {})

    def region(self, name: str | None) -> Region:
        """Return a region.

        Raises:
            DeclarationError: if there is none of that name.

        """
        if name is None:
            return self.home
        if name not in self.regions:
            names = ", ".join(self.regions)
            raise DeclarationError(
                f"the worker asks for the region {name!r}; the executor's configuration has "
                f"{names or 'none'}.",
                f"Add it to kubernetes: regions{', or name one of these' if names else ''}.",
            )
        return self.regions[name]


def _region(name: str, config: Mapping[str, Any]) -> Region:
    known = {each.name for each in fields(Region)} - {"name"}
    where = f"kubernetes: regions: {name}" if name else "kubernetes"
    _refuse_unknown(config, known, where)
    _refuse_unknown(config.get("spot") or {}, {"node_selector", "tolerations"}, f"{where}: spot")
    return Region(name, **config)


def _from_environment() -> dict[str, Any]:
    value = os.environ.get(ENVIRONMENT, "")
    if not value:
        return {}
    if value in _BACKENDS:
        return {"backend": value}
    try:
        config = yaml.safe_load(Path(value).read_text()) or {}
    except (OSError, yaml.YAMLError) as error:
        raise DeclarationError(
            f"{ENVIRONMENT} is {value!r}, and that file cannot be read: {error}",
            "Set it to local, kubernetes, or a YAML file with the executor's configuration.",
        ) from None
    if not isinstance(config, dict):
        raise DeclarationError(
            f"{value} holds {config!r}.", "Write the executor's configuration as a mapping."
        )
    _refuse_unknown(config, set(SCHEMA), value)
    for name, allowed in (("backend", _BACKENDS), ("isolation", _ISOLATIONS)):
        if config.get(name, allowed[0]) not in allowed:
            raise DeclarationError(f"{value}: {name} is {config[name]!r}.", f"Use one of {allowed}.")
    counts = {**config, **(config.get("kubernetes") or {})}
    for name in ("max_concurrent", "keep_succeeded", "lost_retries"):
        if not isinstance(counts.get(name, 0), int):
            raise DeclarationError(f"{value}: {name} is {counts[name]!r}.", "Write a whole number.")
    return config


def _refuse_unknown(config: Mapping[str, Any], known: set[str], where: str) -> None:
    for name in config:
        if name not in known:
            raise DeclarationError(
                f"{where} has the unknown field {name!r}.",
                did_you_mean(name, known, f"Its fields are {', '.join(sorted(known))}."),
            )
