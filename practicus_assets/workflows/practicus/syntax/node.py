"""Nodes of the flow, and what makes them."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from practicus_assets.errors import DeclarationError
from practicus_assets.workflows.order import Operand
from practicus_assets.workflows.practicus.syntax.task_group import TaskGroup

TASK = "task"


@dataclass(frozen=True)
class Node:
    """A node of the flow.

    Attributes:
        task_id: its name; its file is called so.
        operator: what Airflow runs it by: "task" for a file of the folder, else the operator's class.
        arguments: what the operator is given.
        environment: the environment variables that the dag file gives it, whose values it says.

    """

    task_id: str
    operator: str
    arguments: Mapping[str, Any] = field(repr=False)
    environment: Mapping[str, str]


@dataclass(frozen=True)
class Maker:
    """What makes a node when it is called: `task(f, task_id="x")`, or a function under `@task`.

    Attributes:
        task_id: the node's name.
        operator: as of `Node`.
        runs: the name of the function that Airflow runs.
        arguments: what the operator is given.
        is_mapped: whether it makes as many tasks as a run finds values.

    """

    task_id: Any
    operator: str
    runs: str
    arguments: Mapping[str, Any]
    is_mapped: bool = False

    def overridden(self, arguments: Mapping[str, Any]) -> "Maker":
        """Return one with other arguments, as `.override(task_id="y")` does."""
        others = {name: value for name, value in arguments.items() if name != "task_id"}
        task_id = arguments.get("task_id", self.task_id)
        return replace(self, task_id=task_id, arguments={**self.arguments, **others})


class Nodes:
    """The nodes that a dag file makes, and the groups that they are in.

    Args:
        file: the dag file's name.

    Attributes:
        by_id: the nodes, by task id.

    """

    def __init__(self, file: str) -> None:
        self._file = file
        self._groups: list[TaskGroup] = []
        self.by_id: dict[str, Node] = {}

    def add(self, node: Node, line: int) -> Operand:
        """Note a node, and return what it is beside a `>>`.

        Raises:
            DeclarationError: if there is one of its name.

        """
        task_id = self._prefix + node.task_id
        if task_id in self.by_id:
            raise DeclarationError(
                f"the dag file {self._file} has two tasks {task_id!r} (line {line}).", "Rename one of them."
            )
        self.by_id[task_id] = replace(node, task_id=task_id)
        for group in self._groups:
            group.tasks.append(task_id)
        return Operand.of(task_id)

    def group(self, name: str, *, has_prefix: bool) -> TaskGroup:
        """Return a new group, inside of those that are open; one without a prefix has not theirs either."""
        return TaskGroup(f"{self._prefix}{name}." if has_prefix else "")

    def open(self, group: TaskGroup) -> None:
        """Take nodes into a group from here on."""
        self._groups.append(group)

    def close(self) -> None:
        """Take no more nodes into the group that was opened last."""
        self._groups.pop()

    @property
    def is_in_group(self) -> bool:
        """Whether a group is open."""
        return bool(self._groups)

    @property
    def _prefix(self) -> str:
        return self._groups[-1].prefix if self._groups else ""
