"""Flows: the order of tasks, written as `[extract, check] >> load >> report`.

The text is parsed and never run. `>>` and `<<` mean what they mean between Airflow's operators (its
`DependencyMixin`): `a >> b` lets b run after a and stands for b; a list stands for all of its tasks.
"""

import ast
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from textwrap import dedent

from practicus_assets.errors import DeclarationError, did_you_mean

_Tasks = str | list[str]


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
                a name alone is a task without others.
            known: the tasks that there are; None if any name is one.

        Raises:
            DeclarationError: for what is no flow, pointing at the place; for an unknown task, and for a
                circle.

        """
        text = dedent(text)
        return cls.of(_parsed(text), text, known)

    @classmethod
    def of(cls, statements: list[ast.expr], text: str, known: Collection[str] | None = None) -> "Flow":
        """Return what expressions of a syntax tree say. Args and errors as of `parse`."""
        reading = _Reading(text, known)
        for statement in statements:
            reading.tasks(statement)
        if not reading.upstream:
            raise DeclarationError("the flow names no task.", 'Write one, e.g. "extract >> load".')
        flow = cls({task: tuple(before) for task, before in reading.upstream.items()})
        flow._refuse_circles()
        return flow

    @property
    def tasks(self) -> tuple[str, ...]:
        """The tasks, in the order in which they were named."""
        return tuple(self.upstream)

    def _refuse_circles(self) -> None:
        done: set[str] = set()
        for task in self.upstream:
            path: list[str] = []
            self._visit(task, path, done)

    def _visit(self, task: str, path: list[str], done: set[str]) -> None:
        pending = [(task, iter(self.upstream[task]))]
        path.append(task)
        while pending:
            name, before = pending[-1]
            following = next((other for other in before if other not in done), None)
            if following is None:
                done.add(name)
                path.pop()
                pending.pop()
            elif following in path:
                circle = [following, *reversed(path[path.index(following) :])]
                raise DeclarationError(
                    f"the flow goes in a circle: {' >> '.join(circle)}.", "Remove one of these."
                )
            else:
                path.append(following)
                pending.append((following, iter(self.upstream[following])))


class _Reading:
    """The reading of one flow."""

    def __init__(self, text: str, known: Collection[str] | None) -> None:
        self._lines = text.splitlines()
        self._known = known
        self.upstream: dict[str, dict[str, None]] = {}

    def tasks(self, node: ast.expr) -> _Tasks:
        """Return the tasks that an expression stands for, and note their order."""
        if isinstance(node, ast.Name):
            return self._task(node)
        if isinstance(node, ast.List | ast.Tuple):
            for element in node.elts:
                if isinstance(element, ast.List | ast.Tuple):
                    raise self._error(element, "a list is inside of a list", "Write one list.")
            found = [self.tasks(element) for element in node.elts]
            return [task for tasks in found for task in ([tasks] if isinstance(tasks, str) else tasks)]
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.RShift | ast.LShift):
            left, right = self.tasks(node.left), self.tasks(node.right)
            if isinstance(left, list) and isinstance(right, list):
                raise self._error(
                    node.right,
                    "a list is followed by a list, which Airflow refuses, too",
                    "Put a task between them, or write a line for each task of one of them.",
                )
            before, after = (left, right) if isinstance(node.op, ast.RShift) else (right, left)
            self._note(before, after)
            return right
        raise self._error(
            node, "here is no task", "A flow has names of tasks, lists of them, >>, << and parentheses."
        )

    def _task(self, node: ast.Name) -> str:
        if self._known is not None and node.id not in self._known:
            there = ", ".join(sorted(self._known)) or "none"
            advice = did_you_mean(node.id, self._known, f"There is {there}.")
            raise self._error(node, f"there is no task {node.id!r}", advice)
        self.upstream.setdefault(node.id, {})
        return node.id

    def _note(self, before: _Tasks, after: _Tasks) -> None:
        for later in _each(after):
            for earlier in _each(before):
                self.upstream[later][earlier] = None

    def _error(self, node: ast.expr, problem: str, advice: str) -> DeclarationError:
        return _pointing(self._lines, node.lineno, node.col_offset, problem, advice)


def _parsed(text: str) -> list[ast.expr]:
    lines = text.splitlines()
    try:
        module = ast.parse(text)
    except SyntaxError as error:
        place = (error.lineno or 1, (error.offset or 1) - 1)
        raise _pointing(lines, *place, f"it is no flow ({error.msg})", "Write names, >> and lists.") from None
    expressions = []
    for statement in module.body:
        if not isinstance(statement, ast.Expr):
            place = (statement.lineno, statement.col_offset)
            raise _pointing(
                lines, *place, "this statement orders no tasks", "A flow has names of tasks, lists and >>."
            )
        expressions.append(statement.value)
    return expressions


def _pointing(lines: list[str], line: int, column: int, problem: str, advice: str) -> DeclarationError:
    """Return an error that shows the line, and points at a place in it."""
    shown = lines[line - 1] if line <= len(lines) else ""
    return DeclarationError(f"{problem} (line {line}):\n    {shown}\n    {' ' * column}^\n", advice)


def _each(tasks: _Tasks) -> Iterator[str]:
    yield from [tasks] if isinstance(tasks, str) else tasks
