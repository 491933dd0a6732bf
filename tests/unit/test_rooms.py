"""The map in docs/development.md is the tree of folders, and says of each what its docstring says."""

import ast
import re
import tomllib
from pathlib import Path

import pytest

import practicus_assets

PACKAGE = Path(practicus_assets.__file__).parent
MAP = PACKAGE.parent / "docs" / "development.md"
MOST_MODULES, MOST_LINES = 14, 360
DRAWERS = {"utils", "util", "helpers", "helper", "core", "base", "common", "manager", "misc"}


def rooms() -> dict[str, str]:
    """Return the first line of each room's docstring, by the room's path below the package."""
    inits = (path for path in PACKAGE.rglob("__init__.py") if path.parent != PACKAGE)
    return {
        str(path.parent.relative_to(PACKAGE)): str(ast.get_docstring(ast.parse(path.read_text())))
        for path in inits
    }


def mapped() -> dict[str, str]:
    """Return the lines of the map, by the rooms' paths."""
    [tree] = re.findall(r"```\npracticus_assets/\n(.*?)```", MAP.read_text(encoding="utf-8"), re.DOTALL)
    path: list[str] = []
    lines = {}
    for line in tree.splitlines():
        indent, name, text = re.fullmatch(r"( *)(\w+)/ +(.*)", line).groups()  # type: ignore[union-attr]
        path = [*path[: len(indent) // 2 - 1], name]
        lines["/".join(path)] = text
    return lines


def test_the_map_names_every_room_and_says_what_the_room_says_of_itself() -> None:
    assert mapped() == {room: text.splitlines()[0] for room, text in rooms().items()}


def test_the_map_says_the_import_rules_that_are_checked() -> None:
    settings = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = settings["tool"]["importlinter"]["contracts"]
    rules = [
        " → ".join(
            layer.replace("practicus_assets.", "").replace(" | ", ", ") for layer in contract["layers"]
        )
        for contract in contracts
        if contract["type"] == "layers"
    ]
    assert len(rules) > 2
    text = MAP.read_text(encoding="utf-8")
    assert [rule for rule in rules if rule not in text] == []


def test_a_room_says_in_a_few_lines_what_it_is_for() -> None:
    lengths = {room: len([line for line in text.splitlines() if line]) for room, text in rooms().items()}
    assert {room: length for room, length in lengths.items() if length > 4} == {}


@pytest.mark.parametrize("room", ["", *sorted(rooms())])
def test_a_room_has_about_a_dozen_modules_of_a_few_hundred_lines_and_no_drawer(room: str) -> None:
    modules = [path for path in (PACKAGE / room).glob("*.py") if path.name != "__init__.py"]
    assert len(modules) <= MOST_MODULES
    assert not DRAWERS & {path.stem for path in modules}
    lengths = {
        str(path.relative_to(PACKAGE)): len(path.read_text(encoding="utf-8").splitlines()) for path in modules
    }
    assert {name for name, length in lengths.items() if length > MOST_LINES} == set()
