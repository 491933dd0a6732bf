"""Markdown: rows as Dagster's pages show them."""

from collections.abc import Mapping, Sequence
from typing import Any

from practicus_assets.wording import in_short, readable

_LONGEST_CELL = 60


def markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return rows as a table in Markdown."""
    names = list(rows[0])
    lines = [[_cell(name) for name in names], ["---"] * len(names)]
    lines += [[_cell(row.get(name)) for name in names] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(value: Any) -> str:
    text = "" if value is None else value if isinstance(value, str) else readable(value)
    text = text if len(text) <= _LONGEST_CELL else in_short(text, _LONGEST_CELL)
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")
