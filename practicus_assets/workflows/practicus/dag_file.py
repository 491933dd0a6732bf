"""Dag files: what `<dag_key>_dag.py` of a Practicus workflow says, by its syntax tree."""

import ast
import io
import stat
import tokenize
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from practicus_assets.errors import DeclarationError
from practicus_assets.workflows.flow import Flow
from practicus_assets.workflows.order import Operand
from practicus_assets.workflows.practicus.syntax.dag_settings import DagSettings
from practicus_assets.workflows.practicus.syntax.node import Node
from practicus_assets.workflows.practicus.syntax.statements import Statements

_LARGEST = 4 * 2**20  # bytes


@dataclass(frozen=True)
class DagFile:
    """What a dag file says.

    Attributes:
        name: the workflow's key: the file's name without `_dag.py`.
        nodes: by task id, in the order of the flow.
        flow: the order of the task ids.
        settings: what it says of all tasks.
        unread: what is not understood, or has no counterpart, as sentences.

    """

    name: str
    nodes: Mapping[str, Node]
    flow: Flow
    settings: DagSettings
    unread: Sequence[str]

    @property
    def schedule(self) -> str | None:
        """A cron expression or a preset; None for none."""
        return self.settings.schedule

    @property
    def owner(self) -> str | None:
        """The owner of all tasks; None if only a run would tell."""
        return self.settings.owner

    @property
    def retries(self) -> int:
        """How often a failed task is tried again."""
        return self.settings.retries

    @property
    def retry_delay_seconds(self) -> float:
        """The time between attempts."""
        return self.settings.retry_delay_seconds

    @property
    def parameters(self) -> Mapping[str, Any]:
        """The parameters of a run, with their defaults."""
        return self.settings.parameters

    @property
    def max_active_runs(self) -> int | None:
        """How many runs may be in progress; None for any number."""
        return self.settings.max_active_runs


def read_dag_file(path: Path) -> DagFile:
    """Return what a dag file says.

    Raises:
        DeclarationError: if it cannot be read, is no Python, or orders no tasks; and as `Flow` does.

    """
    try:
        text, tree = _parsed(path)
        statements = Statements(path.name, text, tree)
        statements.read(tree.body)
        return _dag_file(path.name, statements)
    except RecursionError:
        raise DeclarationError(
            f"the dag file {path} cannot be read: it is nested too deeply.", "Write it flat."
        ) from None


def _parsed(path: Path) -> tuple[str, ast.Module]:
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # reading a pipe would wait for ever
            raise _unreadable(path, "it is no file")
        if path.stat().st_size > _LARGEST:
            raise _unreadable(path, f"it has more than {_LARGEST // 2**20} MiB")
        content = path.read_bytes()
        encoding, _ = tokenize.detect_encoding(io.BytesIO(content).readline)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of escapes in strings that are not ours
            return content.decode(encoding), ast.parse(content)
    except SyntaxError as error:
        where = f"SyntaxError: {error.msg} (line {error.lineno})" if error.lineno else str(error)
        raise _unreadable(path, where) from None
    except (OSError, ValueError, MemoryError) as error:
        raise _unreadable(path, f"{type(error).__name__}: {error}") from None


def _unreadable(path: Path, why: str) -> DeclarationError:
    return DeclarationError(f"the dag file {path} cannot be read: {why}.", "Repair the file.")


def _dag_file(file: str, statements: Statements) -> DagFile:
    nodes, order = statements.nodes.by_id, statements.order
    if not order.upstream:  # each is a task without others
        for task in nodes:
            order.mention(Operand.of(task))
    if not order.upstream:
        raise DeclarationError(
            f"the dag file {file} orders no tasks.",
            "Its last lines are to be a flow, e.g. [table1, table2] >> final_table.",
        )
    flow = Flow.of(order)
    for task in nodes:
        if task not in flow.upstream:
            statements.remarks.say(f"the task {task} is not in the flow, and is left out")
    settings = DagSettings.of(statements.dag or {}, statements.remarks)
    return DagFile(
        file.removesuffix(".py").removesuffix("_dag"),
        {task: nodes[task] for task in flow.upstream},
        flow,
        settings,
        statements.remarks.sentences(),
    )
