"""Flows: what a text means, held against operators that are ordered as Airflow's are."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from practicus_assets.errors import DeclarationError
from practicus_assets.workflows.flow import Flow


@dataclass(eq=False)
class Operator:
    """What Airflow's `DependencyMixin` does, on sets of names."""

    name: str
    upstream: set[str] = field(default_factory=set)

    def __rshift__(self, other: Any) -> Any:
        for later in _each(other):
            later.upstream.add(self.name)
        return other

    def __lshift__(self, other: Any) -> Any:
        self.upstream |= {earlier.name for earlier in _each(other)}
        return other

    def __rrshift__(self, other: Any) -> "Operator":
        self << other
        return self

    def __rlshift__(self, other: Any) -> "Operator":
        self >> other
        return self


def _each(other: Any) -> Sequence[Operator]:
    return other if isinstance(other, list) else [other]


NAMES = ("a", "b", "c", "d", "e", "f")
leaf = st.sampled_from(NAMES)
lists = st.lists(leaf, min_size=1, max_size=3).map(lambda names: f"[{', '.join(names)}]")
chains = st.recursive(
    leaf | lists,
    lambda inner: st.tuples(inner, st.sampled_from([">>", "<<"]), inner).map(
        lambda parts: f"({parts[0]} {parts[1]} {parts[2]})"
    ),
    max_leaves=6,
)


@given(st.lists(chains, min_size=1, max_size=3))
def test_a_flow_means_what_it_means_to_airflow(lines: list[str]) -> None:
    text = "\n".join(lines)
    operators = {name: Operator(name) for name in NAMES}
    try:
        exec(text, {}, operators)  # noqa: S102 the text is made above
    except TypeError:  # a list has no >> to a list
        with pytest.raises(DeclarationError, match="a list is followed by a list"):
            Flow.parse(text)
        return
    meant = {name: operator.upstream for name, operator in operators.items() if name in text}
    if _has_circle(meant):
        with pytest.raises(DeclarationError, match="goes in a circle"):
            Flow.parse(text)
        return
    assert {task: set(before) for task, before in Flow.parse(text).upstream.items()} == meant


def _has_circle(upstream: dict[str, set[str]]) -> bool:
    left = {name: set(before) for name, before in upstream.items()}
    while free := [name for name, before in left.items() if not before]:
        for name in free:
            del left[name]
        for before in left.values():
            before.difference_update(free)
    return bool(left)


def test_several_lines_are_one_flow() -> None:
    flow = Flow.parse(
        """
        a >> b
        a >> c
        d
        """
    )
    assert flow.upstream == {"a": (), "b": ("a",), "c": ("a",), "d": ()}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a +", r"it is no flow .*\n    a \+\n"),
        ("a >> 'b'", r"here is no task \(line 1\):\n    a >> 'b'\n         \^"),
        ("a >> b\na >> f(b)", r"here is no task \(line 2\):\n    a >> f\(b\)\n         \^"),
        ("x = a", "this statement orders no tasks"),
        ("import os", "this statement orders no tasks"),
        ("a >> [[b], c]", "a list is inside of a list"),
        ("[a] >> [b]", "a list is followed by a list, which Airflow refuses, too"),
        ("a >> b >> c >> a", "goes in a circle: a >> b >> c >> a"),
        ("a >> a", "goes in a circle: a >> a"),
        ("", "the flow names no task"),
    ],
)
def test_what_is_no_flow_is_refused_at_its_place(text: str, problem: str) -> None:
    with pytest.raises(DeclarationError, match=problem):
        Flow.parse(text)


def test_an_unknown_task_is_answered_with_the_nearest_name() -> None:
    with pytest.raises(DeclarationError, match=r"there is no task 'laod'[^?]* Did you mean load\?"):
        Flow.parse("extract >> laod", ["extract", "load"])
