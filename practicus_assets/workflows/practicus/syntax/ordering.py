"""Orders that are calls: `a.set_downstream(b)`, `chain(a, b)` and their like, as `>>` says them."""

import ast
from collections.abc import Callable
from itertools import pairwise

from practicus_assets.workflows.order import Operand, Order
from practicus_assets.workflows.place import Source

_METHODS = ("set_downstream", "set_upstream")
_FUNCTIONS = ("chain", "chain_linear", "cross_downstream")
_UNEVEN = "Give lists of one length, or write a line for each task."


class Ordering:
    """The order that calls say.

    Args:
        source: the text, to which errors point.
        order: takes the order.
        elements_of: returns the operands in a list; None for what is no list.
        links_of: returns what `*tasks` adds to a chain; None for what is no list.

    """

    def __init__(
        self,
        source: Source,
        order: Order,
        elements_of: Callable[[ast.expr], list[Operand] | None],
        links_of: Callable[[ast.expr], list[Operand | list[Operand]] | None],
    ) -> None:
        self._source = source
        self._order = order
        self._elements_of = elements_of
        self._links_of = links_of

    def take(self, call: ast.Call, function: str) -> bool:
        """Note what a call orders; return whether it orders anything.

        Args:
            call: the call.
            function: the last part of the function's name.

        Raises:
            DeclarationError: as `Order` does.

        """
        if isinstance(call.func, ast.Attribute) and call.func.attr in _METHODS and call.args:
            one, other = self._order.take(call.func.value), self._order.take(call.args[0])
            forward = call.func.attr == "set_downstream"
            self._order.note(*((one, other) if forward else (other, one)))
            return True
        if function not in _FUNCTIONS:
            return False
        links = [link for argument in call.args for link in self._links(argument)]
        for before, after in pairwise(links):
            if function == "chain" and isinstance(before, list) and isinstance(after, list):
                if len(before) != len(after):
                    problem = "a list is followed by a list of another length, which Airflow refuses, too"
                    raise self._source.error(call, problem, _UNEVEN)
                for earlier, later in zip(before, after, strict=True):
                    self._order.note(earlier, later)
            else:
                self._order.note(_together(before), _together(after))
        return True

    def _links(self, argument: ast.expr) -> list[Operand | list[Operand]]:
        """Return the links of a chain that an argument is: one, or those of `*tasks`."""
        if isinstance(argument, ast.Starred):
            if isinstance(argument.value, ast.List | ast.Tuple):
                return [link for element in argument.value.elts for link in self._links(element)]
            return self._links_of(argument.value) or [self._order.take(argument.value)]
        return [self._elements_of(argument) or self._order.take(argument)]


def _together(link: Operand | list[Operand]) -> Operand:
    links = link if isinstance(link, list) else [link]
    return Operand(
        tuple(task for one in links for task in one.first), tuple(task for one in links for task in one.last)
    )
