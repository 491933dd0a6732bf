"""Orders that are calls: `a.set_downstream(b)`, `chain(a, b)` and their like, as `>>` says them."""

import ast
from itertools import pairwise

from practicus_assets.workflows.practicus.syntax import name_of

_METHODS: dict[str, type[ast.RShift | ast.LShift]] = {
    "set_downstream": ast.RShift,
    "set_upstream": ast.LShift,
}


def orders_of(call: ast.Call) -> list[ast.expr]:
    """Return what a call orders, as expressions of a flow; an empty list if it orders nothing."""
    function = name_of(call.func).rpartition(".")[2]
    if isinstance(call.func, ast.Attribute) and function in _METHODS and call.args:
        return [_then(call.func.value, call.args[0], call, _METHODS[function])]
    if function == "chain":
        return [order for before, after in pairwise(call.args) for order in _chained(before, after, call)]
    if function == "cross_downstream" and len(call.args) == 2 and isinstance(call.args[0], ast.List):  # noqa: PLR2004 both sides
        return [_then(before, call.args[1], call) for before in call.args[0].elts]
    return []


def _chained(before: ast.expr, after: ast.expr, call: ast.Call) -> list[ast.expr]:
    """Return the order of two links of a chain; lists of one length go side by side."""
    if isinstance(before, ast.List) and isinstance(after, ast.List) and len(before.elts) == len(after.elts):
        return [_then(one, other, call) for one, other in zip(before.elts, after.elts, strict=True)]
    return [_then(before, after, call)]


def _then(
    before: ast.expr, after: ast.expr, call: ast.Call, by: type[ast.RShift | ast.LShift] = ast.RShift
) -> ast.expr:
    return ast.copy_location(ast.BinOp(before, by(), after), call)
