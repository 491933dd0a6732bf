"""Annotations: what the types of a function's parameters and value ask for, and how their author wrote it."""

import sys
from collections.abc import Callable, Mapping
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from practicus_assets.errors import DeclarationError


def hints(function: Callable[..., Any]) -> dict[str, Any]:
    """Return a function's annotations by name, that of its value as "return", none of them as a text.

    Raises:
        DeclarationError: for one that names what is not there at run time.

    """
    try:
        return get_type_hints(function, include_extras=True)
    except NameError as error:
        raise DeclarationError(
            f"an annotation of {function.__qualname__} cannot be resolved: {error}.",
            "Import the name at run time, not only for type checking.",
        ) from error


def is_optional(annotation: Any) -> bool:
    """Return whether None is among what an annotation allows, as in `X | None`."""
    return get_origin(annotation) in (Union, UnionType) and NoneType in get_args(annotation)


def without_none(annotation: Any) -> Any:
    """Return X for `X | None`; any other annotation as it is."""
    if get_origin(annotation) in (Union, UnionType):
        kinds = [kind for kind in get_args(annotation) if kind is not NoneType]
        return kinds[0] if len(kinds) == 1 else annotation
    return annotation


def kind_by_partition(annotation: Any) -> Any | None:
    """Return X for a mapping `dict[str, X]`, which asks for an X of each partition; None for no mapping.

    Raises:
        DeclarationError: for a mapping whose keys are no partition keys, or that does not say of what it is.

    """
    annotation = without_none(annotation)
    origin = get_origin(annotation) or annotation
    if not isinstance(origin, type) or not issubclass(origin, Mapping):
        return None
    key, kind = get_args(annotation) or (str, None)
    if key is not str or kind is None:
        raise DeclarationError(
            f"an input cannot be given as {written(annotation)}.",
            "Annotate several partitions as a mapping from partition key, such as dict[str, pd.DataFrame].",
        )
    return kind


def written(annotation: Any) -> str:
    """Return an annotation as an author writes it: `dict[str, polars.DataFrame] | None`."""
    if annotation is NoneType:
        return "None"
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, UnionType):
        return " | ".join(map(written, arguments))
    if origin is not None:
        name = origin.__name__ if origin.__module__ == "builtins" else _public_name(origin)
        return f"{name}[{', '.join(map(written, arguments))}]"
    return _public_name(annotation)


def _public_name(kind: Any) -> str:
    """Return the shortest name by which a class can be imported: `polars.DataFrame`."""
    name = getattr(kind, "__qualname__", None)
    if name is None:
        return str(kind)
    module = str(getattr(kind, "__module__", "builtins"))
    if module == "builtins":
        return str(name)
    parts = module.split(".")
    modules = [".".join(parts[:count]) for count in range(1, len(parts) + 1)]
    public = next((m for m in modules if getattr(sys.modules.get(m), name, None) is kind), module)
    return f"{public}.{name}"
