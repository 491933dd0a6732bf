"""Evaluation: what an expression of a dag file is, as far as that can be told without running it."""

import ast
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from practicus_assets.errors import DeclarationError
from practicus_assets.workflows.order import Operand
from practicus_assets.workflows.practicus.syntax.expression import Unread, dotted
from practicus_assets.workflows.practicus.syntax.node import Maker
from practicus_assets.workflows.practicus.syntax.pure import (
    NotPure,
    bounded,
    called,
    called_of,
    formatted,
    operated,
)
from practicus_assets.workflows.practicus.syntax.task_group import TaskGroup

MOST_STEPS = 10_000
PURE = object()
"""Stands for the value of a call that may be one of a pure function."""


@dataclass(frozen=True)
class Zone:
    """A time zone, or a moment in one.

    Attributes:
        name: the zone's name; None for none.

    """

    name: str | None


class Names:
    """The values of names, by the functions in which they are."""

    def __init__(self) -> None:
        self._scopes: list[dict[str, Any]] = [{}]

    def get(self, name: str) -> Any:
        """Return the value of a name. Raises KeyError if it has none."""
        return next(scope[name] for scope in reversed(self._scopes) if name in scope)

    def has(self, name: str) -> bool:
        """Return whether a name has a value."""
        return any(name in scope for scope in self._scopes)

    def set(self, name: str, value: Any) -> None:
        """Give a name of the innermost function a value."""
        self._scopes[-1][name] = value

    def of_tasks(self) -> list[str]:
        """Return the names whose values have tasks."""
        return [name for scope in self._scopes for name, value in scope.items() if has_tasks(value)]

    @contextmanager
    def inside(self, names: Mapping[str, Any]) -> Iterator[None]:
        """Be inside of a function with these names."""
        self._scopes.append(dict(names))
        try:
            yield
        finally:
            self._scopes.pop()


class Evaluation:
    """The evaluation of expressions.

    Args:
        names: the values of names.
        call: returns what a call is that is no pure function of plain values, and `PURE` for one that may be.
        order: notes what a `>>` orders, and returns what it stands for.

    """

    def __init__(
        self, names: Names, call: Callable[[ast.Call], Any], order: Callable[[ast.BinOp], Operand]
    ) -> None:
        self.names = names
        self._call = call
        self._order = order
        self._steps = 0

    def step(self, line: int) -> None:
        """Count one step of a loop or a function.

        Raises:
            DeclarationError: after very many.

        """
        self._steps += 1
        if self._steps > MOST_STEPS:
            raise DeclarationError(
                f"the dag file takes more than {MOST_STEPS:,} steps to be read (line {line}).",
                "Write its tasks out.",
            )

    def value(self, node: ast.expr) -> Any:
        """Return the value of an expression, or an `Unread`."""
        try:
            return self._value(node)
        except NotPure:
            return Unread.of(node)

    def keywords(self, call: ast.Call) -> dict[str, Any]:
        """Return the values of a call's keywords; of `**kwargs` those that are known."""
        found: dict[str, Any] = {}
        for word in call.keywords:
            value = self.value(word.value)
            if word.arg is not None:
                found[word.arg] = value
            elif isinstance(value, dict):
                found |= {name: item for name, item in value.items() if isinstance(name, str)}
        return found

    def elements(self, nodes: list[ast.expr]) -> list[Any]:
        """Return the values of expressions, those of `*tasks` in their place. Raises NotPure."""
        found: list[Any] = []
        for node in nodes:
            if isinstance(node, ast.Starred):
                found += _listed(self.value(node.value))
            else:
                found.append(self.value(node))
        bounded(found)
        return found

    def bind(self, target: ast.expr, value: Any) -> None:
        """Give the names of an assignment's left side their values."""
        if isinstance(target, ast.Name):
            self.names.set(target.id, value)
        elif isinstance(target, ast.Tuple | ast.List):
            values = value if isinstance(value, list) else []
            for number, element in enumerate(target.elts):
                known = len(values) == len(target.elts)
                self.bind(element, values[number] if known else Unread.of(element))
        elif isinstance(target, ast.Subscript):
            whole, key = self.value(target.value), self.value(target.slice)
            if isinstance(whole, dict) and isinstance(key, str | int):
                whole[key] = value

    def _value(self, node: ast.expr) -> Any:  # noqa: C901, PLR0911, PLR0912 a case for each kind
        match node:
            case ast.Constant():
                return node.value
            case ast.Name() if self.names.has(node.id):
                return self.names.get(node.id)
            case ast.List() | ast.Tuple() | ast.Set():
                return self.elements(node.elts)
            case ast.Dict():
                return self._mapping(node)
            case ast.JoinedStr():
                return bounded("".join(self._piece(piece) for piece in node.values))
            case ast.UnaryOp():
                return self._signed(node)
            case ast.BinOp(op=ast.RShift() | ast.LShift()) if self._orders(node):
                return self._order(node)
            case ast.BinOp():
                left, right = self._plain(node.left), self._plain(node.right)
                return operated(type(node.op).__name__, left, right)
            case ast.Compare(ops=[sign], comparators=[other]):
                return operated(type(sign).__name__, self._plain(node.left), self._plain(other))
            case ast.BoolOp():
                return self._either(node)
            case ast.IfExp():
                return self.value(node.body if self.truth(node.test) else node.orelse)
            case ast.Subscript():
                return self._part(node)
            case ast.Attribute(attr="output"):
                return self._of_tasks(node.value)
            case ast.NamedExpr():
                value = self.value(node.value)
                self.bind(node.target, value)
                return value
            case ast.ListComp() | ast.GeneratorExp() | ast.SetComp():
                return bounded(list(self._each(node.generators, lambda: self.value(node.elt))))
            case ast.DictComp():
                entry = lambda: (self._plain(node.key), self.value(node.value))  # noqa: E731 named for mypy
                return bounded(dict(self._each(node.generators, entry)))
            case ast.Call():
                return self._called(node)
        raise NotPure

    def truth(self, node: ast.expr) -> bool:
        """Return whether an expression is true. Raises NotPure if only a run would tell."""
        return bool(self._plain(node))

    def loop(self, iterable: ast.expr) -> list[Any]:
        """Return what a loop goes through. Raises NotPure if only a run would tell."""
        return list(_listed(self.value(iterable)))

    def _plain(self, node: ast.expr) -> Any:
        value = self.value(node)
        if isinstance(value, Unread | Maker):
            raise NotPure
        return value

    def _of_tasks(self, node: ast.expr) -> Any:
        value = self.value(node)
        if not isinstance(value, Operand):
            raise NotPure
        return value

    def _mapping(self, node: ast.Dict) -> dict[Any, Any]:
        found: dict[Any, Any] = {}
        for key, value in zip(node.keys, node.values, strict=True):
            if key is None:
                inside = self._plain(value)
                if not isinstance(inside, dict):
                    raise NotPure
                found |= inside
            else:
                name = self._plain(key)
                if not isinstance(name, str | int | float | bool | None):
                    raise NotPure
                found[name] = self.value(value)
        bounded(found)
        return found

    def _piece(self, piece: ast.expr) -> str:
        if not isinstance(piece, ast.FormattedValue):
            return str(self._plain(piece))
        value = self._plain(piece.value)
        spec = self._plain(piece.format_spec) if piece.format_spec is not None else ""
        if not isinstance(value, str | int | float) or piece.conversion not in (-1, ord("s")):
            raise NotPure
        return formatted(value, spec)

    def _signed(self, node: ast.UnaryOp) -> Any:
        if isinstance(node.op, ast.Not):
            return not self.truth(node.operand)
        value = self._plain(node.operand)
        if not isinstance(node.op, ast.USub) or not isinstance(value, int | float):
            raise NotPure
        return -value

    def _either(self, node: ast.BoolOp) -> Any:
        value: Any = None
        for operand in node.values:
            value = self._plain(operand)
            if bool(value) is isinstance(node.op, ast.Or):
                break
        return value

    def _part(self, node: ast.Subscript) -> Any:
        whole = self.value(node.value)
        if isinstance(whole, Operand):  # a key of what a task returned
            return whole
        if not isinstance(whole, list | dict | str):
            raise NotPure
        if isinstance(node.slice, ast.Slice):
            ends = [
                None if end is None else self._plain(end)
                for end in (node.slice.lower, node.slice.upper, node.slice.step)
            ]
            key: Any = slice(*ends)
        else:
            key = self._plain(node.slice)
        try:
            return whole[key]
        except (TypeError, ValueError, KeyError, IndexError):
            raise NotPure from None

    def _each(self, loops: list[ast.comprehension], make: Callable[[], Any]) -> Iterator[Any]:
        loop, *others = loops
        for item in self.loop(loop.iter):
            self.step(loop.target.lineno)
            with self.names.inside({}):
                self.bind(loop.target, item)
                if all(self.truth(test) for test in loop.ifs):
                    yield from self._each(others, make) if others else [make()]

    def _called(self, call: ast.Call) -> Any:
        name = dotted(call.func)
        if name == "Param" or name.endswith(".Param"):
            given = self.elements(call.args[:1])
            return given[0] if given else self.keywords(call).get("default")
        value = self._call(call)
        if value is not PURE:
            return value
        if isinstance(call.func, ast.Attribute):
            whole = self.value(call.func.value)
            if isinstance(whole, str | list | dict):
                return called_of(whole, call.func.attr, *self._arguments(call))
        if self.names.has(name):
            raise NotPure
        short = name.rpartition(".")[2] if name.endswith("timedelta") else name
        return called(short, *self._arguments(call), **self._named(call))

    def _arguments(self, call: ast.Call) -> list[Any]:
        given = self.elements(call.args)
        if any(isinstance(value, Unread) for value in given):
            raise NotPure
        return given

    def _named(self, call: ast.Call) -> dict[str, Any]:
        given = self.keywords(call)
        if any(isinstance(value, Unread) for value in given.values()):
            raise NotPure
        return given

    def _orders(self, node: ast.BinOp) -> bool:
        """Return whether a shift is one of tasks, and not of numbers."""
        for inside in ast.walk(node):
            if isinstance(inside, ast.keyword) and inside.arg == "task_id":
                return True
            if isinstance(inside, ast.Name) and self.names.has(inside.id):
                value = self.names.get(inside.id)
                if has_tasks(value) or isinstance(value, Maker):
                    return True
        return False


def has_tasks(value: Any) -> bool:
    """Return whether a value is of tasks, or has some in it."""
    pending = [value]
    for item in pending:
        if isinstance(item, Operand | TaskGroup):
            return True
        if isinstance(item, list):
            pending += item
        elif isinstance(item, dict):
            pending += item.values()
        if len(pending) > MOST_STEPS:
            return False
    return False


def _listed(value: Any) -> list[Any]:
    if isinstance(value, dict | str):
        return list(value)
    if not isinstance(value, list):
        raise NotPure
    return value
