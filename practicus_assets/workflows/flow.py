"""Flows: the order of tasks, written as `[extract, check] >> load >> report`.

The text is parsed and never run. `>>` and `<<` mean what they mean between Airflow's operators (its
`DependencyMixin`): `a >> b` lets b run after a and stands for b; a list stands for all of its tasks.
"""

import ast
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from practicus_assets.errors import DeclarationError, did_you_mean
from practicus_assets.workflows.order import Operand, Order
from practicus_assets.workflows.place import Source


@dataclass(frozen=True)
class Flow:
    """Tasks in order.

    Attributes:
        upstream: the tasks that each task runs after, by its name; in the order in which they were named.

    """

    upstream: Mapping[str, tuple[str, ...]]

    @classmethod
    def parse(cls, text: str, known: Collection[str] | None = None) -> "Flow":
        """Return what a text says.

        Args:
            text: names of tasks, lists of them, `>>`, `<<` and parentheses; several lines make one flow, and
                a name alone is a task without others. How far a line is indented says nothing.
            known: the tasks that there are; None if any name is one.

        Raises:
            DeclarationError: for what is no flow, pointing at the place; for an unknown task, and for a
                circle.

        """
        text = "\n".join(line.strip() for line in text.splitlines())
        source = Source(text)

        def task(leaf: ast.expr) -> Operand | None:
            if not isinstance(leaf, ast.Name):
                return None
            if known is not None and leaf.id not in known:
                there = ", ".join(sorted(known)) or "none"
                advice = did_you_mean(leaf.id, known, f"There is {there}.")
                raise source.error(leaf, f"there is no task {leaf.id!r}", advice)
            return Operand.of(leaf.id)

        order = Order(source, task)
        for expression in _parsed(text, source):
            order.take(expression)
        return cls.of(order)

    @classmethod
    def of(cls, order: Order) -> "Flow":
        """Return the flow of an order.

        Raises:
            DeclarationError: for a circle, and for an order of no task.

        """
        if not order.upstream:
            raise DeclarationError("the flow names no task.", 'Write one, e.g. "extract >> load".')
        flow = cls({task: tuple(before) for task, before in order.upstream.items()})
        flow._refuse_circles()
        return flow

    @property
    def tasks(self) -> tuple[str, ...]:
        """The tasks, in the order in which they were named."""
        return tuple(self.upstream)

    def _refuse_circles(self) -> None:
        done: set[str] = set()
        for task in self.upstream:
            self._visit(task, done)

    def _visit(self, task: str, done: set[str]) -> None:
        path = {task: iter(self.upstream[task])}  # in the order of its insertions
        while path:
            name = next(reversed(path))
            following = next((other for other in path[name] if other not in done), None)
            if following is None:
                done.add(name)
                del path[name]
            elif following in path:
                names = list(path)
                circle = [following, *reversed(names[names.index(following) :])]
                raise DeclarationError(
                    f"the flow goes in a circle: {' >> '.join(circle)}.", "Remove one of these."
                )
            else:
                path[following] = iter(self.upstream[following])


def _parsed(text: str, source: Source) -> list[ast.expr]:
    try:
        module = ast.parse(text)
    except SyntaxError as error:
        place = (error.lineno or 1, max(error.offset or 1, 1) - 1)
        raise source.error_at(*place, f"it is no flow ({error.msg})", "Write names, >> and lists.") from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise DeclarationError(f"it is no flow ({error}).", "Write names, >> and lists.") from None
    expressions = []
    for statement in module.body:
        if not isinstance(statement, ast.Expr):
            raise source.error(
                statement, "this statement orders no tasks", "A flow has names of tasks, lists and >>."
            )
        expressions.append(statement.value)
    return expressions
