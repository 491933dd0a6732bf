"""Listings in consoles of any width: framed where the words have room, else paragraphs; nothing is cut."""

import io

import pytest
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from practicus_assets.cli.answers.listing import Column, printed

COLUMNS = [
    Column("version", is_number=True),
    Column("table", wraps=True),
    Column("landed"),
    Column("never filled"),
    Column("audits", wraps=True),
]
ROWS = [
    [1200, "warehouse/customer_order_lines", "2026-01-06 14:05:09 UTC", "", "7 passed, weather_known: 3"],
    [7, "注文/明細", None, "", Text("none[bold]", "green")],
]


def listing(width: int, rows: list[list[object]] = ROWS) -> list[str]:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    for part in printed("Tables", COLUMNS, rows, width):
        console.print(part)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


@pytest.mark.parametrize("width", [20, 40, 60, 80, 110, 200, 100_000])
def test_no_line_is_wider_than_the_console_and_no_word_is_lost(width: int) -> None:
    lines = listing(width)
    assert max(map(cell_len, lines)) <= width
    words = {"1,200", "7", "注文/明細", "UTC", "weather_known:", "none[bold]", "?", "landed"}
    assert words <= set(" ".join(lines).split())
    assert ("customer_order_lines" in "".join(lines)) or width < 32
    assert "never" not in " ".join(lines)


def test_a_frame_is_whole_and_is_left_out_where_words_would_break() -> None:
    framed = [line for line in listing(110) if line[0] in "┏┃┡│└"]
    assert len(framed) == 6
    assert len({cell_len(line) for line in framed}) == 1
    assert listing(60)[1:3] == [
        "version 1,200 · table warehouse/customer_order_lines",
        "  landed 2026-01-06 14:05:09 UTC",
    ]


def test_no_rows_are_nothing() -> None:
    assert listing(80, []) == []


def test_a_frame_has_both_its_sides_at_each_width() -> None:
    columns = [Column("rule", wraps=True), Column("broken", note="ends"), Column("promised", wraps=True)]
    rows = [["day_carrier_unique", "no commit", "day and carrier tell each row apart"], ["x", 1, "y"]]
    for width in range(44, 90):
        console = Console(file=io.StringIO(), width=width, color_system=None)
        for part in printed("", columns, rows, width):
            console.print(part)
        assert isinstance(console.file, io.StringIO)
        framed = [line for line in console.file.getvalue().splitlines() if line[0] in "┏┃┡│└"]
        assert all(line[-1] in "┓┃┩│┘" for line in framed)
        assert bool(framed) == (width >= 61)
