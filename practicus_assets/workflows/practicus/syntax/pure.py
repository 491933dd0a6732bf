"""Pure functions of Python that dag files use on plain values, each bounded in time and memory."""

import operator
import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

MOST_VALUES = 10_000  # in one value, those inside of it included
_LONGEST_TEXT = 10_000
_LARGEST = 10**12
_FORMAT = re.compile(r"0?\d{0,2}[ds]?")


class NotPure(Exception):
    """A value cannot be told by pure functions."""


FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "bool": bool,
    "dict": dict,
    "enumerate": lambda *given: [list(pair) for pair in enumerate(*given)],
    "float": float,
    "int": int,
    "len": len,
    "list": list,
    "max": max,
    "min": min,
    "range": lambda *given: list(_short(range(*given))),
    "reversed": lambda given: list(reversed(given)),
    "set": lambda *given: list(dict.fromkeys(*given)),
    "sorted": sorted,
    "str": str,
    "sum": sum,
    "timedelta": timedelta,
    "tuple": list,
    "zip": lambda *given: [list(row) for row in zip(*given, strict=False)],
}
METHODS: Mapping[type, frozenset[str]] = {
    str: frozenset(
        {"capitalize", "endswith", "join", "lower", "replace", "split", "startswith", "strip", "title"}
        | {"removeprefix", "removesuffix", "upper", "lstrip", "rstrip"}
    ),
    dict: frozenset({"get", "items", "keys", "values", "update"}),
    list: frozenset({"append", "extend", "index", "count", "insert", "copy"}),
}
_OPERATORS: Mapping[str, Callable[[Any, Any], Any]] = {
    "Add": operator.add,
    "Sub": operator.sub,
    "Mult": operator.mul,
    "FloorDiv": operator.floordiv,
    "Div": operator.truediv,
    "Mod": operator.mod,
    "BitOr": operator.or_,
    "Eq": operator.eq,
    "NotEq": operator.ne,
    "Lt": operator.lt,
    "LtE": operator.le,
    "Gt": operator.gt,
    "GtE": operator.ge,
    "Is": operator.is_,
    "IsNot": operator.is_not,
    "In": lambda left, right: left in right,
    "NotIn": lambda left, right: left not in right,
}
_ERRORS = (TypeError, ValueError, KeyError, IndexError, AttributeError, ArithmeticError)


def bounded(value: Any) -> Any:
    """Return a value that is small enough to work with.

    Raises:
        NotPure: if it is not.

    """
    if isinstance(value, int) and abs(value) > _LARGEST:
        raise NotPure
    pending, values, length = [value], 0, 0
    while pending:
        item = pending.pop()
        values += 1
        if isinstance(item, str | bytes):
            length += len(item)
        elif isinstance(item, list | tuple):
            pending += item
        elif isinstance(item, dict):
            pending += [*item.keys(), *item.values()]
        if values + len(pending) > MOST_VALUES or length > 10 * _LONGEST_TEXT:
            raise NotPure
    return value


def operated(kind: str, left: Any, right: Any) -> Any:
    """Return what an operator of the syntax tree, such as `Add`, makes of two values.

    Raises:
        NotPure: if it makes nothing of them, or too much.

    """
    if kind in ("Mult", "Mod") and isinstance(left, str | list | bytes):
        raise NotPure  # may be of any length
    if kind == "Mult" and isinstance(right, str | list | bytes):
        raise NotPure
    return _called(_OPERATORS.get(kind, _nothing), left, right)


def called(name: str, *given: Any, **by_name: Any) -> Any:
    """Return what a function makes of values. Raises as `operated`."""
    return _called(FUNCTIONS.get(name, _nothing), *given, **by_name)


def called_of(value: Any, method: str, *given: Any) -> Any:
    """Return what a method of a value makes of others. Raises as `operated`."""
    if method not in METHODS.get(type(value), ()):
        raise NotPure
    if method == "replace" and len(value) * len(str(given[-1:])) > _LONGEST_TEXT:
        raise NotPure
    if method == "join" and given and isinstance(given[0], list):
        bounded([value] * len(given[0]))
    bounded(value)
    found = _called(getattr(value, method), *[_copied(item) for item in given])
    if isinstance(value, dict) and method in ("items", "keys", "values"):
        return [list(entry) if isinstance(entry, tuple) else entry for entry in found]
    return found


def formatted(value: Any, spec: str) -> str:
    """Return a value as an f-string writes it. Raises as `operated`."""
    if not _FORMAT.fullmatch(spec):
        raise NotPure
    return str(_called(format, value, spec))


def _called(function: Callable[..., Any], *given: Any, **by_name: Any) -> Any:
    bounded([*given, *by_name.values()])
    try:
        return bounded(function(*given, **by_name))
    except _ERRORS:
        raise NotPure from None


def _copied(value: Any) -> Any:
    """Return a value of which no list is another's, so that none grows unseen."""
    if isinstance(value, list):
        return [_copied(item) for item in value]
    return {key: _copied(item) for key, item in value.items()} if isinstance(value, dict) else value


def _nothing(*_: Any, **__: Any) -> Any:
    raise NotPure


def _short(numbers: range) -> range:
    if len(numbers) > MOST_VALUES:
        raise NotPure
    return numbers
