"""What a step asks of the place where it runs."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from practicus_assets.errors import DeclarationError, did_you_mean
from practicus_assets.workers.request.fields import CHECKS
from practicus_assets.workers.request.quantity import amount


@dataclass(frozen=True, kw_only=True)
class Worker:
    """What a step asks of its worker; what is None is left to the code location's and the cluster's defaults.

    Attributes:
        size: a named size, "X-Small" to "X-Large" or one of the configuration; gives CPU and memory that
            are not given themselves.
        cpu: cores that are reserved, e.g. 2, "500m". `cpu_limit` is the most that it gets; none by default.
        cpu_limit: see `cpu`.
        memory: bytes that are reserved, and the most that the first attempt gets, e.g. "1Gi".
        memory_limit: the most that a later attempt gets, once one ran out of memory; each gets twice as much
            as the one before. Without it, all get `memory`.
        ephemeral_storage: bytes of local disk, reserved and at most.
        gpu: number of GPUs.
        gpu_resource: how the cluster calls them, "nvidia.com/gpu" by default.
        image: of the container; it needs the same code and the same version of this package.
        image_pull_secrets: names of Secrets for the registry.
        env: environment variables, by name. They are shown in Dagster: no secrets.
        secrets: names of Secrets of which each key becomes an environment variable.
        config_maps: the same for ConfigMaps.
        volumes: a Kubernetes volume source by the path where it is mounted, e.g.
            `{"/models": {"persistentVolumeClaim": {"claimName": "models"}}}`.
        service_account: name of the service account.
        service_account_token: whether its token is mounted; it is not by default.
        node_selector: labels that the node must have.
        tolerations: taints of nodes that are tolerated, as in a manifest.
        affinity: as in a manifest.
        priority_class: name of the PriorityClass.
        labels: of the pod.
        annotations: of the pod.
        time_limit: seconds after which the pod is ended.
        startup_script: shell commands that run before the step, in its container.
        region: name of a region of the configuration.
        spot: whether the pod may run on nodes that can be taken away.
        capture_logs: whether Dagster keeps the step's output; it does by default.
        keep_on_failure: seconds for which a failed pod stays, to look inside.
        raw: further fields of the pod's spec, as in a manifest; the container `dagster` is the step's.

    Raises:
        DeclarationError: naming the field that is wrong.

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
    time_limit: int | None = None
    startup_script: str | None = None
    region: str | None = None
    spot: bool | None = None
    capture_logs: bool | None = None
    keep_on_failure: int | None = None
    raw: Mapping[str, Any] | None = None

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
            source: where it stands, for errors.

        Raises:
            DeclarationError: for an unknown field or a wrong value.

        """
        if isinstance(config, str):
            try:
                config = json.loads(config)
            except json.JSONDecodeError as error:
                raise DeclarationError(f"{source} is no JSON: {error}.") from None
        if not isinstance(config, Mapping):
            raise DeclarationError(f"{source} is {config!r}.", 'Write fields, e.g. {"memory": "4Gi"}.')
        known = [each.name for each in fields(cls)]
        for name in config:
            if name not in known:
                raise DeclarationError(
                    f"{source} has the field {name!r}, which a worker does not.",
                    did_you_mean(name, known, f"Its fields are {', '.join(known)}."),
                )
        try:
            return cls(**config)
        except DeclarationError as error:
            raise DeclarationError(f"{source}: {error.problem}", error.advice) from None

    def given(self) -> dict[str, Any]:
        """Return the fields that are given, as JSON can hold them."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    def sized(self, sizes: Mapping[str, "Worker"], source: str) -> "Worker":
        """Return it with the CPU, memory and the like that its size stands for.

        Args:
            sizes: what each size stands for.
            source: where it is declared, for errors.

        Raises:
            DeclarationError: for an unknown size.

        """
        if self.size is None:
            return self
        if self.size not in sizes:
            raise DeclarationError(
                f"{source}: size is {self.size!r}, which is none of {', '.join(sizes)}.",
                "Use one of these, or add it to sizes in the executor's configuration.",
            )
        return Worker(**{**sizes[self.size].given(), **self.given()})


SIZES: Mapping[str, Worker] = {
    "X-Small": Worker(cpu="250m", memory="512Mi"),
    "Small": Worker(cpu="500m", memory="1Gi"),
    "Medium": Worker(cpu="1", memory="4Gi"),
    "Large": Worker(cpu="2", memory="8Gi"),
    "X-Large": Worker(cpu="4", memory="16Gi"),
}
