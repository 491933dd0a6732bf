"""Dag files: what `<dag_key>_dag.py` of a Practicus workflow says, by its syntax tree."""

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from practicus_assets.errors import DeclarationError, did_you_mean
from practicus_assets.redaction import is_secret
from practicus_assets.workflows.flow import Flow
from practicus_assets.workflows.order import Operand, Order
from practicus_assets.workflows.place import Source
from practicus_assets.workflows.practicus.ordering import orders_of
from practicus_assets.workflows.practicus.syntax import Unread, keywords_of, name_of, value_of

_RUN = "run_airflow_task"
_READ = {  # keywords of a dag that have a counterpart, or need none
    "dag_id",
    "schedule_interval",
    "schedule",
    "start_date",
    "default_args",
    "catchup",
    "params",
    "max_active_runs",
    "description",
    "tags",
}
_DEFAULT_ARGS = {"owner", "retries", "retry_delay", "start_date"}

_OF_TASK = {"task_id", "python_callable", "dag", "provide_context", "do_xcom_push", "doc_md"}  # or need none


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
    arguments: Mapping[str, Any]
    environment: Mapping[str, str]


@dataclass(frozen=True)
class DagFile:
    """What a dag file says.

    Attributes:
        name: the workflow's key: the file's name without `_dag.py`.
        nodes: by task id, in the order of the flow.
        flow: the order of the task ids.
        schedule: a cron expression or a preset; None for none.
        owner: the owner of all tasks; None if only a run would tell.
        retries: how often a failed task is tried again.
        retry_delay_seconds: the time between attempts.
        parameters: of a run, with their defaults.
        max_active_runs: how many runs may be in progress; None for any number.
        unread: what is not understood, or has no counterpart, as sentences.

    """

    name: str
    nodes: Mapping[str, Node]
    flow: Flow
    schedule: str | None
    owner: str | None
    retries: int
    retry_delay_seconds: float
    parameters: Mapping[str, Any]
    max_active_runs: int | None
    unread: Sequence[str]


def read_dag_file(path: Path) -> DagFile:
    """Return what a dag file says.

    Raises:
        DeclarationError: if it cannot be read, is no Python, or orders no tasks; and as `Flow` does.

    """
    try:
        text = path.read_text(encoding="utf-8")
        tree = ast.parse(text)
    except (OSError, UnicodeDecodeError, SyntaxError) as error:
        raise DeclarationError(
            f"the dag file {path} cannot be read: {type(error).__name__}: {error}.", "Repair the file."
        ) from None
    reading = _Reading(path, text, tree)
    reading.statements(tree.body)
    return reading.dag_file()


class _Reading:
    """The reading of one dag file."""

    def __init__(self, path: Path, text: str, tree: ast.Module) -> None:
        self._path = path
        self._text = text
        self._names: dict[str, Any] = {}
        functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
        self._functions = {function.name: function for function in functions}  # also those further down
        self._nodes: dict[str, Node] = {}  # by variable
        self._orders: list[ast.expr] = []
        self._dag: dict[str, Any] = {}
        self._unread: list[str] = []

    def statements(self, body: Sequence[ast.stmt]) -> None:
        for statement in body:
            self._statement(statement)

    def dag_file(self) -> DagFile:
        if not self._orders and len(self._nodes) == 1:
            self._orders = [ast.Name(next(iter(self._nodes)), lineno=1, col_offset=0)]
        if not self._orders:
            raise DeclarationError(
                f"the dag file {self._path.name} orders no tasks.",
                "Its last lines are to be a flow, e.g. [table1, table2] >> final_table.",
            )
        source = Source(self._text)

        def task(leaf: ast.expr) -> Operand | None:
            if not isinstance(leaf, ast.Name):
                return None
            if leaf.id not in self._nodes:
                advice = did_you_mean(leaf.id, self._nodes, f"There is {', '.join(sorted(self._nodes))}.")
                raise source.error(leaf, f"there is no task {leaf.id!r}", advice)
            return Operand.of(leaf.id)

        order = Order(source, task)
        for expression in self._orders:
            order.take(expression)
        by_variable = Flow.of(order)
        ids = {variable: node.task_id for variable, node in self._nodes.items()}
        flow = Flow({ids[v]: tuple(ids[b] for b in before) for v, before in by_variable.upstream.items()})
        for variable in self._nodes:
            if variable not in by_variable.upstream:
                self._say(f"the task {ids[variable]} is not in the flow, and is left out")
        defaults = self._dag.get("default_args") or {}
        if not isinstance(defaults, dict):
            self._say(f"default_args, {defaults}, only a run would tell: there are no retries")
            defaults = {}
        return DagFile(
            self._path.name.removesuffix(".py").removesuffix("_dag"),
            {ids[variable]: self._nodes[variable] for variable in by_variable.upstream},
            flow,
            self._schedule(),
            self._known(defaults, "owner", str),
            self._known(defaults, "retries", int) or 0,
            _seconds(self._known(defaults, "retry_delay", timedelta | int | float)),
            self._parameters(),
            self._known(self._dag, "max_active_runs", int),
            tuple(dict.fromkeys(self._unread)),
        )

    def _statement(self, statement: ast.stmt) -> None:
        if isinstance(statement, ast.Import | ast.ImportFrom | ast.Pass):
            return
        if isinstance(statement, ast.FunctionDef):
            self._function(statement)
        elif isinstance(statement, ast.With):
            for item in statement.items:
                if isinstance(item.context_expr, ast.Call):
                    self._expression(item.context_expr)
            self.statements(statement.body)
        elif isinstance(statement, ast.Assign) and len(statement.targets) == 1:
            self._assignment(statement.targets[0], statement.value)
        elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
            self._assignment(statement.target, statement.value)
        elif isinstance(statement, ast.Expr):
            self._expression(statement.value)
        elif not isinstance(statement, ast.Return):
            kind = type(statement).__name__.lower()
            self._say(f"line {statement.lineno}, {kind}: only a run would tell what it does")

    def _function(self, function: ast.FunctionDef) -> None:
        for decorator in function.decorator_list:
            if isinstance(decorator, ast.Call) and name_of(decorator.func).rpartition(".")[2] == "dag":
                self._take_dag(decorator)
                self.statements(function.body)

    def _assignment(self, target: ast.expr, value: ast.expr) -> None:
        if not isinstance(target, ast.Name):
            return  # dag_key, username = prt.workflows.get_dag_info(__file__)
        if isinstance(value, ast.Call) and self._take_node(target.id, value):
            return
        if isinstance(value, ast.BinOp | ast.List) and self._is_order(value):
            self._orders.append(value)
            return
        if isinstance(value, ast.Call) and name_of(value.func).rpartition(".")[2] == "DAG":
            self._take_dag(value)
            return
        self._names[target.id] = value_of(value, self._names)

    def _expression(self, value: ast.expr) -> None:
        if isinstance(value, ast.Call):
            function = name_of(value.func)
            if function.rpartition(".")[2] == "DAG":
                self._take_dag(value)
            elif order := orders_of(value):
                self._orders += order
            elif function not in self._functions and not self._take_node("", value):
                self._say(f"{ast.unparse(value)} (line {value.lineno}) is not run")
        elif not isinstance(value, ast.Constant):  # a docstring
            self._orders.append(value)

    def _is_order(self, value: ast.expr) -> bool:
        names = {node.id for node in ast.walk(value) if isinstance(node, ast.Name)}
        return bool(names) and names <= set(self._nodes)

    def _take_dag(self, call: ast.Call) -> None:
        if self._dag:
            raise DeclarationError(
                f"the dag file {self._path.name} has two dags (line {call.lineno}).",
                "Write each into a file and a folder of its own.",
            )
        self._dag = keywords_of(call, self._names)
        if call.args:
            self._dag.setdefault("dag_id", value_of(call.args[0], self._names))
        for name in sorted(set(self._dag) - _READ):
            self._say(f"{name} of the dag has no counterpart")
        defaults = self._dag.get("default_args")
        for name in sorted(set(defaults) - _DEFAULT_ARGS if isinstance(defaults, dict) else ()):
            self._say(f"{name} of default_args has no counterpart")
        if self._dag.get("catchup") is True:
            self._say("catchup=True: a schedule runs from when it is turned on; use partitions to catch up")

    def _take_node(self, variable: str, call: ast.Call) -> bool:
        """Note a node, if a call makes one: `task(f, task_id="x")()`, or an operator with a task id."""
        if isinstance(call.func, ast.Call) and name_of(call.func.func).rpartition(".")[2] == "task":
            made = call.func
            arguments = keywords_of(made, self._names)
            runs = name_of(made.args[0]) if made.args else ""
            task_id = arguments.get("task_id", runs)
            environment = self._environment(runs, call, task_id)
            self._add(variable, Node(str(task_id), "task", {}, environment), call)
            self._say_unread(task_id, arguments)
            return True
        operator = name_of(call.func).rpartition(".")[2]
        arguments = keywords_of(call, self._names)
        if "task_id" not in arguments or isinstance(arguments["task_id"], Unread):
            return False
        task_id = arguments.pop("task_id")
        arguments.pop("dag", None)
        runs = next((name_of(word.value) for word in call.keywords if word.arg == "python_callable"), "")
        if operator == "PythonOperator" and (runs.endswith(_RUN) or runs in self._functions):
            environment = self._environment(runs, call, task_id)
            self._add(variable, Node(str(task_id), "task", {}, environment), call)
            self._say_unread(task_id, arguments)
        else:
            self._add(variable, Node(str(task_id), operator, arguments, {}), call)
        return True

    def _add(self, variable: str, node: Node, call: ast.Call) -> None:
        if node.task_id in {other.task_id for other in self._nodes.values()}:
            raise DeclarationError(
                f"the dag file {self._path.name} has two tasks {node.task_id!r} (line {call.lineno}).",
                "Rename one of them.",
            )
        if variable in self._nodes:
            raise DeclarationError(
                f"the dag file {self._path.name} gives two tasks the name {variable!r} (line {call.lineno}).",
                "Give each task a variable of its own.",
            )
        self._nodes[variable or node.task_id] = node

    def _say_unread(self, task_id: Any, arguments: Mapping[str, Any]) -> None:
        for name, value in arguments.items():
            if name not in _OF_TASK and (name, value) != ("trigger_rule", "all_success"):
                self._say(f"{name} of the task {task_id} has no counterpart")

    def _environment(self, runs: str, call: ast.Call, task_id: str) -> dict[str, str]:
        """Return the variables that a task is given, by its own call or by the function that it calls."""
        environment: dict[str, str] = {}
        for node in self._calls(runs, call, task_id):
            given = keywords_of(node, self._names).get("env_variables") or {}
            if not isinstance(given, dict):
                self._say(f"the variables of the task {task_id}, {given}, only a run would tell")
                continue
            for name, value in given.items():
                if isinstance(value, Unread) or (isinstance(value, str) and "{{" in value):
                    if name != "EXECUTION_DATE":  # each task is told it
                        self._say(
                            f"the variable {name} of the task {task_id}, {value}, only a run would tell"
                        )
                elif is_secret(str(name), str(value)):
                    self._say(f"the variable {name} of the task {task_id} is a secret, and is left out")
                elif value is not None:
                    environment[str(name)] = str(value)
        return environment

    def _calls(self, runs: str, call: ast.Call, task_id: str) -> list[ast.Call]:
        """Return the calls that may give a task variables: its own, or those in its function."""
        calls = [call]
        if runs in self._functions:
            inside = [node for node in ast.walk(self._functions[runs]) if isinstance(node, ast.Call)]
            calls = [node for node in inside if name_of(node.func).endswith(_RUN)]
            if not calls:
                self._say(
                    f"the task {task_id} calls {runs}, which runs no task: it is taken for {task_id}'s file"
                )
            elif _does_more(self._functions[runs]):
                self._say(
                    f"the task {task_id} calls {runs}: what that does beside running the task is left out"
                )
        elif not runs.endswith(_RUN):
            what = runs or "what has no name"
            self._say(f"the task {task_id} calls {what}, which is not in the file: it is taken for its own")
        return calls

    def _schedule(self) -> str | None:
        schedule = self._dag.get("schedule", self._dag.get("schedule_interval"))
        if schedule is None or isinstance(schedule, str):
            return schedule
        listed = schedule if isinstance(schedule, list) else [schedule]
        shown = f"every {schedule}" if isinstance(schedule, timedelta) else ", ".join(map(str, listed))
        self._say(f"the schedule is {shown}, which is no cron expression: there is none")
        return None

    def _parameters(self) -> dict[str, Any]:
        params = self._dag.get("params") or {}
        if isinstance(params, Unread):
            if "get_airflow_params" not in params.text:
                self._say(f"the parameters, {params}, only a run would tell")
            return {}
        found = {}
        for name, value in params.items():
            if is_secret(name, str(value or "")) and value:
                self._say(f"the default of the parameter {name} is a secret, and is left out")
                found[name] = ""
            elif isinstance(value, Unread | list | dict):
                self._say(f"the parameter {name} is {value}, which is no text, number or truth value")
            else:
                found[name] = "" if value is None else value
        return found

    def _known(self, entries: Mapping[str, Any], name: str, kind: Any) -> Any:
        value = entries.get(name)
        if isinstance(value, kind) and not isinstance(value, bool):
            return value
        if value is not None and name != "owner":  # that is the name of whoever exported the folder
            self._say(f"{name} is {value}, which only a run would tell: it is left out")
        return None

    def _say(self, sentence: str) -> None:
        self._unread.append(sentence)


def _does_more(function: ast.FunctionDef) -> bool:
    """Return whether a function does something beside one call that runs a task, such as cleaning up."""
    return any(
        isinstance(node, ast.Try | ast.For | ast.While | ast.If | ast.With) for node in ast.walk(function)
    )


def _seconds(delay: timedelta | float | None) -> float:
    return delay.total_seconds() if isinstance(delay, timedelta) else float(delay or 0)
