"""Markdown: rows and texts as Dagster's pages show them, whatever their names and values are."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from practicus_assets.wording import in_short, readable

_LONGEST_CELL = 60
_SPECIAL = re.compile(r"([\\`*_\[\]|#~!>])")
# in a value, what would end its cell, or make it a link, a picture, code or an entity; names have `_` inside
_IN_CELL = re.compile(r"([\\`*\[\]|~]|(?<!\w)_|_(?!\w)|&(?=#?\w+;))")


def markdown(rows: Sequence[Mapping[str, Any]], types: Mapping[str, str] | None = None) -> str:
    """Return rows as a table in Markdown; columns that have a type here are shown with it."""
    names = list(rows[0])
    known = {name: f" *{_cell(kind)}*" for name, kind in (types or {}).items()}
    lines = [[f"{_cell(name)}{known.get(name, '')}" for name in names], ["---"] * len(names)]
    lines += [[_cell(row.get(name)) for name in names] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def escaped(text: str) -> str:
    """Return a text that Markdown shows as it is."""
    return _SPECIAL.sub(r"\\\1", text).replace("&", "&amp;").replace("<", "&lt;")


def _cell(value: Any) -> str:
    text = "" if value is None else value if isinstance(value, str) else readable(value)
    text = text if len(text) <= _LONGEST_CELL else in_short(text, _LONGEST_CELL)
    text = _IN_CELL.sub(r"\\\1", text).replace("<", "&lt;")
    return text.replace("\r\n", " ").replace("\n", " ").replace("\r", " ")
