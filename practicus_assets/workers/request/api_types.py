"""The Kubernetes API's types: whether a mapping is a valid object of one, field by field.

The types are those that the official client knows; the API server of an older cluster may know fewer. Without
the client, as on a laptop that never makes a pod, nothing is checked: pods are made where it is installed.
"""

import re
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from typing import Any

from practicus_assets.errors import DeclarationError, did_you_mean

_LIST = re.compile(r"list\[(.+)\]")
_MAP = re.compile(r"dict[(\[]str, (.+)[)\]]")  # older clients write dict(str, …)
_SCALARS: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "bool": (bool,),
    "int": (int,),
    "float": (int, float),
    "object": (object,),
}


_QUANTITIES = {"requests", "limits", "capacity", "sizeLimit", "divisor"}  # fields whose numbers may be bare


def check(type_name: str, value: Any, field: str) -> None:
    """Raise for a value that is no valid object of an API type.

    Args:
        type_name: a model of the Kubernetes client, e.g. `V1PodSpec`.
        value: an object as in a manifest, with the field names that Kubernetes uses (`nodeSelector`).
        field: the value's name in the error.

    Raises:
        DeclarationError: naming each field that is unknown or has a value of a wrong type.

    """
    problems = list(_problems(type_name, value, field)) if find_spec("kubernetes") is not None else []
    if problems:
        raise DeclarationError("; ".join(problems) + ".", "Write it as in a Kubernetes manifest.")


def in_api_spelling(type_name: str, value: Any) -> Any:
    """Return an object with the field names that Kubernetes uses.

    Args:
        type_name: a model of the Kubernetes client, e.g. `V1PodSpec`.
        value: an object whose fields may also be spelled as the client spells them (`node_selector`), which
            Dagster accepts too. Unknown fields stay as they are.

    """
    if listed := _LIST.fullmatch(type_name):
        return [in_api_spelling(listed[1], item) for item in value] if isinstance(value, list) else value
    if not isinstance(value, Mapping):
        return value
    if mapped := _MAP.fullmatch(type_name):
        return {key: in_api_spelling(mapped[1], item) for key, item in value.items()}
    model = _model(type_name)
    if model is None:
        return value
    fields = {api: python for python, api in model.attribute_map.items()}
    spelled = {model.attribute_map.get(key, key): item for key, item in value.items()}
    return {
        key: in_api_spelling(model.openapi_types[fields[key]], item) if key in fields else item
        for key, item in spelled.items()
    }


def _model(type_name: str) -> Any:
    """Return the client's class of a type; None for a type that has none, such as datetime."""
    try:
        from kubernetes.client import models  # noqa: PLC0415 takes half a second
    except ModuleNotFoundError:
        return None
    return getattr(models, type_name, None)


def _problems(type_name: str, value: Any, path: str) -> Iterator[str]:
    if listed := _LIST.fullmatch(type_name):
        if not isinstance(value, list | tuple):
            yield f"{path} is {value!r}, not a list"
            return
        for position, item in enumerate(value):
            yield from _problems(listed[1], item, f"{path}[{position}]")
    elif mapped := _MAP.fullmatch(type_name):
        if not isinstance(value, Mapping):
            yield f"{path} is {value!r}, not a mapping"
            return
        for key, item in value.items():
            yield from _problems(mapped[1], item, f"{path}.{key}")
    elif type_name in _SCALARS:
        if not _is_scalar(type_name, value, path):
            yield f"{path} is {value!r}, not of type {type_name}"
    else:
        yield from _object_problems(type_name, value, path)


def _is_scalar(type_name: str, value: Any, path: str) -> bool:
    if isinstance(value, bool):
        return type_name in {"bool", "object"}
    is_quantity = bool(_QUANTITIES & set(path.split(".")[-2:]))
    return isinstance(value, _SCALARS[type_name]) or (is_quantity and isinstance(value, int | float))


def _object_problems(type_name: str, value: Any, path: str) -> Iterator[str]:
    model = _model(type_name)
    if model is None:
        return
    if not isinstance(value, Mapping):
        yield f"{path} is {value!r}, not a mapping"
        return
    spelled = {api: python for python, api in model.attribute_map.items()}
    for key, item in value.items():
        if key in spelled:
            yield from _problems(model.openapi_types[spelled[key]], item, f"{path}.{key}")
            continue
        question = did_you_mean(key, spelled)
        hint = f" ({question[0].lower()}{question[1:]})" if question else ""
        yield f"{path}.{key} is no field of {type_name.removeprefix('V1')}{hint}"
