"""Markdown: a plan as a pull request, or a page of Dagster, shows it."""

from collections.abc import Iterator

from practicus_assets.assets.report.markdown import escaped
from practicus_assets.planning.plan import Plan, TablePlan
from practicus_assets.planning.sentences import (
    because,
    below,
    details,
    heading,
    partitions,
    summary,
)
from practicus_assets.wording import printable

_SHOWN_GROUPS = 20  # of one table


def markdown(plan: Plan) -> str:
    """Return a plan as Markdown."""
    return "\n".join(_lines(plan)) + "\n"


def table_markdown(table: TablePlan) -> str:
    """Return the plan of one table as Markdown."""
    return "\n".join(_of_table(table)) + "\n"


def _lines(plan: Plan) -> Iterator[str]:
    yield f"### Plan: {' '.join(map(escaped, summary(plan)))}"
    busy = [table for table in plan.tables if table.planned or table.unknown]
    for table in busy:
        yield ""
        yield from _of_table(table)
    current = [escaped(printable(table.table)) for table in plan.tables if table not in busy]
    if current:
        yield ""
        yield f"Up to date: {', '.join(current)}"
    if plan.stale:
        yield ""
        yield f"Out of date below, and left out: {', '.join(escaped(below(stale)) for stale in plan.stale)}"


def _of_table(table: TablePlan) -> Iterator[str]:
    yield f"**{escaped(printable(table.table))}**: {heading(table)}"
    if not table.planned and not table.unknown:
        return
    yield ""
    yield "| partitions | why |"
    yield "| --- | --- |"
    groups = [*table.planned, *table.unknown]
    for group in groups[:_SHOWN_GROUPS]:
        unknown = "not known: " if group in table.unknown else ""
        yield f"| {escaped(partitions(group)) or '(table)'} | {unknown}{escaped(because(group))} |"
    if len(groups) > _SHOWN_GROUPS:
        yield f"| … | {len(groups) - _SHOWN_GROUPS:,} further reasons |"
    yield ""
    for word, sentence in details(table):
        yield f"- {'⚠️ ' if word == 'refused' else ''}{word}: {escaped(sentence)}"
