"""What a step asks of the place where it runs."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from practicus_assets.errors import DeclarationError, did_you_mean
from practicus_assets.workers.request.fields import CHECKS
from practicus_assets.workers.request.quantity import amount

RENAMED = {  # fields by their former names
    "time_limit": "time_limit_seconds",
    "keep_on_failure": "keep_failed_seconds",
    "keep_succeeded": "keep_succeeded_seconds",
    "raw": "pod_spec",
}


@dataclass(frozen=True, kw_only=True)
class Worker:
    """What a step asks of the place where it runs.

    A field that is None is left to the defaults of the executor's configuration, the code location and the
    cluster. Locally only `env`, `capture_logs` and `time_limit_seconds` matter; the others describe a pod.

    Attributes:
        size: a named size in any case, "X-Small" to "X-Large" or one of the configuration's. It gives the CPU
            and memory that are not given themselves.
        cpu: the cores to reserve, e.g. 2 or "500m".
        cpu_limit: the most cores to use; no limit by default.
        memory: the bytes to reserve, and the most that the first attempt may use, e.g. "1Gi".
        memory_limit: the most bytes of a later attempt. After each attempt that runs out of memory, the next
            one gets twice as much, up to this. Without it, all attempts get `memory`.
        ephemeral_storage: the bytes of local disk to reserve, and the most to use.
        gpu: the number of GPUs.
        gpu_resource: the cluster's resource name for GPUs, "nvidia.com/gpu" by default.
        image: the container's image; it needs the same code and the same version of this package, unless it
            is that of a task with `bare_image`.
        image_pull_secrets: names of Secrets for the image's registry.
        env: environment variables by name. They are shown in Dagster, so they must not be secrets.
        secrets: names of Secrets; each of their keys becomes an environment variable.
        config_maps: names of ConfigMaps; each of their keys becomes an environment variable.
        volumes: Kubernetes volume sources by mount path, e.g.
            `{"/models": {"persistentVolumeClaim": {"claimName": "models"}}}`.
        service_account: the name of the pod's service account.
        service_account_token: whether the service account's token is mounted; by default it is not.
        node_selector: labels that the node must have.
        tolerations: taints of nodes that are tolerated, as in a manifest.
        affinity: the pod's affinity, as in a manifest.
        priority_class: the name of the pod's PriorityClass.
        labels: further labels of the pod.
        annotations: further annotations of the pod.
        time_limit_seconds: the time after which the pod is ended (Kubernetes: activeDeadlineSeconds), or the
            step's process on this machine.
        startup_script: shell commands that run before the step, in its container.
        region: the name of a region of the configuration.
        spot: whether the pod may run on nodes that can be taken away.
        capture_logs: whether Dagster keeps the step's output; by default it does.
        keep_failed_seconds: the time for which a failed pod stays, to look inside (Kubernetes:
            ttlSecondsAfterFinished).
        pod_spec: further fields of the pod's spec, as in a manifest. A container named `dagster`, or without
            a name, is laid over the step's.

    Raises:
        DeclarationError: naming the field that is wrong.

    Example:
        `Worker(size="Large", memory_limit="32Gi", env={"LEVEL": "debug"})`

    """

    size: str | None = None
    cpu: str | float | None = None
    cpu_limit: str | float | None = None
    memory: str | None = None
    memory_limit: str | None = None
    ephemeral_storage: str | None = None
    gpu: int | None = None
    gpu_resource: str | None = None
    image: str | None = None
    image_pull_secrets: Sequence[str] | None = None
    env: Mapping[str, str] | None = None
    secrets: Sequence[str] | None = None
    config_maps: Sequence[str] | None = None
    volumes: Mapping[str, Mapping[str, Any]] | None = None
    service_account: str | None = None
    service_account_token: bool | None = None
    node_selector: Mapping[str, str] | None = None
    tolerations: Sequence[Mapping[str, Any]] | None = None
    affinity: Mapping[str, Any] | None = None
    priority_class: str | None = None
    labels: Mapping[str, str] | None = None
    annotations: Mapping[str, str] | None = None
    time_limit_seconds: int | None = None
    startup_script: str | None = None
    region: str | None = None
    spot: bool | None = None
    capture_logs: bool | None = None
    keep_failed_seconds: int | None = None
    pod_spec: Mapping[str, Any] | None = None

    def __new__(cls, *positional: Any, **given: Any) -> Self:
        """Refuse unknown fields with the name that was meant."""
        if positional:
            raise DeclarationError(
                f"a Worker is given {positional[0]!r} without the name of a field.",
                'Name the fields, e.g. Worker(size="Large").',
            )
        _refuse_unknown(given, "a Worker")
        return super().__new__(cls)

    def __post_init__(self) -> None:
        """Refuse values that Kubernetes would refuse, and some that it would take and misunderstand."""
        for name, check in CHECKS.items():
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, check(name, value))
        for name in ("cpu", "memory"):
            low, high = getattr(self, name), getattr(self, f"{name}_limit")
            if low is not None and high is not None and amount(low) > amount(high):
                raise DeclarationError(
                    f"{name} is {low}, more than {name}_limit, which is {high}.", f"Lower {name}."
                )

    @classmethod
    def from_config(cls, config: Any, source: str) -> "Worker":
        """Return the worker that a mapping describes.

        Args:
            config: the fields; a text is read as JSON.
            source: the place where the mapping stands, for errors.

        Raises:
            DeclarationError: for an unknown field or a wrong value.

        """
        if isinstance(config, str):
            try:
                config = json.loads(config)
            except json.JSONDecodeError as error:
                raise DeclarationError(
                    f"{source} is not JSON: {error}.", 'Write fields, e.g. {"memory": "4Gi"}.'
                ) from None
        if not isinstance(config, Mapping):
            raise DeclarationError(f"{source} is {config!r}.", 'Write fields, e.g. {"memory": "4Gi"}.')
        _refuse_unknown(config, source)
        try:
            return cls(**config)
        except DeclarationError as error:
            raise DeclarationError(f"{source}: {error.problem}", error.advice) from None

    def given(self) -> dict[str, Any]:
        """Return the fields that are given, as JSON can hold them."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    def sized(self, sizes: Mapping[str, "Worker"], source: str) -> "Worker":
        """Return this worker with the CPU, memory and the like of its size.

        Args:
            sizes: workers by the name of a size; of names that differ only in case the last one counts.
            source: the place where the worker is declared, for errors.

        Raises:
            DeclarationError: for an unknown size.

        """
        if self.size is None:
            return self
        by_name = {name.casefold(): size for name, size in sizes.items()}
        if self.size.casefold() not in by_name:
            names = {name.casefold(): name for name in sizes}.values()
            raise DeclarationError(
                f"{source}: size is {self.size!r}, which is none of {', '.join(names)}.",
                "Use one of these, or add it to sizes in the executor's configuration.",
            )
        return Worker(**{**by_name[self.size.casefold()].given(), **self.given()})


def _refuse_unknown(given: Mapping[str, Any], source: str) -> None:
    names = [field.name for field in fields(Worker)]
    for name in given:
        if name not in names:
            meant = RENAMED.get(name)
            advice = f"It is called {meant} now." if meant in names else did_you_mean(name, names)
            raise DeclarationError(
                f"{source} has no field {name!r}.", advice or f"The fields are {', '.join(names)}."
            )


SIZES: Mapping[str, Worker] = {
    "X-Small": Worker(cpu="250m", memory="512Mi"),
    "Small": Worker(cpu="500m", memory="1Gi"),
    "Medium": Worker(cpu="1", memory="4Gi"),
    "Large": Worker(cpu="2", memory="8Gi"),
    "X-Large": Worker(cpu="4", memory="16Gi"),
}
