"""Imports: what the names of a dag file stand for, whatever they are called there."""

import ast
import re

_TASK = re.compile(r"(?:.*\.(?:decorators|sdk)\.)?task(?:\.(\w+))?")


class Imports:
    """The names that a dag file imports.

    Args:
        tree: the file's syntax tree.

    """

    def __init__(self, tree: ast.Module) -> None:
        self._full: dict[str, str] = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                self._full |= {name.asname: name.name for name in node.names if name.asname}
            elif isinstance(node, ast.ImportFrom) and node.module:
                self._full |= {name.asname or name.name: f"{node.module}.{name.name}" for name in node.names}

    def full(self, name: str) -> str:
        """Return a dotted name as its module has it: `task` as `airflow.decorators.task`."""
        first, _, rest = name.partition(".")
        known = self._full.get(first, first)
        return f"{known}.{rest}" if rest else known

    def task_kind(self, name: str) -> str | None:
        """Return which task a decorator of Airflow makes: "task", or "branch" for `@task.branch`."""
        found = _TASK.fullmatch(self.full(name))
        return None if found is None else found[1] or "task"

    def last(self, name: str) -> str:
        """Return the last part of that: `PythonOperator`, whatever it is imported as."""
        return self.full(name).rpartition(".")[2]
