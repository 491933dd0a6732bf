"""`diff`: what changed between two versions of a table."""

from typing import Any

import click
from rich.markup import escape

from practicus_assets.assets.catalog import chosen
from practicus_assets.cli import locations, output
from practicus_assets.lake.upkeep.diff import Diff, Side
from practicus_assets.operations.diff import DiffConfig, diff_table

_SHOWN_PARTITIONS = 40


@click.command()
@click.argument("table")
@click.argument("before")
@click.argument("after")
@click.option(
    "--samples", type=click.IntRange(0), default=5, show_default=True, help="How many rows to show."
)
@output.json_option
@locations.options
def diff(table: str, before: str, after: str, samples: int, *, as_json: bool, **location: Any) -> None:
    """Show what changed in TABLE from version BEFORE to version AFTER; a run stands for the version it made.

    Columns, counts, the partitions whose rows differ, and some of these rows. Rows are compared by all
    columns that both versions have with the same type. Files that both versions have are not read.
    """
    [entry] = chosen(locations.tables(**location), [table])
    config = DiffConfig(table=table, before=before, after=after, samples=samples)
    with output.progress(table, hidden=as_json) as progress:
        changes = diff_table(entry, config, progress)
    if as_json:
        output.print_json(changes)
        return
    _show(table, changes)


def _show(table: str, changes: Diff) -> None:
    console = output.console()
    sides = (changes.before, changes.after)
    console.print(
        output.table(
            f"{table}, version {changes.before.version} to {changes.after.version}",
            ("version", "rows", "files", "size", "columns"),
            [[str(s.version), s.rows, s.files, output.size(s.bytes), len(s.columns)] for s in sides],
            "version,rows,files,size,columns",
        )
    )
    for line in _columns(*sides):
        console.print(escape(line))
    if changes.partitions:
        rows = [
            [_named(p.partition), p.rows_before, p.rows_after, f"-{p.lost:,}", f"+{p.gained:,}"]
            for p in changes.partitions[:_SHOWN_PARTITIONS]
        ]
        headings = ("partition", "rows before", "rows after", "lost", "gained")
        console.print(output.table("Changed", headings, rows, "rows before,rows after,lost,gained"))
    more = len(changes.partitions) - _SHOWN_PARTITIONS
    if more > 0:
        console.print(f"and {more:,} more partitions; --json has them all")
    for sign, color, samples in (("-", "red", changes.lost), ("+", "green", changes.gained)):
        for row in samples:
            console.print(f"[{color}]{sign} {escape(_named(row))}[/{color}]", soft_wrap=True)
    if changes.rewritten:
        console.print(f"{changes.rewritten:,} partitions have other files and the same rows.")
    if not changes.partitions:
        console.print("No rows differ.")


def _columns(before: Side, after: Side) -> list[str]:
    old, new = before.columns, after.columns
    lines = [f"column {name} {kind}: new" for name, kind in new.items() if name not in old]
    lines += [f"column {name} {kind}: gone" for name, kind in old.items() if name not in new]
    both = [name for name in old if name in new]
    return lines + [f"column {n}: {old[n]} became {new[n]}" for n in both if old[n] != new[n]]


def _named(values: Any) -> str:
    return ", ".join(f"{column}={value}" for column, value in values.items()) or "(table)"
