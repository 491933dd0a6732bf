"""Configuration of `worker_executor`: where steps run, with which defaults, sizes and regions."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from practicus_assets.errors import DeclarationError, did_you_mean
from practicus_assets.workers.placement.layers import SPOT_ATTEMPTS, LayeredWorker
from practicus_assets.workers.placement.placement import Placement, SplitPlacements
from practicus_assets.workers.placement.region import Region
from practicus_assets.workers.placement.schema import BACKENDS, SCHEMA, processed
from practicus_assets.workers.placement.spot import with_spot_policy
from practicus_assets.workers.request.manifest import merged
from practicus_assets.workers.request.worker import Worker

ENVIRONMENT = "PRACTICUS_WORKERS"
_BUILT_IN = Worker(keep_failed_seconds=3600, capture_logs=True)
STARTS_COMMAND_LABEL = "practicus/starts-command"  # of a step's pod that starts others
ENGINE_LABEL = "practicus/engine"  # "driver": of a step's pod whose engine has workers; "worker": of theirs
# what defaults give to steps that run code of ours, and to no other image
_OF_OWN_CODE = {
    "image",
    "env",
    "secrets",
    "config_maps",
    "volumes",
    "service_account",
    "service_account_token",
    "startup_script",
    "pod_spec",
}


@dataclass(frozen=True)
class Configuration:
    """The configuration of `worker_executor`.

    Attributes:
        backend: "local", "kubernetes", or empty where the instance decides.
        isolation: whether local steps have processes of their own: "auto", "process" or "none".
        max_concurrent: the most steps of a run at a time; None is unlimited, or one per core where they are
            local.
        default: the worker of steps that do not say otherwise.
        sizes: workers by the name of a size, besides the standard ones.
        workers: fields that this run changes, by step.
        home: the region of steps that name none.
        regions: the other regions, by name.
        keep_succeeded_seconds: the time for which the pods of successful steps stay.
        lost_retries: the number of times that a step is tried again after it lost its pod.
        split_start_seconds: the time that a step waits for the pods of its splits while none of them runs.

    """

    backend: str = ""
    isolation: str = "auto"
    max_concurrent: int | None = None
    default: Worker = field(default_factory=Worker)
    sizes: Mapping[str, Worker] = field(default_factory=dict)
    workers: Mapping[str, Any] = field(default_factory=dict)
    home: Region = field(default_factory=Region)
    regions: Mapping[str, Region] = field(default_factory=dict)
    keep_succeeded_seconds: int = 300
    lost_retries: int = 5
    split_start_seconds: int = 1800

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
            name: kubernetes.pop(name)
            for name in ("keep_succeeded_seconds", "lost_retries", "split_start_seconds")
            if name in kubernetes
        }
        return cls(
            **{k: v for k, v in given.items() if k not in {"default", "sizes"}},
            **rest,
            default=Worker.from_config(given.get("default", {}), "the executor's default"),
            sizes={
                name: Worker.from_config(size, f"the executor's size {name}")
                for name, size in given.get("sizes", {}).items()
            },
            home=Region("", **kubernetes),
            regions={name: Region(name, **region) for name, region in regions.items()},
        )

    def place(
        self,
        step: str,
        declared: Worker,
        *,
        changes: Sequence[tuple[str, Worker]] = (),
        out_of_memory: int = 0,
        lost: int = 0,
        pod_tags: Mapping[str, str] | None = None,
        bare_image: bool = False,
        splits: Worker | None = None,
        engine: Worker | None = None,
    ) -> Placement:
        """Return the worker that a step gets, and the region it goes to.

        Args:
            step: the step's key.
            declared: the worker that the step declares.
            changes: workers that the run's launcher lays over it, each with its source, the weakest first.
            out_of_memory: the number of earlier attempts that ran out of memory.
            lost: the number of earlier attempts that lost their pod.
            pod_tags: the step's own tags in Dagster's terms, see `Placement`.
            bare_image: whether the worker is that of a command whose image has not this package. It gets no
                variables, secrets, volumes or rights by default then; the step that starts it does.
            splits: the worker of the step's splits, where they are to be pods of their own.
            engine: what each worker of the step's engine asks for, beside what the step does; None if its
                engine has no workers of its own.

        Raises:
            DeclarationError: for an unknown size or region.

        """
        below = [("default", _BUILT_IN), ("executor's default", self.default)]
        above = [(step, declared), *changes]
        region = self.region(LayeredWorker.of([*below, *above], self.sizes).worker.region)
        defaults = [*below, (region.label, region.worker())]
        own = [*above]
        if splits is not None:  # the author's own account is above that which can start pods
            own.insert(0, (f"{region.label}, for its splits", _starting_pods(region)))
        given = [(name, _for_any_image(worker)) for name, worker in defaults] if bare_image else defaults
        layered = LayeredWorker.of([*given, *own], self.sizes).after(out_of_memory, lost)
        worker, starter = with_spot_policy(layered.worker, region), None
        if bare_image:
            by_default = LayeredWorker.of(defaults, self.sizes)
            starting = replace(
                by_default.worker,
                service_account=region.command_account,
                service_account_token=True,
                labels={**(by_default.worker.labels or {}), STARTS_COMMAND_LABEL: "yes"},
                gpu=None,
                time_limit_seconds=None,
                capture_logs=worker.capture_logs,
                keep_failed_seconds=worker.keep_failed_seconds,
            )
            starter = Placement(step, starting, by_default.origins, region)
        pods = None
        if splits is not None:
            of_split = LayeredWorker.of([*defaults, *above, (f"splits of {step}", splits)], self.sizes)
            pods = _split_placements(step, of_split, region, pod_tags or {})
        placement = Placement(step, worker, layered.origins, region, pod_tags or {}, starter, pods)
        if engine is None:
            return placement
        of_engine = LayeredWorker.of([*defaults, *above, (f"engine of {step}", engine)], self.sizes)
        return _with_engine(placement, of_engine, engine.gpu, declared.service_account)

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
                did_you_mean(
                    name,
                    self.regions,
                    f"Add it to kubernetes: regions{', or name one of these' if names else ''}.",
                ),
            )
        return self.regions[name]


def _starting_pods(region: Region) -> Worker:
    """Return what a step gets that starts pods by itself."""
    return Worker(
        service_account=region.command_account,
        service_account_token=True,
        labels={STARTS_COMMAND_LABEL: "yes"},
    )


def _split_placements(
    step: str, layered: LayeredWorker, region: Region, pod_tags: Mapping[str, str]
) -> SplitPlacements:
    def placement(out_of_memory: int, lost: int) -> Placement:
        after = layered.after(out_of_memory, lost)
        return Placement(step, with_spot_policy(after.worker, region), after.origins, region, pod_tags)

    grown = [placement(0, 0)]
    while grown[-1].next_memory is not None:
        grown.append(placement(len(grown), 0))
    return SplitPlacements(tuple(grown), placement(0, SPOT_ATTEMPTS) if layered.worker.spot else None)


def _with_engine(
    placement: Placement, layered: LayeredWorker, gpu: int | None, account: str | None
) -> Placement:
    """Return the placement of a step whose engine has workers of its own, which the step may start.

    Args:
        placement: the step's.
        layered: what each worker gets.
        gpu: the GPUs of each worker, for those of the step are not theirs.
        account: the service account that the step declares; None for that of the region.

    """
    region, worker = placement.region, with_spot_policy(layered.worker, placement.region)
    theirs = replace(worker, labels={**(worker.labels or {}), ENGINE_LABEL: "worker"}, gpu=gpu)
    driving = replace(
        placement.worker,
        service_account=account or region.engine_account,
        service_account_token=True,
        labels={**(placement.worker.labels or {}), ENGINE_LABEL: "driver"},
    )
    pods = Placement(placement.step, theirs, layered.origins, region, placement.pod_tags)
    return replace(placement, worker=driving, engine=pods)


def _for_any_image(worker: Worker) -> Worker:
    return Worker(**{name: value for name, value in worker.given().items() if name not in _OF_OWN_CODE})


def _from_environment() -> dict[str, Any]:
    value = os.environ.get(ENVIRONMENT, "")
    if not value:
        return {}
    if value in BACKENDS:
        return {"backend": value}
    try:
        config = yaml.safe_load(Path(value).read_text()) or {}
    except (OSError, yaml.YAMLError) as error:
        raise DeclarationError(
            f"{ENVIRONMENT} is {value!r}, and that file cannot be read: {error}",
            "Set it to local, kubernetes, or the path of a YAML file with the executor's configuration.",
        ) from None
    return processed(config, value)
