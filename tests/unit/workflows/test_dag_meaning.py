"""What orders of a dag file mean, in every form: held against a small model of what Airflow makes of them.

The model was itself held against Airflow 2.10.5 and 3.3.2, on 1,198 of the programs below, with one answer.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from practicus_assets.errors import DeclarationError
from practicus_assets.workflows.practicus.dag_file import DagFile, read_dag_file

TASKS = ("a", "b", "c", "d", "e", "f")
HEAD = """import practicuscore as prt
from airflow import DAG

with DAG("shop", schedule=None) as dag:
"""


@dataclass
class Groups:
    """Where the tasks are: in no group, in `g`, or in `h`, which may be inside of `g`."""

    of: dict[str, str]
    h_is_inside: bool
    g_has_prefix: bool
    h_has_prefix: bool

    @property
    def names(self) -> list[str]:
        used = set(self.of.values())
        outer = ["g"] if "g" in used or (self.h_is_inside and "h" in used) else []
        return outer + (["h"] if "h" in used else [])

    def id_of(self, task: str) -> str:
        group = self.of[task]
        if group == "g":
            return f"g.{task}" if self.g_has_prefix else task
        if group == "h" and self.h_has_prefix:
            return f"g.h.{task}" if self.h_is_inside and self.g_has_prefix else f"h.{task}"
        return task

    def inside(self, thing: str) -> list[str]:
        """Return the tasks of a task or a group."""
        if thing in TASKS:
            return [thing]
        within = {thing, "h"} if thing == "g" and self.h_is_inside else {thing}
        return [task for task in TASKS if self.of[task] in within]

    def written(self) -> str:
        lines = [self._task(task, 1) for task in TASKS if self.of[task] == ""]
        for name in (name for name in self.names if name == "g" or not self.h_is_inside):
            lines.append(f"    with TaskGroup({name!r}, prefix_group_id={self._has_prefix(name)}) as {name}:")
            lines += [self._task(task, 2) for task in TASKS if self.of[task] == name]
            if name == "g" and self.h_is_inside and "h" in self.names:
                lines.append(
                    f"        with TaskGroup(group_id='h', prefix_group_id={self.h_has_prefix}) as h:"
                )
                lines += [self._task(task, 3) for task in TASKS if self.of[task] == "h"]
        return "\n".join(lines)

    def _has_prefix(self, name: str) -> bool:
        return self.g_has_prefix if name == "g" else self.h_has_prefix

    def _task(self, task: str, depth: int) -> str:
        made = f"PythonOperator(task_id={task!r}, python_callable=prt.workflows.run_airflow_task)"
        return f"{'    ' * depth}{task} = {made}"


@dataclass
class Model:
    """Airflow's orders: edges from the last tasks of what is before to the first of what is after."""

    groups: Groups
    edges: set[tuple[str, str]] = field(default_factory=set)
    variables: dict[str, Any] = field(default_factory=dict)

    def run(self, statement: Sequence[Any]) -> None:
        kind, *rest = statement
        getattr(self, f"_{kind}")(*rest)

    def _shift(self, variable: str, operands: list[Any], signs: list[str]) -> None:
        value = self._value(operands[0])
        for sign, operand in zip(signs, operands[1:], strict=True):
            right = self._value(operand)
            if isinstance(value, list) and isinstance(right, list):
                raise TypeError
            self._relate(*((value, right) if sign == ">>" else (right, value)))
            value = right
        if variable:
            self.variables[variable] = value

    def _method(self, thing: str, name: str, operand: Any) -> None:
        value = self._value(operand)
        self._relate(*((thing, value) if name == "set_downstream" else (value, thing)))

    def _chain(self, operands: list[Any], _: bool) -> None:  # noqa: FBT001 a part of a tuple
        values = [self._value(operand) for operand in operands]
        for before, after in pairwise(values):
            if isinstance(before, list) and isinstance(after, list):
                if len(before) != len(after):
                    raise TypeError
                for pair in zip(before, after, strict=True):
                    self._relate(*pair)
            else:
                self._relate(before, after)

    def _linear(self, operands: list[Any]) -> None:
        values = [self._value(operand) for operand in operands]
        for before, after in pairwise(values):
            self._relate(before, after)

    def _cross(self, befores: list[str], after: Any) -> None:
        self._relate(befores, self._value(after))

    def _loop(self, things: list[str], sign: str, operand: Any) -> None:
        for thing in things:
            self._shift("", [thing, operand], [sign])

    def _value(self, operand: Any) -> Any:
        return self.variables.get(operand, operand) if isinstance(operand, str) else operand

    def _relate(self, before: Any, after: Any) -> None:
        befores = [before] if isinstance(before, str) else before
        afters = [after] if isinstance(after, str) else after
        groups = [thing for thing in (*befores, *afters) if thing not in TASKS]
        # what a group is to one of its own tasks depends on how far Airflow has come in it
        assume(not groups or not self._all(befores) & self._all(afters))
        lasts = [task for thing in befores for task in self._ends(thing, 0)]
        firsts = [task for thing in afters for task in self._ends(thing, 1)]
        self.edges |= {(last, first) for last in lasts for first in firsts}

    def _all(self, things: list[str]) -> set[str]:
        return {task for thing in things for task in self.groups.inside(thing)}

    def _ends(self, thing: str, side: int) -> list[str]:
        """Return the tasks of a thing that none of it follows (side 0), or precedes (side 1)."""
        inside = self.groups.inside(thing)
        linked = {edge[side] for edge in self.edges if edge[1 - side] in inside}
        return [task for task in inside if task not in linked] if thing not in TASKS else inside

    def has_circle(self) -> bool:
        left, edges = set(TASKS), set(self.edges)
        while free := {task for task in left if all(after != task for _, after in edges)}:
            left -= free
            edges = {edge for edge in edges if edge[0] not in free}
        return bool(left)


def written(statement: Sequence[Any]) -> str:
    """Return a statement as a dag file has it."""
    kind, *rest = statement
    match kind:
        case "shift":
            variable, operands, signs = rest
            text = _text(operands[0])
            for sign, operand in zip(signs, operands[1:], strict=True):
                text += f" {sign} {_text(operand)}"
            return f"{variable} = {text}" if variable else text
        case "method":
            thing, name, operand = rest
            return f"{thing}.{name}({_text(operand)})"
        case "chain":
            operands, starred = rest
            inside = ", ".join(map(_text, operands))
            return f"chain(*[{inside}])" if starred else f"chain({inside})"
        case "linear":
            return f"chain_linear({', '.join(map(_text, rest[0]))})"
        case "cross":
            return f"cross_downstream({_text(rest[0])}, {_text(rest[1])})"
    things, sign, operand = rest
    return f"for each in {_text(things)}:\n        each {sign} {_text(operand)}"


def _text(operand: Any) -> str:
    return operand if isinstance(operand, str) else f"[{', '.join(operand)}]"


@st.composite
def programs(draw: st.DrawFn) -> tuple[Groups, list[Sequence[Any]]]:
    """Return where the tasks are, and statements that order them."""
    of = {task: draw(st.sampled_from(["", "", "g", "h"])) for task in TASKS}
    groups = Groups(of, draw(st.booleans()), draw(st.booleans()), draw(st.booleans()))
    thing = st.sampled_from([*TASKS, *groups.names])
    things = st.lists(thing, min_size=1, max_size=3)
    operand = thing | things
    sign = st.sampled_from([">>", "<<"])
    statements: list[Sequence[Any]] = []
    for number in range(draw(st.integers(1, 4))):
        variables = [name for kind, name, *_ in statements if kind == "shift" and name]
        either = operand | st.sampled_from(variables) if variables else operand
        operands = draw(st.lists(either, min_size=2, max_size=4))
        signs = draw(st.lists(sign, min_size=len(operands) - 1, max_size=len(operands) - 1))
        variable = draw(st.sampled_from(["", f"v{number}"]))
        statements.append(
            draw(
                st.just(("shift", variable, operands, signs))
                | st.tuples(
                    st.just("method"), thing, st.sampled_from(["set_downstream", "set_upstream"]), either
                )
                | st.just(("shift", f"v{number}", operands[:1], ()))
                | st.tuples(st.just("chain"), st.just(operands), st.booleans())
                | st.just(("linear", operands))
                | st.tuples(st.just("cross"), things, either)
                | st.tuples(st.just("loop"), things, sign, thing)
            )
        )
    return groups, statements


def text_of(groups: Groups, statements: list[Sequence[Any]]) -> str:
    lines = "".join(f"    {written(statement)}\n" for statement in statements)
    return f"{HEAD}{groups.written()}\n{lines}"


def read(text: str) -> DagFile:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "shop_dag.py"
        path.write_text(text, encoding="utf-8")
        return read_dag_file(path)


def meant(groups: Groups, statements: list[Sequence[Any]]) -> str | set[tuple[str, str]]:
    """Return the edges by ids of tasks, or why Airflow refuses them."""
    model = Model(groups)
    try:
        for statement in statements:
            model.run(statement)
    except TypeError:
        return "a list is followed by a list"
    if model.has_circle():
        return "goes in a circle"
    return {(groups.id_of(before), groups.id_of(after)) for before, after in model.edges}


@settings(deadline=None)  # processes beside this one take the machine
@given(programs())
def test_every_order_of_a_dag_file_means_what_it_does_to_airflow(
    program: tuple[Groups, list[Sequence[Any]]],
) -> None:
    groups, statements = program
    expected = meant(groups, statements)
    if isinstance(expected, str):
        with pytest.raises(DeclarationError, match=expected):
            read(text_of(groups, statements))
        return
    dag = read(text_of(groups, statements))
    found = {(before, task) for task, befores in dag.flow.upstream.items() for before in befores}
    assert found == expected
    every = {groups.id_of(task) for task in TASKS}
    said = "the task {} is not in the flow, and is left out"
    left_out = {task for task in every if said.format(task) in dag.unread}
    assert set(dag.flow.tasks) == every - left_out
    assert not left_out & {task for edge in found for task in edge}
