"""`plan`: what a run would compute, and why."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any, Literal

import click
from rich.text import Text

from practicus_assets.cli.answers import output
from practicus_assets.cli.answers.tables.surroundings import surroundings
from practicus_assets.cli.failure import NOT_KNOWN, WOULD_RUN
from practicus_assets.code_location import CodeLocation
from practicus_assets.planning.markdown import markdown
from practicus_assets.planning.plan import Plan, TablePlan
from practicus_assets.planning.planner import plan
from practicus_assets.planning.request import PlanRequest
from practicus_assets.planning.sentences import (
    because,
    below,
    details,
    heading,
    partitions,
    summary,
)
from practicus_assets.wording import printable

Format = Literal["text", "json", "markdown"]

_SHOWN_GROUPS = 20  # of one table


def show_plan(
    select: str, keys: Sequence[str], ranges: Sequence[str], location: CodeLocation, form: Format
) -> None:
    """Print what a run would compute; exit with 6 if anything would be, with 7 if that is not known.

    Args:
        select: the assets, in Dagster's words for it; empty for all.
        keys: the keys of partitions; none for all.
        ranges: ranges of partitions, as `FIRST...LAST`.
        location: the code location.
        form: how it is printed.

    """
    request = PlanRequest(select, tuple(keys), tuple(ranges))
    with surroundings(location) as around, output.progress("tables", hidden=form != "text") as progress:
        made = plan(request, around, progress)
    if form == "json":
        output.print_json(_plain(made))
    elif form == "markdown":
        click.echo(markdown(made), nl=False)
    else:
        _show(made)
    if made.would_run:
        sys.exit(WOULD_RUN)
    if not made.is_known:
        sys.exit(NOT_KNOWN)


def _plain(made: Plan) -> dict[str, Any]:
    return {"would_run": made.would_run, "is_known": made.is_known, **asdict(made)}


def _show(made: Plan) -> None:
    console = output.console()
    for table in made.tables:
        style = "yellow" if table.planned else "" if table.unknown else "green"
        console.print(Text.assemble((printable(table.table), "bold"), ": ", (heading(table), style)))
        for line in _lines(table):
            indent = 2
            for part in line.wrap(console, console.width - 4):
                part.rstrip()
                console.print(Text(" " * indent) + part)
                indent = 4  # what belongs to the line before
    if made.stale:
        names = ", ".join(map(below, made.stale))
        console.print(Text.assemble(("Out of date below, and left out: ", "yellow"), names))
    for sentence in summary(made):
        console.print(Text(sentence))


def _lines(table: TablePlan) -> Iterator[Text]:
    groups = [*table.planned, *table.unknown]
    for group in groups[:_SHOWN_GROUPS]:
        where = partitions(group)
        unknown = "not known: " if group in table.unknown else ""
        yield Text(f"{f'{where}: ' if where else ''}{unknown}{because(group)}")
    if len(groups) > _SHOWN_GROUPS:
        yield Text(f"and {len(groups) - _SHOWN_GROUPS:,} further reasons; --json has them all")
    for word, sentence in details(table):
        yield Text.assemble((f"{word} ", "red" if word == "refused" else "dim"), sentence)
