"""HTML: tables as notebooks show them. Each text is escaped: what a table holds is never markup."""

from collections.abc import Iterable, Sequence
from html import escape

import pyarrow as pa

from practicus_assets.lake.rows.samples import shown
from practicus_assets.wording import in_short, printable, readable

_LONGEST_CELL = 60
_SHOWN_COLUMNS = 200
_NUMBERS = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal)


def rows_html(rows: pa.Table, most: int) -> str:
    """Return the first rows as a table; a line below it says whether there are more.

    Args:
        rows: the rows, with one more than are shown if there are more.
        most: the number of rows that are shown at most.

    """
    right = [any(is_number(field.type) for is_number in _NUMBERS) for field in rows.schema]
    heads = [f"{_text(f.name)}<br><small>{_text(str(f.type))}</small>" for f in rows.schema]
    cells = [[_cell(value) for value in row] for row in _values(rows.slice(0, most))]
    count = min(rows.num_rows, most)
    more = f"<p>The first {count:,} rows; there are more.</p>" if rows.num_rows > most else ""
    return _table(heads, cells, right) + (more or ("<p>No rows.</p>" if not count else ""))


def snapshot_html(name: str, description: str, schema: pa.Schema) -> str:
    """Return what is known of a snapshot without reading a row: its columns, their types and descriptions.

    Args:
        name: the table's name.
        description: where it is, at which version, with how many rows.
        schema: the columns.

    """
    rows = [
        [_text(f.name), f"<code>{_text(str(f.type))}</code>", _text(comment(f))]
        for f in list(schema)[:_SHOWN_COLUMNS]
    ]
    more = len(schema) - len(rows)
    heads = ["column", "type", *(["description"] if any(row[2] for row in rows) else [])]
    table = _table(heads, [row[: len(heads)] for row in rows])
    head = f"<p><b>{_text(name)}</b><br><small>{_text(description)}</small></p>"
    return head + table + (f"<p>And {more:,} more columns.</p>" if more else "")


def comment(field: pa.Field) -> str:
    """Return the description of a column, which Delta tables have under the key `comment`."""
    return str((field.metadata or {}).get(b"comment", b""), "utf-8", "replace")


def _values(rows: pa.Table) -> Iterable[Sequence[object]]:
    return (list(row.values()) for row in shown(rows))


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]], right: Sequence[bool] = ()) -> str:
    """Return a table; its cells are HTML."""
    aligned = ["right" if is_right else "left" for is_right in (*right, *([False] * len(heads)))]

    def line(tag: str, cells: Sequence[str]) -> str:
        styled = (
            f'<{tag} style="text-align: {side}">{cell}</{tag}>'
            for cell, side in zip(cells, aligned, strict=False)
        )
        return f"<tr>{''.join(styled)}</tr>"

    body = "".join(line("td", row) for row in rows)
    return f"<table><thead>{line('th', heads)}</thead><tbody>{body}</tbody></table>"


def _cell(value: object) -> str:
    if value is None:
        return "<i>null</i>"
    return _text(in_short(value if isinstance(value, str) else readable(value), _LONGEST_CELL))


def _text(text: str) -> str:
    return escape(printable(text))
