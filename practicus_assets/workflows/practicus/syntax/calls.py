"""Calls of a dag file: those that make tasks, groups and the dag, and those that order them."""

import ast
from collections.abc import Callable, Mapping
from typing import Any

from practicus_assets.errors import did_you_mean
from practicus_assets.workflows.order import Operand, Order
from practicus_assets.workflows.place import Source
from practicus_assets.workflows.practicus.syntax.evaluation import Evaluation, Zone, has_tasks
from practicus_assets.workflows.practicus.syntax.expression import Unread, dotted
from practicus_assets.workflows.practicus.syntax.imports import Imports
from practicus_assets.workflows.practicus.syntax.node import TASK, Maker, Node, Nodes
from practicus_assets.workflows.practicus.syntax.ordering import Ordering
from practicus_assets.workflows.practicus.syntax.remarks import Remarks
from practicus_assets.workflows.practicus.syntax.task_group import TaskGroup
from practicus_assets.workflows.practicus.syntax.variables import Variables

LABEL = object()
"""Stands for a `Label`, which says something of an arrow and orders nothing."""

_OF_TASK = {  # what an operator is given that has a counterpart, or needs none
    "task_id",
    "python_callable",
    "dag",
    "provide_context",
    "do_xcom_push",
    "doc_md",
    "doc",
    "env_variables",
}
_OF_GROUP = {"group_id", "prefix_group_id", "tooltip", "dag", "ui_color", "ui_fgcolor"}
_MAPPING = {"expand", "expand_kwargs", "partial"}


class Calls:
    """What calls make.

    Args:
        source: the dag file, to which errors point.
        imports: its imports.
        nodes: takes the nodes.
        remarks: takes what is not understood.
        functions: those of the file, by name.
        take_dag: takes the call that makes the dag.
        inline: returns what a function of the file makes of a call; `PURE` if it is none of the file's.

    Attributes:
        order: takes what calls order.
        evaluation: the evaluation that these calls are part of; set by whoever makes it.
        variables: of tasks; set likewise.

    """

    evaluation: Evaluation
    variables: Variables
    order: Order

    def __init__(
        self,
        source: Source,
        imports: Imports,
        nodes: Nodes,
        remarks: Remarks,
        *,
        functions: Mapping[str, ast.FunctionDef],
        take_dag: Callable[[ast.Call], Any],
        inline: Callable[[ast.Call], Any],
    ) -> None:
        self._source = source
        self._imports = imports
        self._nodes = nodes
        self._remarks = remarks
        self._functions = functions
        self._take_dag = take_dag
        self._inline = inline

    def value(self, call: ast.Call) -> Any:  # noqa: PLR0911 a case for each kind
        """Return what a call makes; `PURE` for one that may be a pure function of plain values."""
        name = dotted(call.func)
        last = self._imports.last(name)
        if last in ("DAG", "dag") and not self.evaluation.names.has(name):
            return self._take_dag(call)
        if last == "TaskGroup":
            return self.group(call)
        if last == "Label":
            return LABEL
        if last in ("datetime", "timezone", "ZoneInfo"):
            return self._zone(call, last)
        if Ordering(self._source, self.order, self.elements_of, self.links_of).take(call, last):
            return None
        if isinstance(call.func, ast.Call | ast.Attribute | ast.Name):
            maker = self._maker(call.func)
            if isinstance(maker, Maker):
                return self._node_of(maker, call)
        if self._imports.task_kind(name) is not None:
            return self.maker_of(call)
        if any(word.arg == "task_id" for word in call.keywords):
            return self._operator(call, last)
        return self._inline(call)

    def maker_of(self, call: ast.Call) -> Maker | Unread:
        """Return what `task(f, task_id="x")` makes nodes by."""
        runs = dotted(call.args[0]) if call.args else ""
        arguments = self.evaluation.keywords(call)
        task_id = arguments.get("task_id", self._imports.last(runs) if runs else None)
        if not isinstance(task_id, str):
            return Unread.of(call)
        return Maker(task_id, TASK, runs, arguments)

    def operand_of(self, node: ast.expr) -> Operand | None:
        """Return what an expression is beside a `>>`.

        Raises:
            DeclarationError: for a name that stands for no task, and for a list inside of a list.

        """
        value = self.evaluation.value(node)
        if value is None and isinstance(node, ast.Call):
            return None
        found = self._operand(node, value)
        if found is None and isinstance(node, ast.Name):
            variables = self.evaluation.names.of_tasks()
            only = f"{node.id} is {value}, which only a run would tell." if value != Unread.of(node) else ""
            there = f"There is {', '.join(sorted(variables)) or 'none'}."
            advice = only if isinstance(value, Unread) and only else did_you_mean(node.id, variables, there)
            raise self._source.error(node, f"there is no task {node.id!r}", advice)
        return found

    def is_label(self, node: ast.expr) -> bool:
        """Return whether an expression is a `Label`."""
        return isinstance(node, ast.Call) and self._imports.last(dotted(node.func)) == "Label"

    def group(self, call: ast.Call) -> TaskGroup:
        """Return the group that a call of `TaskGroup` makes."""
        arguments = self.evaluation.keywords(call)
        names = self.evaluation.elements(call.args[:1])
        name = names[0] if names else arguments.get("group_id")
        if not isinstance(name, str):
            raise self._source.error(call, "the name of this group only a run would tell", "Write it out.")
        for word in sorted(set(arguments) - _OF_GROUP):
            self._remarks.say(f"{word} of the group {name} has no counterpart")
        return self._nodes.group(name, has_prefix=arguments.get("prefix_group_id", True) is not False)

    def say_others(self, task_id: str, arguments: Mapping[str, Any]) -> None:
        """Say what of a task's arguments has no counterpart."""
        for name, value in arguments.items():
            if name not in _OF_TASK and (name, value) != ("trigger_rule", "all_success"):
                self._remarks.say(f"{name} of the task {task_id} has no counterpart")

    def _operand(self, node: ast.expr, value: Any) -> Operand | None:
        if isinstance(value, Operand):
            return value
        if isinstance(value, TaskGroup):
            return value.operand(self.order)
        if not isinstance(value, list) or (value and not has_tasks(value)):
            return None
        first: dict[str, None] = {}
        last: dict[str, None] = {}
        for item in value:
            if isinstance(item, list):
                raise self._source.error(node, "a list is inside of a list", "Write one list.")
            operand = self._operand(node, item)
            if operand is None:
                return None
            first |= dict.fromkeys(operand.first)
            last |= dict.fromkeys(operand.last)
        return Operand(tuple(first), tuple(last), is_list=True)

    def elements_of(self, node: ast.expr) -> list[Operand] | None:
        """Return what the elements of a list are beside a `>>`; None for what is no list."""
        if isinstance(node, ast.List | ast.Tuple):
            return [self.order.take(element) for element in node.elts]
        value = self._listed(node)
        if value is None:
            return None
        found = [self._operand(node, item) for item in value]
        return [operand for operand in found if operand is not None] if None not in found else None

    def links_of(self, node: ast.expr) -> list[Operand | list[Operand]] | None:
        """Return what `*tasks` adds to a chain: tasks, and lists of them; None for what is no list."""
        found: list[Operand | list[Operand]] = []
        for item in self._listed(node) or ():
            inside = [self._operand(node, one) for one in (item if isinstance(item, list) else [item])]
            operands = [operand for operand in inside if operand is not None]
            if len(operands) < len(inside):
                return None
            found.append(operands if isinstance(item, list) else operands[0])
        return found or None

    def _listed(self, node: ast.expr) -> list[Any] | None:
        if isinstance(node, ast.Name) and not self.evaluation.names.has(node.id):
            return None
        if not isinstance(node, ast.Name | ast.Subscript | ast.ListComp | ast.GeneratorExp):
            return None
        value = self.evaluation.value(node)
        return value if isinstance(value, list) else None

    def _maker(self, function: ast.expr) -> Any:
        """Return what makes nodes, if an expression that is called is such a thing."""
        if isinstance(function, ast.Name):
            known = self.evaluation.names.has(function.id)
            return self.evaluation.names.get(function.id) if known else None
        if isinstance(function, ast.Call):
            made = self._made(function)
            return made if isinstance(made, Maker) else None
        if isinstance(function, ast.Attribute) and function.attr in _MAPPING:
            made = self._maker(function.value)
            if isinstance(made, Maker):
                return Maker(made.task_id, made.operator, made.runs, made.arguments, is_mapped=True)
        return None

    def _made(self, call: ast.Call) -> Any:
        """Return what a call makes whose result is called: `f.override(…)`, `task(f)`, `f.partial(…)`."""
        function = call.func
        if isinstance(function, ast.Attribute):
            maker = self._maker(function.value)
            if isinstance(maker, Maker) and function.attr == "override":
                return maker.overridden(self.evaluation.keywords(call))
            if isinstance(maker, Maker) and function.attr in _MAPPING:
                return Maker(maker.task_id, maker.operator, maker.runs, maker.arguments, is_mapped=True)
        is_task = self._imports.task_kind(dotted(function)) is not None
        return self.maker_of(call) if is_task else None

    def _node_of(self, maker: Maker, call: ast.Call) -> Any:
        """Return the node that a maker makes of a call."""
        is_partial = isinstance(call.func, ast.Attribute) and call.func.attr == "partial"
        if is_partial:
            return maker
        given = self.evaluation.keywords(call)
        positional = self.evaluation.elements(call.args)
        if not isinstance(maker.task_id, str):
            return Unread.of(call)
        operator = maker.operator
        environment: dict[str, str] = {}
        if maker.is_mapped:
            operator = f"mapped {operator}"
        elif operator == TASK:
            environment = self.variables.of(maker.task_id, maker.runs, {**maker.arguments, **given})
        self.say_others(maker.task_id, maker.arguments)
        node = Node(maker.task_id, operator, {}, environment)
        return self._added(node, call, [positional, given])

    def _operator(self, call: ast.Call, operator: str) -> Any:
        """Return the node that an operator's class makes."""
        is_partial = operator == "partial" and isinstance(call.func, ast.Attribute)
        if is_partial:
            operator = f"mapped {self._imports.last(dotted(call.func.value))}"  # type: ignore[attr-defined]
        arguments = self.evaluation.keywords(call)
        task_id = arguments.pop("task_id")
        if not isinstance(task_id, str):
            return Unread.of(call)
        arguments.pop("dag", None)
        runs = next((dotted(word.value) for word in call.keywords if word.arg == "python_callable"), "")
        if is_partial:
            return Maker(task_id, operator.removeprefix("mapped "), runs, {}, is_mapped=True)
        is_task = self.variables.runs_task(runs) or runs in self._functions
        if operator == "PythonOperator" and is_task:
            environment = self.variables.of(task_id, runs, arguments)
            self.say_others(task_id, arguments)
            return self._added(Node(task_id, TASK, {}, environment), call, [arguments])
        return self._added(Node(task_id, operator, arguments, {}), call, [arguments])

    def _added(self, node: Node, call: ast.Call, given: Any) -> Operand:
        """Add a node, which runs after the tasks whose results it is given."""
        operand = self._nodes.add(node, call.lineno)
        pending = [given]
        for value in pending:
            if isinstance(value, Operand):
                self.order.note(value, operand)
            elif isinstance(value, list):
                pending += value
            elif isinstance(value, dict):
                pending += value.values()
        return operand

    def _zone(self, call: ast.Call, kind: str) -> Any:
        arguments = self.evaluation.keywords(call)
        given = arguments.get("tz", arguments.get("tzinfo"))
        if kind != "datetime" and call.args:
            given = self.evaluation.value(call.args[0])
        return Zone(given.name if isinstance(given, Zone) else given if isinstance(given, str) else None)
