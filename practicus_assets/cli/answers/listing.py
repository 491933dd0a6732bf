"""Listings: rows as a framed table where it fits, else as one paragraph per row, so that nothing is cut."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

_NARROWEST = 24  # characters of a column that wraps
_FRAME = 3  # characters of a column's padding and frame
_INDENT = 2
_BETWEEN = Text(" · ", "dim")


@dataclass(frozen=True)
class Column:
    """A column of a listing.

    Attributes:
        heading: the column's heading.
        is_number: whether cells are aligned to the right.
        wraps: whether a cell may take several lines in a table, broken between words.
        note: a line below the heading, in a table.

    """

    heading: str
    is_number: bool = False
    wraps: bool = False
    note: str = ""


def printed(
    title: str, columns: Sequence[Column], rows: Iterable[Sequence[Any]], width: int
) -> Iterator[RenderableType]:
    """Yield what is to be printed: a title and a table, or a title and paragraphs. Of no rows, nothing.

    Columns that are empty in every row are left out.

    Args:
        title: the title; empty for none.
        columns: the columns.
        rows: the cells of each row: numbers, None for what is not known, text as it is, or styled `Text`.
        width: how many characters a line may have.

    """
    cells = [[_text(cell) for cell in row] for row in rows]
    if not cells:
        return
    if title:
        yield Text(title, "bold")
    shown = [index for index in range(len(columns)) if any(row[index] for row in cells)]
    columns, cells = [columns[index] for index in shown], [[row[index] for index in shown] for row in cells]
    least = [_least_width(column, [row[i] for row in cells]) for i, column in enumerate(columns)]
    spare = width - sum(least) - _FRAME * len(least) - 1
    if spare >= 0:
        most = [_widest(column, [row[i] for row in cells]) for i, column in enumerate(columns)]
        yield _table(columns, cells, _grown(least, most, spare))
        return
    for row in cells:
        yield from _paragraph(columns, row, width)


def _text(cell: Any) -> Text:
    if isinstance(cell, Text):
        return cell
    if cell is None:
        return Text("?")
    return Text(f"{cell:,}" if isinstance(cell, int) and not isinstance(cell, bool) else str(cell))


def _least_width(column: Column, cells: Sequence[Text]) -> int:
    """Return how wide a column must be so that cells break between words only, where they may wrap."""
    widest = _widest(column, cells)
    if not column.wraps:
        return widest
    texts = [Text(column.heading), Text(column.note), *cells]
    longest_word = max(Text(word).cell_len for text in texts for word in [*text.plain.split(), ""])
    return min(widest, max(longest_word, _NARROWEST))


def _widest(column: Column, cells: Sequence[Text]) -> int:
    """Return how wide a column would be if no cell wrapped."""
    texts = [Text(column.heading), Text(column.note), *cells]
    return max(line.cell_len for text in texts for line in text.split("\n", allow_blank=True))


def _grown(least: Sequence[int], most: Sequence[int], spare: int) -> list[int]:
    """Return widths between the least and the most, to which so many characters are added in equal shares."""
    widths = list(least)
    while growing := [i for i, width in enumerate(widths) if width < most[i] and spare > 0]:
        share = max(1, spare // len(growing))
        for i in growing:
            added = min(share, most[i] - widths[i], spare)
            widths[i] += added
            spare -= added
    return widths


def _table(columns: Sequence[Column], cells: Sequence[Sequence[Text]], widths: Sequence[int]) -> Table:
    table = Table()
    for column, width in zip(columns, widths, strict=True):
        note = (f"\n{column.note}" if column.note else "", "dim not bold")
        table.add_column(
            Text.assemble(column.heading, note),
            justify="right" if column.is_number else "left",
            no_wrap=not column.wraps,
            width=width,
        )
    for row in cells:
        table.add_row(*row)
    return table


def _paragraph(columns: Sequence[Column], row: Sequence[Text], width: int) -> Iterator[RenderableType]:
    """Yield a row as lines of cells, each after its heading; lines after the first are indented.

    A mark, which is a cell without heading, stands before the next cell.
    """
    pairs = [_pair(column, cell) for column, cell in zip(columns, row, strict=True) if cell]
    if not columns[0].heading and len(pairs) > 1:
        pairs[:2] = [Text.assemble(pairs[0], " ", row[1])]
    first, *others = pairs or [Text()]
    first.stylize("bold")
    lines = [first]
    for pair in others:
        joined = Text.assemble(lines[-1], _BETWEEN, pair)
        fits = "\n" not in joined.plain and joined.cell_len <= width - _INDENT
        lines[-1:] = [joined] if fits else [lines[-1], pair]
    yield lines[0]
    for line in lines[1:]:
        line.overflow = "fold"
        yield Padding(line, (0, 0, 0, _INDENT), expand=False)


def _pair(column: Column, cell: Text) -> Text:
    return Text.assemble((f"{column.heading} ", "dim"), cell) if column.heading else cell.copy()
