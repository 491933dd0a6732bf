"""What flows mean: held against Airflow's own answers, and against a small model of its operators."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from practicus_assets.errors import DeclarationError
from practicus_assets.workflows.flow import Flow

GOLDEN: dict[str, Any] = json.loads(
    (Path(__file__).parents[2] / "golden" / "airflow" / "flows.json").read_text(encoding="utf-8")
)
NAMES = ("a", "b", "c", "d", "e", "f")
REFUSED = {"TypeError": "a list is followed by a list", "AttributeError": "a list is inside|here is no task"}


def edges_of(text: str) -> dict[str, list[str]]:
    upstream = Flow.parse(text, NAMES).upstream
    return {task: sorted(before) for task, before in upstream.items() if before}


@pytest.mark.parametrize("text", GOLDEN, ids=lambda text: re.sub(r"\s+", " ", text).strip())
def test_a_flow_is_read_as_airflow_ran_it(text: str) -> None:
    meant = GOLDEN[text]
    if isinstance(meant, dict):
        assert edges_of(text) == meant
        return
    with pytest.raises(DeclarationError, match=REFUSED.get(meant, "goes in a circle")):
        Flow.parse(text, NAMES)


class Model:
    """Airflow's operators as its documentation has them: who is on the left, who on the right, what stays."""

    def __init__(self) -> None:
        self.edges: set[tuple[str, str]] = set()
        self.named: set[str] = set()

    def value(self, tree: Any) -> Any:
        """Return what a tree stands for: a name, or a list of names."""
        if isinstance(tree, str):
            self.named.add(tree)
            return tree
        if isinstance(tree, list):
            return [self.value(element) for element in tree]
        left, sign, right = tree
        one, other = self.value(left), self.value(right)
        if not isinstance(one, str) and not isinstance(other, str):
            raise TypeError
        for before in names(one):
            for after in names(other):
                self.edges.add((before, after) if sign == ">>" else (after, before))
        return other

    def has_circle(self) -> bool:
        left, edges = set(self.named), set(self.edges)
        while free := {name for name in left if all(after != name for _, after in edges)}:
            left -= free
            edges = {edge for edge in edges if edge[0] not in free}
        return bool(left)


def names(value: Any) -> Sequence[str]:
    found = [value] if isinstance(value, str) else value
    if not all(isinstance(name, str) for name in found):
        raise AttributeError
    return found


def written(tree: Any) -> str:
    if isinstance(tree, str):
        return tree
    if isinstance(tree, list):
        return f"[{', '.join(written(element) for element in tree)}]"
    left, sign, right = tree
    return f"({written(left)} {sign} {written(right)})"


trees = st.recursive(
    st.sampled_from(NAMES) | st.lists(st.sampled_from(NAMES), max_size=3),
    lambda inner: (
        st.tuples(inner, st.sampled_from([">>", "<<"]), inner) | st.lists(inner, min_size=1, max_size=2)
    ),
    max_leaves=7,
)
joins = st.sampled_from(["\n", "; ", "\n\n", "\r\n", "  # then\n\t"])


@given(st.lists(trees, min_size=1, max_size=4), joins)
def test_every_flow_means_what_its_operators_do(lines: list[Any], join: str) -> None:
    text = join.join(written(line) for line in lines)
    model = Model()
    try:
        values = [model.value(line) for line in lines]
    except (TypeError, AttributeError):
        with pytest.raises(DeclarationError, match=r"a list is (followed by|inside of) a list"):
            Flow.parse(text)
        return
    if any(isinstance(value, list) and not all(isinstance(v, str) for v in value) for value in values):
        return  # a list of lists that nothing is ordered by: Python takes it, and it says nothing
    if not model.named:
        with pytest.raises(DeclarationError, match="the flow names no task"):
            Flow.parse(text)
    elif model.has_circle():
        with pytest.raises(DeclarationError, match="goes in a circle"):
            Flow.parse(text)
    else:
        flow = Flow.parse(text)
        found = {(before, task) for task, befores in flow.upstream.items() for before in befores}
        assert (found, set(flow.tasks)) == (model.edges, model.named)


@given(st.lists(st.sampled_from(NAMES), min_size=2, max_size=8), st.integers(0, 7))
def test_an_error_points_at_the_column_of_what_is_wrong(tasks: list[str], place: int) -> None:
    place %= len(tasks)
    words = [*tasks[:place], "ünbekannt", *tasks[place + 1 :]]
    text = " >> ".join(words)
    with pytest.raises(DeclarationError) as raised:
        Flow.parse(text, NAMES)
    _, line, pointer, *_ = str(raised.value).splitlines()
    assert line[pointer.index("^") :].startswith("ünbekannt")


@pytest.mark.parametrize(
    ("text", "beginning"),
    [
        ("çikti >> ö >> [a] >> [b]", "[b]"),  # columns count characters, not bytes
        ("a >> b\n  a >> [b, [c]]", "[c]"),
        ("\ta >> 1", "1"),
        ("a >> b\n\n\n(a >>\n [b] >> [c])", "[c]"),
        ("a >> >> b", ">> b"),
        ("a >> b\nx = 1", "x = 1"),
        ("a >> " + " >> ".join(["b"] * 80) + " >> [c, [d]]", "[d]"),
    ],
    ids=["letters", "indented", "tab", "lines", "syntax", "statement", "long line"],
)
def test_an_error_points_at_its_place(text: str, beginning: str) -> None:
    with pytest.raises(DeclarationError) as raised:
        Flow.parse(text)
    _, line, pointer, *_ = str(raised.value).splitlines()
    assert line[pointer.index("^") :].startswith(beginning)


@pytest.mark.parametrize(
    "text",
    [
        "(" * 5_000 + "a" + ")" * 5_000,
        "[" * 150 + "a" + "]" * 150,
        "a\0b",
        "a >> " * 100_000 + "b",
        "-" * 20_000 + "a",
    ],
    ids=["parentheses", "lists", "null", "long", "signs"],
)
def test_a_flow_that_python_cannot_read_is_refused(text: str) -> None:
    with pytest.raises(DeclarationError):
        Flow.parse(text)


def test_a_thousand_tasks_in_a_line_are_a_flow() -> None:
    tasks = [f"t{number}" for number in range(1_000)]
    assert Flow.parse(" >> ".join(tasks)).upstream["t999"] == ("t998",)
