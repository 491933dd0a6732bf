"""The Kubernetes API's types: whether a mapping is a valid object of one, field by field.

The types are those that the official client knows; the API server of an older cluster may know fewer.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from practicus_assets.errors import DeclarationError, did_you_mean

_LIST = re.compile(r"list\[(.+)\]")
_MAP = re.compile(r"dict\(str, (.+)\)")
_SCALARS: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "bool": (bool,),
    "int": (int,),
    "float": (int, float),
    "object": (object,),
}


def check(type_name: str, value: Any, field: str) -> None:
    """Raise for a value that is no valid object of an API type.

    Args:
        type_name: a model of the Kubernetes client, e.g. `V1PodSpec`.
        value: as in a manifest, with the field names that Kubernetes uses (`nodeSelector`).
        field: what the value is called in the error.

    Raises:
        DeclarationError: naming each field that is unknown or has a value of a wrong type.

    """
    problems = list(_problems(type_name, value, field))
    if problems:
        raise DeclarationError("; ".join(problems) + ".", "Write it as in a Kubernetes manifest.")


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
        wrong = not isinstance(value, _SCALARS[type_name])
        if wrong or (isinstance(value, bool) and type_name in {"int", "float"}):
            yield f"{path} is {value!r}, not of type {type_name}"
    else:
        yield from _object_problems(type_name, value, path)


def _object_problems(type_name: str, value: Any, path: str) -> Iterator[str]:
    from kubernetes.client import models  # noqa: PLC0415 takes half a second

    model = getattr(models, type_name, None)
    if model is None:  # datetime and the like
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
