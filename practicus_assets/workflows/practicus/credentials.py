"""Credentials in the files of a folder: where they are, and never what they are."""

import ast
import base64
import binascii
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from practicus_assets.redaction import is_secret

_LEFT_OUT = {".git", ".venv", "__pycache__", "node_modules", ".ipynb_checkpoints"}
_LONGEST_FILE = 4 * 2**20  # bytes
_NOTHING = {"", "none", "null", "***"}
_VARIABLE = re.compile(r"^\s*(?:export\s+)?([A-Za-z_]\w*)=(.*)$")
_ELSEWHERE = ("$", "`", "{{", "<")  # how a value begins that stands somewhere else
_MAGIC = ("%", "!")  # how a line of a notebook begins that is no Python


def credentials_in(folder: Path) -> dict[str, list[str]]:
    """Return the fields that hold a credential, by the file's path below a folder.

    They are known by their names, such as `DB_PASSWORD`, or by a URL with a password. Files that cannot be
    read or parsed have none that is found.

    Args:
        folder: the folder.

    """
    found = {}
    for path in sorted(folder.rglob("*")):
        reader = _READERS.get(path.suffix or path.name)
        if reader is None or _LEFT_OUT & set(path.relative_to(folder).parts) or not path.is_file():
            continue
        try:
            text = path.read_text(encoding="utf-8") if path.stat().st_size <= _LONGEST_FILE else ""
            fields = list(dict.fromkeys(reader(text)))
        except (OSError, ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        if fields:
            found[str(path.relative_to(folder))] = fields
    return found


def _holds(name: str, value: object) -> bool:
    text = value.strip() if isinstance(value, str) else ""
    if text.lower() in _NOTHING or text.startswith(_ELSEWHERE):
        return False
    return is_secret(name, text)


def _of_json(text: str) -> Iterator[str]:
    yield from _of_value("", "", json.loads(text))


def _of_value(path: str, name: str, value: Any) -> Iterator[str]:
    if name == "additional_params" and isinstance(value, str):
        try:
            value = json.loads(base64.b64decode(value, validate=True))
        except (binascii.Error, ValueError):
            return
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _of_value(f"{path}.{key}" if path else str(key), str(key), inner)
    elif isinstance(value, list):
        for position, inner in enumerate(value):
            yield from _of_value(f"{path}[{position}]", name, inner)
    elif _holds(name, value):
        yield path or "its text"


def _of_python(text: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(text)):
        for name, value in _named_values(node):
            if isinstance(value, ast.Constant) and _holds(name, value.value):
                yield f"{name or 'a URL'} (line {value.lineno})"


def _named_values(node: ast.AST) -> Iterator[tuple[str, ast.expr | None]]:
    """Yield what a node gives names to: by assignments, keywords, entries of dicts and defaults."""
    if isinstance(node, ast.Assign):
        yield from ((_name(target), node.value) for target in node.targets)
    elif isinstance(node, ast.AnnAssign | ast.NamedExpr):
        yield _name(node.target), node.value
    elif isinstance(node, ast.Call):
        yield from ((keyword.arg or "", keyword.value) for keyword in node.keywords)
        yield from (("", argument) for argument in node.args)
    elif isinstance(node, ast.Dict):
        yield from zip(map(_name, node.keys), node.values, strict=True)
    elif isinstance(node, ast.arguments):
        named = [*node.posonlyargs, *node.args]
        yield from zip(
            [each.arg for each in named[len(named) - len(node.defaults) :]], node.defaults, strict=True
        )
        yield from zip([each.arg for each in node.kwonlyargs], node.kw_defaults, strict=True)


def _name(node: ast.expr | None) -> str:
    match node:
        case ast.Name():
            return node.id
        case ast.Attribute():
            return node.attr
        case ast.Subscript():
            return _name(node.slice)
        case ast.Constant(value=str()):
            return str(node.value)
    return ""


def _of_notebook(text: str) -> Iterator[str]:
    for number, cell in enumerate(json.loads(text).get("cells", ()), 1):
        if cell.get("cell_type") != "code":
            continue
        lines = "".join(cell.get("source", "")).splitlines()
        code = "\n".join("" if line.lstrip().startswith(_MAGIC) else line for line in lines)
        try:
            yield from (f"cell {number}, {field}" for field in _of_python(code))
        except SyntaxError:
            continue


def _of_shell(text: str) -> Iterator[str]:
    for number, line in enumerate(text.splitlines(), 1):
        match = _VARIABLE.match(line)
        if match is not None and _holds(match[1], match[2].strip().strip("\"'")):
            yield f"{match[1]} (line {number})"


_READERS = {
    ".json": _of_json,
    ".py": _of_python,
    ".ipynb": _of_notebook,
    ".sh": _of_shell,
    ".env": _of_shell,
}
