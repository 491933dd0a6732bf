"""Expressions of a syntax tree, as sentences show them: without strings that may be secrets."""

import ast
import copy
from dataclasses import dataclass

_LONGEST = 80  # characters
_SHORTEST_HIDDEN = 4
_MOST_NODES = 200  # of an expression that is shown


@dataclass(frozen=True)
class Unread:
    """An expression whose value only a run would tell.

    Attributes:
        text: the expression, as Python writes it, with `…` for strings.
        line: its line in the file.

    """

    text: str
    line: int

    @classmethod
    def of(cls, node: ast.expr) -> "Unread":
        """Return the unread value of an expression."""
        return cls(shown(node), node.lineno)

    def __str__(self) -> str:
        return f"{self.text} (line {self.line})"


def shown(node: ast.expr) -> str:
    """Return an expression as Python writes it, in at most 80 characters.

    Strings are shown as `…`, for any may be a password; those of keys stay, and those below four characters.

    """
    if sum(1 for _ in ast.walk(node)) > _MOST_NODES:
        return f"{dotted(node.func)}(…)" if isinstance(node, ast.Call) else "…"
    text = ast.unparse(_Hiding().visit(copy.deepcopy(node)))
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def dotted(node: ast.expr) -> str:
    """Return a dotted name, `prt.workflows.run_airflow_task`; empty for what is none."""
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(names)]) if isinstance(node, ast.Name) else ""


class _Hiding(ast.NodeTransformer):
    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        hidden = isinstance(node.value, str | bytes) and len(node.value) >= _SHORTEST_HIDDEN
        return ast.Constant("…") if hidden else node

    def visit_JoinedStr(self, _: ast.JoinedStr) -> ast.expr:
        return ast.Constant("…")

    def visit_Dict(self, node: ast.Dict) -> ast.expr:
        return ast.Dict(node.keys, [self.visit(value) for value in node.values])

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        return ast.Subscript(self.visit(node.value), node.slice, node.ctx)
