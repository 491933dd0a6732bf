"""Statements of a dag file, in the order in which Python would run them."""

import ast
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from practicus_assets.errors import DeclarationError
from practicus_assets.workflows.order import Operand, Order
from practicus_assets.workflows.place import Source
from practicus_assets.workflows.practicus.syntax.calls import Calls
from practicus_assets.workflows.practicus.syntax.evaluation import PURE, Evaluation, Names, has_tasks
from practicus_assets.workflows.practicus.syntax.expression import Unread, dotted, shown
from practicus_assets.workflows.practicus.syntax.imports import Imports
from practicus_assets.workflows.practicus.syntax.node import TASK, Maker, Nodes
from practicus_assets.workflows.practicus.syntax.pure import METHODS, NotPure
from practicus_assets.workflows.practicus.syntax.remarks import Remarks
from practicus_assets.workflows.practicus.syntax.task_group import TaskGroup
from practicus_assets.workflows.practicus.syntax.variables import Variables

_NO_CODE = ast.Import | ast.ImportFrom | ast.Pass | ast.Global | ast.Nonlocal
_JUMPS = ast.Break | ast.Continue
_DEEPEST = 20  # of functions that call functions
_CHANGES = {name for methods in METHODS.values() for name in methods}


class _Returned(Exception):
    """A function has returned a value."""

    def __init__(self, value: Any) -> None:
        super().__init__()
        self.value = value


class Statements:
    """The reading of a dag file's statements.

    Args:
        file: the dag file's name.
        text: its text.
        tree: its syntax tree.

    Attributes:
        nodes: those that it makes.
        order: of them.
        remarks: what is not understood.
        dag: the values of the keywords of `DAG` or `@dag`; None if there is none.

    """

    def __init__(self, file: str, text: str, tree: ast.Module) -> None:
        self._file = file
        self._source = Source(text, hides_strings=True)
        self._imports = Imports(tree)
        functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
        self._functions = {function.name: function for function in functions}  # also those further down
        self._names = Names()
        self._lines: dict[str, int] = {}  # where the variables of tasks are
        self._depth = 0  # of loops, groups and functions, in which a name may be given again
        self._inlined: list[str] = []
        self.nodes = Nodes(file)
        self.remarks = Remarks()
        self.dag: dict[str, Any] | None = None
        self._calls = Calls(
            self._source,
            self._imports,
            self.nodes,
            self.remarks,
            functions=self._functions,
            take_dag=self._take_dag,
            inline=self._inline,
        )
        self.order = Order(self._source, self._calls.operand_of, self._calls.is_label)
        self._evaluation = Evaluation(self._names, self._calls.value, self.order.take)
        self._calls.order = self.order
        self._calls.evaluation = self._evaluation
        self._calls.variables = Variables(self._functions, self._imports, self._evaluation, self.remarks)

    def read(self, body: Sequence[ast.stmt]) -> None:
        """Read statements.

        Raises:
            DeclarationError: for what Airflow would refuse, too, and for an order of what is no task.

        """
        for statement in body:
            self._statement(statement)

    def _statement(self, statement: ast.stmt) -> None:  # noqa: C901, PLR0912 a case for each kind
        match statement:
            case ast.FunctionDef():
                self._function(statement)
            case ast.With():
                self._with(statement)
            case ast.Assign():
                self._assign(statement.targets, statement.value)
            case ast.AnnAssign():
                if statement.value is not None:
                    self._assign([statement.target], statement.value)
            case ast.AugAssign(target=ast.Name(id=variable)):
                name = ast.copy_location(ast.Name(variable, ast.Load()), statement)
                both = ast.copy_location(ast.BinOp(name, statement.op, statement.value), statement)
                self._assign([statement.target], both)
            case ast.Expr():
                self._expression(statement.value)
            case ast.For():
                self._for(statement)
            case ast.If():
                self._if(statement)
            case ast.Try():
                self._try(statement)
            case ast.Return():
                value = None if statement.value is None else self._evaluation.value(statement.value)
                if self._inlined:
                    raise _Returned(value)
            case _ if not isinstance(statement, _NO_CODE):
                self._say(statement)

    def _say(self, statement: ast.stmt) -> None:
        kind = type(statement).__name__.lower()
        self.remarks.say(f"line {statement.lineno}, {kind}: only a run would tell what it does")

    def _function(self, function: ast.FunctionDef) -> None:
        for decorator in function.decorator_list:
            name = dotted(decorator.func if isinstance(decorator, ast.Call) else decorator)
            last = self._imports.last(name)
            if last == "dag":
                call = ast.copy_location(ast.Call(ast.Name("dag"), [], []), decorator)
                self._take_dag(decorator if isinstance(decorator, ast.Call) else call)
                with self._names.inside(self._defaults(function)):
                    self.read(function.body)
            elif "task" in name.split(".") or self._imports.full(name).endswith(
                (".decorators.task", ".task")
            ):
                self._decorated(function, decorator, last)

    def _decorated(self, function: ast.FunctionDef, decorator: ast.expr, kind: str) -> None:
        """Note what makes a node: a function under `@task`, which the dag file itself has."""
        arguments = self._evaluation.keywords(decorator) if isinstance(decorator, ast.Call) else {}
        runs_file = kind == TASK and self._calls.variables.wraps_task(function.name)
        operator = TASK if runs_file else "@task" if kind == TASK else f"@task.{kind}"
        task_id = arguments.get("task_id", function.name)
        self._names.set(function.name, Maker(task_id, operator, function.name, arguments))

    def _with(self, statement: ast.With) -> None:
        groups = 0
        for item in statement.items:
            value = self._expression(item.context_expr) if isinstance(item.context_expr, ast.Call) else None
            if isinstance(item.context_expr, ast.Name) and self._names.has(item.context_expr.id):
                value = self._names.get(item.context_expr.id)
            if item.optional_vars is not None:
                self._evaluation.bind(item.optional_vars, value)
            if isinstance(value, TaskGroup):
                self.nodes.open(value)
                groups += 1
        with self._again(bool(groups)):
            self.read(statement.body)
        for _ in range(groups):
            self.nodes.close()

    def _assign(self, targets: Sequence[ast.expr], node: ast.expr) -> None:
        value = self._evaluation.value(node)
        for target in targets:
            names = target.elts if isinstance(target, ast.Tuple | ast.List) else [target]
            for name in names:
                self._refuse_another(name, value)
            if isinstance(target, ast.Attribute):
                self._set_attribute(target, value)
            else:
                self._evaluation.bind(target, value)

    def _refuse_another(self, target: ast.expr, value: Any) -> None:
        """Raise DeclarationError if a variable of a task is given another one, outside of loops."""
        if self._depth or not isinstance(target, ast.Name):
            return
        before = self._names.get(target.id) if self._names.has(target.id) else None
        if isinstance(value, Operand) and isinstance(before, Operand) and value != before:
            raise DeclarationError(
                f"the dag file {self._file} gives two tasks the name {target.id!r} (line {target.lineno}).",
                "Give each task a variable of its own.",
            )

    def _set_attribute(self, target: ast.Attribute, value: Any) -> None:
        whole = self._evaluation.value(target.value)
        if isinstance(whole, Operand):
            self._calls.say_others(", ".join(whole.first), {target.attr: value})

    def _expression(self, node: ast.expr) -> Any:
        if isinstance(node, ast.Constant):  # a docstring
            return None
        if not isinstance(node, ast.Call):
            if isinstance(node, ast.ListComp | ast.GeneratorExp):
                return self._mention(self._evaluation.value(node))
            return self.order.take(node)
        value = self._evaluation.value(node)
        is_known = value is not None or isinstance(node.func, ast.Attribute | ast.Name)
        if isinstance(value, Unread) or not is_known:
            self.remarks.say(f"{shown(node)} (line {node.lineno}) is not run")
        return self._mention(value)

    def _mention(self, value: Any) -> Any:
        """Note the tasks of a value as those of the flow: a statement names them."""
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, Operand):
                self.order.mention(item)
            elif isinstance(item, list):
                self._mention(item)
        return value

    def _for(self, loop: ast.For) -> None:
        does = [node for statement in loop.body for node in ast.walk(statement)]
        if loop.orelse or any(isinstance(node, _JUMPS) for node in does):
            return self._say(loop)
        if not any(isinstance(node, ast.Call | ast.BinOp | ast.Assign | ast.AugAssign) for node in does):
            return self._say(loop)
        try:
            items = self._evaluation.loop(loop.iter)
        except NotPure:
            return self._say(loop)
        with self._again():
            for item in items:
                self._evaluation.step(loop.lineno)
                self._evaluation.bind(loop.target, item)
                self.read(loop.body)
        return None

    def _if(self, statement: ast.If) -> None:
        if isinstance(statement.test, ast.Compare) and dotted(statement.test.left) == "__name__":
            return  # what a script does
        try:
            holds = self._evaluation.truth(statement.test)
        except NotPure:
            if any(not isinstance(inside, _NO_CODE) for inside in statement.body):
                self._say(statement)
            return
        self.read(statement.body if holds else statement.orelse)

    def _try(self, statement: ast.Try) -> None:
        if any(not isinstance(inside, _NO_CODE | ast.Assign) for inside in statement.body):
            self.remarks.say(f"line {statement.lineno}, try: it is read as if nothing failed")
        self.read([*statement.body, *statement.orelse, *statement.finalbody])

    def _take_dag(self, call: ast.Call) -> None:
        if self.dag is not None:
            raise DeclarationError(
                f"the dag file {self._file} has two dags (line {call.lineno}).",
                "Write each into a file and a folder of its own.",
            )
        self.dag = self._evaluation.keywords(call)
        if call.args:
            self.dag.setdefault("dag_id", self._evaluation.value(call.args[0]))

    def _inline(self, call: ast.Call) -> Any:
        """Return what a function of the file makes of a call; `PURE` if it is none of the file's."""
        function = self._functions.get(call.func.id) if isinstance(call.func, ast.Name) else None
        if function is None:
            return PURE
        kinds = [dotted(d.func if isinstance(d, ast.Call) else d) for d in function.decorator_list]
        if any(self._imports.last(kind) == "dag" for kind in kinds):
            return None
        if function.name in self._inlined or len(self._inlined) >= _DEEPEST:
            self.remarks.say(f"{function.name} (line {call.lineno}) calls itself: that is not read")
            return Unread.of(call)
        self._evaluation.step(call.lineno)
        given = self._evaluation.elements(call.args)
        named = self._evaluation.keywords(call)
        names = [one.arg for one in (*function.args.posonlyargs, *function.args.args)]
        values = {**self._defaults(function), **dict(zip(names, given, strict=False)), **named}
        is_group = any(self._imports.last(kind) == "task_group" for kind in kinds)
        group = self.nodes.group(str(named.get("group_id", function.name)), has_prefix=True)
        if is_group:
            self.nodes.open(group)
        self._inlined.append(function.name)
        try:
            with self._names.inside(values), self._again():
                self.read(function.body)
        except _Returned as returned:
            return group if is_group and not has_tasks(returned.value) else returned.value
        except NotPure:
            return Unread.of(call)
        finally:
            self._inlined.pop()
            if is_group:
                self.nodes.close()
        return group if is_group else None

    def _defaults(self, function: ast.FunctionDef) -> dict[str, Any]:
        """Return the parameters of a function with their defaults."""
        given = function.args
        every = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
        values: dict[str, Any] = {one.arg: Unread(one.arg, one.lineno) for one in every if one is not None}
        positional = [*given.posonlyargs, *given.args]
        for one, default in zip(
            positional[len(positional) - len(given.defaults) :], given.defaults, strict=True
        ):
            values[one.arg] = self._evaluation.value(default)
        for one, option in zip(given.kwonlyargs, given.kw_defaults, strict=True):
            if option is not None:
                values[one.arg] = self._evaluation.value(option)
        return values

    @contextmanager
    def _again(self, really: bool = True) -> Iterator[None]:  # noqa: FBT001, FBT002 once
        """Be where variables may be given again."""
        self._depth += really
        try:
            yield
        finally:
            self._depth -= really
