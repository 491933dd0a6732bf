"""Parameters: a public function or class that is called with a wrong one names the right one."""

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
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


def refuse_unknown(name: str, options: Iterable[str], taken: Sequence[str]) -> None:
    """Raise DeclarationError for an option that a function does not take, before it hands all on.

    Args:
        name: what the function is called in the error.
        options: the names of the options that were given.
        taken: the names of those that exist.

    """
    for option in options:
        if option not in taken:
            raise DeclarationError(
                f"{name} has no parameter {option!r}.",
                did_you_mean(option, taken, f"Its parameters are {', '.join(taken)}."),
            )


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
        any_name = inspect.Parameter.VAR_KEYWORD
        own = [
            p.name for p in parameters.values() if p.name not in {"self", "cls"} and p.kind is not any_name
        ]
        refuse_unknown(name, named, own)
        raise DeclarationError(
            f"{name} cannot be called like this: {error}.",
            f"Its parameters are {', '.join(own)}." if own else "It has no parameters.",
        ) from None
