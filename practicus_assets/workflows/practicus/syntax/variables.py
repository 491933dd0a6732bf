"""Environment variables that a dag file gives its tasks, by their calls or by the function that runs them."""

import ast
from collections.abc import Mapping
from typing import Any

from practicus_assets.redaction import is_secret
from practicus_assets.workflows.practicus.syntax.evaluation import Evaluation
from practicus_assets.workflows.practicus.syntax.expression import Unread, dotted
from practicus_assets.workflows.practicus.syntax.imports import Imports
from practicus_assets.workflows.practicus.syntax.remarks import Remarks

RUN = "run_airflow_task"
_NO_CODE = ast.Import | ast.ImportFrom | ast.Pass
_LONGEST = 80


class Variables:
    """The variables of tasks.

    Args:
        functions: the functions of the dag file, by name.
        imports: of the dag file.
        evaluation: of its expressions.
        remarks: takes what is not understood.

    """

    def __init__(
        self,
        functions: Mapping[str, ast.FunctionDef],
        imports: Imports,
        evaluation: Evaluation,
        remarks: Remarks,
    ) -> None:
        self._functions = functions
        self._imports = imports
        self._evaluation = evaluation
        self._remarks = remarks

    def runs_task(self, name: str) -> bool:
        """Return whether a function is that of the SDK which runs a task's file."""
        return self._imports.full(name).endswith(RUN)

    def wraps_task(self, name: str) -> bool:
        """Return whether a function of the dag file calls that one."""
        function = self._functions.get(name)
        return function is not None and bool(self._runs_in(function))

    def of(self, task_id: str, runs: str, given: Mapping[str, Any]) -> dict[str, str]:
        """Return the variables of a task.

        Args:
            task_id: its name.
            runs: the name of the function that Airflow runs.
            given: what the call gives it that makes the task.

        """
        found = self._of(task_id, given)
        function = self._functions.get(runs)
        if function is None:
            if not self.runs_task(runs):
                what = runs or "what has no name"
                self._remarks.say(
                    f"the task {task_id} calls {what}, which is not in the file: it is taken for its own"
                )
            return found
        calls = self._runs_in(function)
        if not calls:
            self._remarks.say(
                f"the task {task_id} calls {runs}, which runs no task: it is taken for {task_id}'s file"
            )
        elif self._does_more(function):
            self._remarks.say(
                f"the task {task_id} calls {runs}: what that does beside running the task is left out"
            )
        with self._evaluation.names.inside(_parameters(function)):
            for statement in ast.walk(function):
                if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
                    self._evaluation.bind(statement.targets[0], self._evaluation.value(statement.value))
            for call in calls:
                found |= self._of(task_id, self._evaluation.keywords(call))
        return found

    def _of(self, task_id: str, given: Mapping[str, Any]) -> dict[str, str]:
        variables = given.get("env_variables") or {}
        if not isinstance(variables, dict):
            self._remarks.say(f"the variables of the task {task_id}, {variables}, only a run would tell")
            return {}
        found: dict[str, str] = {}
        for name, value in variables.items():
            if is_secret(str(name), str(value)):
                self._remarks.say(f"the variable {name} of the task {task_id} is a secret, and is left out")
            elif isinstance(value, str | int | float) and "{{" not in str(value):
                found[str(name)] = str(value)
            elif name != "EXECUTION_DATE" and value is not None:  # each task is told it
                shown = value if isinstance(value, Unread) else str(value)[:_LONGEST]
                self._remarks.say(
                    f"the variable {name} of the task {task_id}, {shown}, only a run would tell"
                )
        return found

    def _runs_in(self, function: ast.FunctionDef) -> list[ast.Call]:
        return [
            node
            for node in ast.walk(function)
            if isinstance(node, ast.Call) and self.runs_task(dotted(node.func))
        ]

    def _does_more(self, function: ast.FunctionDef) -> bool:
        """Return whether a function does something beside giving variables and running the task."""
        return any(not self._is_run(statement) for statement in function.body)

    def _is_run(self, statement: ast.stmt) -> bool:
        if isinstance(statement, ast.Assign | ast.AnnAssign):
            return True
        if isinstance(statement, ast.Expr | ast.Return):
            value = statement.value
            runs = isinstance(value, ast.Call) and self.runs_task(dotted(value.func))
            return runs or value is None or isinstance(value, ast.Constant | ast.Name)
        return isinstance(statement, _NO_CODE)


def _parameters(function: ast.FunctionDef) -> dict[str, Any]:
    """Return the parameters of a function, of which only a run tells the values."""
    given = function.args
    every = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
    return {one.arg: Unread(one.arg, one.lineno) for one in every if one is not None}
