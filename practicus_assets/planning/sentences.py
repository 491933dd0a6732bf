"""Sentences: a plan in words, for terminals and for Markdown."""

from collections.abc import Iterator

from practicus_assets.planning.plan import NOT_OBSERVED, Group, Plan, Stale, TablePlan
from practicus_assets.wording import bytes_of, enumerated, number_of, printable

_SHOWN_SPANS = 6
_SHOWN_COLUMNS = 12


def heading(table: TablePlan) -> str:
    """Return what a run would do to a table, in a few words."""
    if not table.has_partitions:
        current = "up to date, would be reused" if table.reused else "up to date"
        return "would be computed" if table.planned else "not known" if table.unknown else current
    total = number_of(table.total, "partition")
    reused = [f"{table.reused:,} would be reused"] if table.reused else []
    if not table.planned and not table.unknown:
        return ", ".join(["up to date", total, *reused])
    parts = [f"{table.planned_count:,} of {total} would be computed"] if table.planned else []
    parts += [f"{table.unknown_count:,} not known"] if table.unknown else []
    parts += reused
    return ", ".join(parts)


def partitions(group: Group) -> str:
    """Return the partitions of a group: `2013-01-01 … 2013-12-31 (365)`; empty for a whole table."""
    shown = [
        printable(first) if count == 1 else f"{printable(first)} … {printable(last)} ({count:,})"
        for first, last, count in group.spans[:_SHOWN_SPANS]
    ]
    rest = sum(count for _, _, count in group.spans[_SHOWN_SPANS:])
    return ", ".join(shown) + (f" and {rest:,} more" if rest else "")


def because(group: Group) -> str:
    """Return why, in one sentence without its end: `table1 has other rows, its contract changed`."""
    unobserved = _unobserved(group)
    if len(unobserved) < 2:  # noqa: PLR2004 of one, its own text says it
        return printable(enumerated([reason.text for reason in group.reasons]))
    texts = [reason.text for reason in group.reasons if reason.input not in unobserved]
    them = f"{enumerated(unobserved)} were not observed before the run that read them"
    return printable(enumerated([*texts, them]))


def _unobserved(group: Group) -> list[str]:
    """Return the inputs that nobody observed before they were read."""
    return [reason.input for reason in group.reasons if reason.text == f"{reason.input} {NOT_OBSERVED}"]


def details(table: TablePlan) -> Iterator[tuple[str, str]]:
    """Yield what else is to be said of a table that would be computed: a word, and a sentence."""
    schema = table.schema
    if table.planned and table.rows != 0:
        rows = "an unknown number of rows" if table.rows is None else number_of(table.rows, "row")
        yield "replaces", f"{rows}, {bytes_of(table.size_bytes)}"
    if schema is not None:
        more = len(schema.changes) - _SHOWN_COLUMNS
        shown = ", ".join(map(printable, schema.changes[:_SHOWN_COLUMNS])) + (
            f" and {more} more" if more > 0 else ""
        )
        if schema.changes:
            yield ("creates", shown) if table.version is None else ("columns", shown)
        if schema.refused:
            yield "refused", printable(schema.refused)
        if schema.unknown:
            yield "columns", f"not known before a run: {schema.unknown}"
    if table.worker:
        yield "worker", ", ".join(f"{name} {printable(value)}" for name, value in table.worker.items())
    for note in table.notes:
        yield "note", printable(note)


def below(stale: Stale) -> str:
    """Return what of a table would be out of date."""
    name = printable(stale.table)
    return name if stale.partitions is None else f"{name} ({stale.partitions:,})"


def summary(plan: Plan) -> Iterator[str]:
    """Yield the last sentences: whether anything would be computed, and what nobody knows."""
    planned = [table for table in plan.tables if table.planned]
    if planned:
        count = sum(table.planned_count for table in planned)
        yield f"{number_of(count, 'partition')} of {number_of(len(planned), 'table')} would be computed."
    elif plan.is_known:
        yield "Nothing would be computed: all is up to date."
    else:
        yield "Nothing is known to need a run."
    unknown = sum(table.unknown_count for table in plan.tables)
    if unknown:
        yield f"Of {number_of(unknown, 'partition')} it is not known whether they are up to date."
    unobserved = {name for table in plan.tables for group in table.unknown for name in _unobserved(group)}
    if unobserved:
        names = printable(enumerated(sorted(unobserved)))
        yield f"Observe {names} before the next run: by build_source_sensor, or the button Observe."
    if not plan.asks_instance:
        yield "No instance was asked (DAGSTER_HOME): sources, failed runs and checks are not known."
    if plan.left_out:
        yield f"No tables, so left out: {printable(', '.join(plan.left_out))}."
