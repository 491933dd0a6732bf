"""Parameters: a public function or class that is called with a wrong one names the right one."""

import inspect
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, TypeVar, cast

from practicus_assets.errors import DeclarationError, did_you_mean

_Callee = TypeVar("_Callee", bound=Callable[..., Any])


def named_parameters(callee: _Callee) -> _Callee:
    """Return a function or class whose callers are told of a wrong parameter by a DeclarationError."""
    if isinstance(callee, type):
        callee.__init__ = _checked(callee.__init__, callee.__name__)  # type: ignore[misc] # of any class
        return callee
    return cast("_Callee", _checked(callee, callee.__qualname__))


def _checked(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    signature = inspect.signature(function)

    @wraps(function)
    def call(*arguments: Any, **named: Any) -> Any:
        _refuse_misnamed(name, signature, arguments, named)
        return function(*arguments, **named)

    return call


def _refuse_misnamed(
    name: str, signature: inspect.Signature, arguments: tuple[Any, ...], named: Mapping[str, Any]
) -> None:
    """Raise DeclarationError where Python would raise TypeError for the parameters of a call."""
    parameters = signature.parameters
    try:
        signature.bind(*arguments, **named)
    except TypeError as error:
        own = [p for p in parameters if p not in {"self", "cls"}]
        every = f"Its parameters are {', '.join(own)}." if own else "It has no parameters."
        unknown = [key for key in named if key not in parameters]
        if unknown:
            raise DeclarationError(
                f"{name} has no parameter {unknown[0]!r}.", did_you_mean(unknown[0], own, every)
            ) from None
        raise DeclarationError(f"{name} cannot be called like this: {error}.", every) from None
