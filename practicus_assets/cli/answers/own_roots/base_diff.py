"""`diff --against base`: what a dev lake's tables would change in the base."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Literal

import click
from rich.markup import escape

from practicus_assets.assets.report.markdown import markdown
from practicus_assets.cli.answers import locations, output
from practicus_assets.cli.answers.diff import PARTITIONS, column_changes, partition_row
from practicus_assets.cli.answers.instance import instance_or_none
from practicus_assets.code_location import CodeLocation
from practicus_assets.lake.upkeep.own_roots.base_diff import BaseDiff
from practicus_assets.operations.diff import diff_with_base
from practicus_assets.wording import number_of

Form = Literal["text", "json", "markdown"]
_SHOWN_PARTITIONS = 40


def show_base_diff(
    tables: Sequence[str], samples: int, code_locations: Sequence[CodeLocation], form: Form
) -> None:
    """Print what tables would change in the base.

    Args:
        tables: the tables' names; none for all that a run writes.
        samples: how many rows to show that only one of the two has.
        code_locations: the code locations whose tables these are.
        form: how it is printed.

    """
    entries = [e for e in locations.tables(code_locations, tables) if tables or e.is_written]
    changes: dict[str, BaseDiff] = {}
    with instance_or_none() as instance:
        for entry in entries:
            with output.progress(entry.label, hidden=form != "text") as progress:
                changes[entry.label] = diff_with_base(entry, instance, samples, progress)
    if form == "json":
        output.print_json({name: asdict(change) for name, change in changes.items()})
    elif form == "markdown":
        click.echo("\n".join(_markdown(changes)))
    else:
        _show(changes)


def _show(changes: Mapping[str, BaseDiff]) -> None:
    console = output.console()
    for name, change in changes.items():
        if change.is_empty:
            continue
        console.print(escape(_heading(name, change)), soft_wrap=True)
        for line in column_changes(change.columns_before, change.columns_after):
            console.print(escape(line))
        rows = [partition_row(each) for each in change.partitions[:_SHOWN_PARTITIONS]]
        output.print_table("Changed", PARTITIONS, rows)
        for sign, samples in (("-", change.lost), ("+", change.gained)):
            for row in samples:
                values = ", ".join(f"{column}={value}" for column, value in row.items())
                console.print(escape(f"{sign} {values}"), soft_wrap=True)
        for line in _notes(change):
            console.print(escape(line), soft_wrap=True)
    console.print(_unchanged(changes))


def _markdown(changes: Mapping[str, BaseDiff]) -> Iterator[str]:
    """Yield the lines of a comment on a pull request."""
    yield "### Changes against the base"
    for name, change in changes.items():
        if change.is_empty:
            continue
        yield ""
        yield f"**{_plain(_heading(name, change))}**"
        yield ""
        for line in column_changes(change.columns_before, change.columns_after):
            yield f"- {_plain(line)}"
        names = [column.heading for column in PARTITIONS]
        rows = (partition_row(each) for each in change.partitions[:_SHOWN_PARTITIONS])
        if change.partitions:
            yield ""
            yield markdown([dict(zip(names, row, strict=True)) for row in rows])
        for what, samples in (("gone", change.lost), ("new", change.gained)):
            if samples:
                yield ""
                yield f"<details><summary>Some {what} rows</summary>\n"
                yield f"{markdown(samples)}\n\n</details>"
        yield ""
        for line in _notes(change):
            yield f"- {'⚠️ ' if line.startswith('Not to be promoted') else ''}{_plain(line)}"
    yield ""
    yield _plain(_unchanged(changes))


def _heading(name: str, change: BaseDiff) -> str:
    base = f"version {change.base_version} of the base" if change.base_version is not None else "a new table"
    return f"{name}: {base}, {_count(change.rows_before)} to {_count(change.rows_after)}"


def _count(rows: int | None) -> str:
    return number_of(rows, "row") if rows is not None else "an unknown number of rows"


def _notes(change: BaseDiff) -> Iterator[str]:
    more = len(change.partitions) - _SHOWN_PARTITIONS
    if more > 0:
        yield f"And {number_of(more, 'partition')} more; --json has them all."
    if change.same:
        yield f"{number_of(change.same, 'partition')} of the own root: the base has the same rows."
    if change.conflict:
        yield f"Not to be promoted as it is: {change.conflict}"


def _unchanged(changes: Mapping[str, BaseDiff]) -> str:
    count = sum(change.is_empty for change in changes.values())
    return f"{number_of(count, 'table')} unchanged." if count or not changes else "All tables changed."


def _plain(text: Any) -> str:
    """Return a text that Markdown shows as it is."""
    special = str.maketrans({c: f"\\{c}" for c in "\\`*_[]|#~!"} | {"<": "&lt;", "&": "&amp;"})
    return str(text).translate(special)
