"""Whether the value of each of a worker's fields is one that Kubernetes takes, and means what it says."""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from practicus_assets.errors import DeclarationError
from practicus_assets.redaction import is_secret
from practicus_assets.workers.request import api_types
from practicus_assets.workers.request.quantity import amount

_AMOUNT = re.compile(r"([0-9.]+)\s*([kmgt])(?:i?b)?", re.IGNORECASE)  # as people write it, e.g. 8GB
_LEAST_MEMORY = 1024**2  # below, no process starts
_DNS_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_LABEL_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
_ENV_NAME = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*")
_IMAGE = re.compile(r"[a-z0-9][-._a-zA-Z0-9/:]*(:[\w][\w.-]{0,127})?(@sha256:[a-f0-9]{64})?")


def _fail(name: str, value: Any, expected: str) -> DeclarationError:
    return DeclarationError(f"{name} is {value!r}.", expected)


def _quantity(name: str, value: Any) -> str:
    number = isinstance(value, int | float | Decimal) and not isinstance(value, bool)
    text = str(value) if number or isinstance(value, str) else ""
    try:
        size = amount(text)
    except ValueError:
        size = Decimal(0)
    is_bytes = not name.startswith("cpu")
    if size <= 0:
        example = '"512Mi" or "4Gi"' if is_bytes else '2 or "500m"'
        meant = _AMOUNT.fullmatch(text) if is_bytes else None
        question = f"Did you mean {meant[1]}{meant[2].upper()}i? " if meant else ""
        raise _fail(name, value, f"{question}Write a Kubernetes quantity, e.g. {example}.")
    if is_bytes and size < 1:
        raise _fail(name, value, 'That is less than a byte: "m" means a thousandth; write "Mi" or "M".')
    if name.startswith("memory") and size < _LEAST_MEMORY:
        in_bytes = f"That is {text} bytes. Did you mean {text}Gi?"
        raise _fail(name, value, in_bytes if text.isdigit() else "No process starts in less than 1Mi.")
    return text


def _count(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < (0 if name == "gpu" else 1):
        raise _fail(name, value, "Write a number of GPUs." if name == "gpu" else "Write a number of seconds.")
    return value


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise _fail(name, value, "Write True or False.")
    return value


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise _fail(name, value, "Write a text.")
    return value


def _dns_name(name: str, value: Any) -> str:
    if not isinstance(value, str) or not _DNS_NAME.fullmatch(value):
        raise _fail(name, value, "Write a Kubernetes name: small letters, digits, '-' and '.'.")
    return value


def _dns_names(name: str, value: Any) -> list[str]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise _fail(name, value, f'Write a list of names, e.g. {name}=["{value}"].')
    return [_dns_name(name, each) for each in value]


def _image(name: str, value: Any) -> str:
    if not isinstance(value, str) or not _IMAGE.fullmatch(value):
        raise _fail(name, value, "Write an image as registry/name:tag.")
    return value


def _qualified(name: str, value: Any) -> str:
    prefix, slash, base = str(value).rpartition("/")
    if not isinstance(value, str) or not _LABEL_NAME.fullmatch(base):
        raise _fail(
            name, value, "Write [prefix/]name; the name has up to 63 letters, digits, '-', '_' or '.'."
        )
    if slash and not _DNS_NAME.fullmatch(prefix):
        raise _fail(name, value, "The prefix before '/' must be a DNS name in small letters.")
    return value


def _texts(name: str, value: Any) -> dict[str, str]:
    if not isinstance(value, Mapping) or not all(isinstance(each, str) for each in value.values()):
        raise _fail(name, value, "Write a mapping from name to text.")
    return dict(value)


def _env(name: str, value: Any) -> dict[str, str]:
    for key in _texts(name, value):
        if not isinstance(key, str) or not _ENV_NAME.fullmatch(key):
            raise _fail(name, key, "Write names of environment variables.")
        _refuse_secret(name, key, value[key])
    return dict(value)


def _refuse_secret(name: str, variable: str, value: str) -> None:
    if is_secret(variable, value):
        raise DeclarationError(
            f"{name} has {variable}, which looks like a secret; Dagster would show its value.",
            "Put it into a Kubernetes Secret, and name that in secrets.",
        )


def _labels(name: str, value: Any) -> dict[str, str]:
    for key, text in _texts(name, value).items():
        _qualified(name, key)
        if not _LABEL_VALUE.fullmatch(text):
            raise _fail(f"{name}[{key!r}]", text, "Write up to 63 letters, digits, '-', '_' or '.'.")
    return dict(value)


def _annotations(name: str, value: Any) -> dict[str, str]:
    for key in _texts(name, value):
        _qualified(name, key)
    return dict(value)


def _volumes(name: str, value: Any) -> dict[str, dict[str, Any]]:
    if not isinstance(value, Mapping):
        raise _fail(name, value, 'Write {"/path": {"emptyDir": {}}}.')
    for path, source in value.items():
        if not isinstance(path, str) or not path.startswith("/") or ":" in path:
            raise _fail(name, path, "Write absolute paths, where the volumes are mounted.")
        if not isinstance(source, Mapping) or len(source) != 1 or "name" in source:
            raise _fail(f"{name}[{path!r}]", source, 'Write one volume source, e.g. {"emptyDir": {}}.')
        api_types.check("V1Volume", source, f"{name}[{path!r}]")
    return {path: dict(source) for path, source in value.items()}


def _tolerations(name: str, value: Any) -> list[dict[str, Any]]:
    api_types.check("list[V1Toleration]", value, name)
    return [dict(each) for each in value]


def _affinity(name: str, value: Any) -> dict[str, Any]:
    api_types.check("V1Affinity", value, name)
    return dict(value)


def _pod_spec(name: str, value: Any) -> dict[str, Any]:
    api_types.check("V1PodSpec", value, name)
    for container in (*value.get("containers", ()), *value.get("initContainers", ())):
        for variable in container.get("env", ()):
            if "value" in variable:
                _refuse_secret(name, variable.get("name", ""), variable["value"])
    return dict(value)


CHECKS: dict[str, Any] = {
    "size": _text,
    "cpu": _quantity,
    "cpu_limit": _quantity,
    "memory": _quantity,
    "memory_limit": _quantity,
    "ephemeral_storage": _quantity,
    "gpu": _count,
    "gpu_resource": _qualified,
    "image": _image,
    "image_pull_secrets": _dns_names,
    "env": _env,
    "secrets": _dns_names,
    "config_maps": _dns_names,
    "volumes": _volumes,
    "service_account": _dns_name,
    "service_account_token": _flag,
    "node_selector": _labels,
    "tolerations": _tolerations,
    "affinity": _affinity,
    "priority_class": _dns_name,
    "labels": _labels,
    "annotations": _annotations,
    "time_limit_seconds": _count,
    "startup_script": _text,
    "region": _text,
    "spot": _flag,
    "capture_logs": _flag,
    "keep_failed_seconds": _count,
    "pod_spec": _pod_spec,
}
