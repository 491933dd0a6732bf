"""Values in a syntax tree: what an expression is, where that can be told without running it."""

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any


@dataclass(frozen=True)
class Unread:
    """An expression whose value only a run would tell.

    Attributes:
        text: the expression, as Python writes it.
        line: its line in the file.

    """

    text: str
    line: int

    def __str__(self) -> str:
        return f"{self.text} (line {self.line})"


def value_of(node: ast.expr, names: Mapping[str, Any]) -> Any:
    """Return the value of an expression, or an `Unread`.

    Read are literals, lists and mappings of them, names with such values, and calls of `timedelta` and of
    Airflow's `Param`, which is its default.

    Args:
        node: the expression.
        names: the values of names.

    """
    value: Any = _unread(node)
    if isinstance(node, ast.Constant):
        value = node.value
    elif isinstance(node, ast.Name):
        value = names.get(node.id, value)
    elif isinstance(node, ast.List | ast.Tuple):
        value = [value_of(element, names) for element in node.elts]
    elif isinstance(node, ast.Dict):
        pairs = list(zip(node.keys, node.values, strict=True))
        if all(isinstance(key, ast.Constant) for key, _ in pairs):
            value = {key.value: value_of(v, names) for key, v in pairs if isinstance(key, ast.Constant)}
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        inner = value_of(node.operand, names)
        value = -inner if isinstance(inner, int | float) else value
    elif isinstance(node, ast.Call):
        value = _called(node, names)
    return value


def name_of(node: ast.expr) -> str:
    """Return a dotted name, `prt.workflows.run_airflow_task`; empty for what is none."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        before = name_of(node.value)
        return f"{before}.{node.attr}" if before else ""
    return ""


def keywords_of(call: ast.Call, names: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of a call's keywords; `**kwargs` are left out."""
    return {word.arg: value_of(word.value, names) for word in call.keywords if word.arg is not None}


def _called(call: ast.Call, names: Mapping[str, Any]) -> Any:
    function = name_of(call.func).rpartition(".")[2]
    positional = [value_of(argument, names) for argument in call.args]
    by_name = keywords_of(call, names)
    if function == "Param":
        return positional[0] if positional else by_name.get("default")
    value: Any = _unread(call)
    if function == "timedelta" and all(isinstance(n, int | float) for n in (*positional, *by_name.values())):
        try:
            return timedelta(*positional, **by_name)
        except TypeError:
            return value
    return value


def _unread(node: ast.expr) -> Unread:
    return Unread(ast.unparse(node), node.lineno)
