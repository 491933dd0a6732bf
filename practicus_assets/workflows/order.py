"""Orders: which tasks run before which, as expressions with `>>` and `<<` add to it."""

import ast
from collections.abc import Callable
from dataclasses import dataclass

from practicus_assets.workflows.place import Source

_ADVICE = "A flow has names of tasks, lists of them, >>, << and parentheses."
_DEEPEST = 100  # of parentheses and lists; Python reads no more


@dataclass(frozen=True)
class Operand:
    """What stands beside a `>>`: a task, a group of tasks, or a list of these.

    Attributes:
        first: the tasks of it that run first: what is to be before it is before these.
        last: the tasks of it that run last: what is to be after it is after these.
        is_list: whether it is a list, which has no `>>` to another one.

    """

    first: tuple[str, ...]
    last: tuple[str, ...]
    is_list: bool = False

    @classmethod
    def of(cls, task: str) -> "Operand":
        """Return a single task."""
        return cls((task,), (task,))


class Order:
    """The order of tasks, while it is read.

    Args:
        source: the text that is read, to which errors point.
        operand_of: returns what an expression stands for that is neither a list nor has a `>>`; None if it
            stands for no task.
        is_label: whether an expression only says something of an arrow.

    Attributes:
        upstream: the tasks that each task runs after; keys and values in the order in which they were named.

    """

    def __init__(
        self,
        source: Source,
        operand_of: Callable[[ast.expr], Operand | None],
        is_label: Callable[[ast.expr], bool] = lambda _: False,
    ) -> None:
        self._source = source
        self._operand_of = operand_of
        self._is_label = is_label
        self.upstream: dict[str, dict[str, None]] = {}

    def take(self, node: ast.expr, depth: int = 0) -> Operand:
        """Note the order that an expression says, and return what it stands for.

        Raises:
            DeclarationError: for what stands for no task, and where Airflow refuses it, too.

        """
        if depth > _DEEPEST:
            raise self._source.error(node, "this is nested too deeply", "Write several lines.")
        steps: list[ast.BinOp] = []  # from the last: a long line is a deep tree
        while isinstance(node, ast.BinOp) and isinstance(node.op, ast.RShift | ast.LShift):
            steps.append(node)
            node = node.left
        left = self._side(node, depth)
        for step in reversed(steps):
            if self._is_label(step.right):
                continue
            right = self.take(step.right, depth + 1)
            if left.is_list and right.is_list:
                raise self._source.error(
                    step.right,
                    "a list is followed by a list, which Airflow refuses, too",
                    "Put a task between them, or write a line for each task of one of them.",
                )
            before, after = (left, right) if isinstance(step.op, ast.RShift) else (right, left)
            self.note(before, after)
            left = right
        return left

    def note(self, before: Operand, after: Operand) -> None:
        """Note that one runs before the other."""
        self.mention(before)
        self.mention(after)
        for later in after.first:
            self.upstream[later].update(dict.fromkeys(before.last))

    def mention(self, operand: Operand) -> None:
        """Note that there are these tasks."""
        for task in (*operand.first, *operand.last):
            self.upstream.setdefault(task, {})

    def _side(self, node: ast.expr, depth: int) -> Operand:
        if isinstance(node, ast.List | ast.Tuple):
            return self._list(node, depth)
        operand = self._operand_of(node)
        if operand is None:
            raise self._source.error(node, "here is no task", _ADVICE)
        self.mention(operand)
        return operand

    def _list(self, node: ast.List | ast.Tuple, depth: int) -> Operand:
        first: dict[str, None] = {}
        last: dict[str, None] = {}
        for element in node.elts:
            operand = self.take(element, depth + 1)
            if operand.is_list and not isinstance(element, ast.Starred):
                raise self._source.error(element, "a list is inside of a list", "Write one list.")
            first |= dict.fromkeys(operand.first)
            last |= dict.fromkeys(operand.last)
        return Operand(tuple(first), tuple(last), is_list=True)
