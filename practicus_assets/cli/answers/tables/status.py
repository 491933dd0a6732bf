"""`status`: how the tables of a code location stand."""

import datetime as dt
import sys
from dataclasses import asdict
from typing import Any

from rich.text import Text

from practicus_assets.cli.answers import output
from practicus_assets.cli.answers.listing import Column
from practicus_assets.cli.answers.tables.surroundings import surroundings
from practicus_assets.cli.dagster_home import instance_is_set
from practicus_assets.cli.failure import PROBLEMS
from practicus_assets.code_location import CodeLocation
from practicus_assets.overview.status import TableStatus, statuses
from practicus_assets.wording import bytes_of, duration, enumerated, in_short, number_of, printable

_LONGEST_REASON = 60
_COLUMNS = (
    Column("table", wraps=True),
    Column("newest", wraps=True),
    Column("age"),
    Column("rows (grown by)", is_number=True),
    Column("size (grown by)", is_number=True),
    Column("stale", wraps=True),
    Column("fresh"),
    Column("failed", wraps=True),
)


def show_status(location: CodeLocation, *, as_json: bool) -> None:
    """Print how tables stand; exit with 3 if one is late, failed last, or cannot be read.

    Args:
        location: the code location.
        as_json: whether programs read the output.

    """
    now = dt.datetime.now(dt.UTC)
    with surroundings(location) as around, output.progress("tables", hidden=as_json) as progress:
        tables = statuses(around, now, progress)
    if as_json:
        plain = [{**asdict(table), "is_wrong": table.is_wrong} for table in tables]
        output.print_json({"asks_instance": instance_is_set(), "tables": plain})
    else:
        _show(tables, now)
    if any(table.is_wrong for table in tables):
        sys.exit(PROBLEMS)


def _show(tables: list[TableStatus], now: dt.datetime) -> None:
    console = output.console()
    output.print_table("", _COLUMNS, [_row(table, now) for table in tables])
    if not tables:
        console.print("The code location has no tables that it writes.")
    for table in tables:
        for sentence in (table.error, f"{table.table}: {table.late}" if table.is_late else ""):
            if sentence:
                console.print(Text.assemble(("✗", "red"), f" {printable(sentence)}"), soft_wrap=True)
    if not instance_is_set():
        console.print("DAGSTER_HOME is not set: what failed, is late, or changed in sources is not known.")


def _row(table: TableStatus, now: dt.datetime) -> list[Any]:
    if table.error:
        return [printable(table.table), "", "", "", "", "", "", Text("cannot be read", "red")]
    rows = "?" if table.rows is None else f"{table.rows:,}"
    is_there = table.version is not None
    return [
        printable(table.table),
        printable(_newest(table)),
        duration((now - table.landed).total_seconds()) if table.landed is not None else "",
        f"{rows}{_signed(table.rows_grown)}" if is_there else "",
        f"{bytes_of(table.size_bytes)}{_signed_bytes(table.bytes_grown)}" if is_there else "",
        _stale(table),
        Text("late", "red") if table.is_late else "in time" if table.is_late is not None else "",
        _failure(table, now),
    ]


def _newest(table: TableStatus) -> str:
    if table.version is None:
        return "no table yet"
    if table.partition_count is None:
        return f"version {table.version}"
    if not table.newest_partition:
        return f"none of {number_of(table.partition_count, 'partition')}"
    return f"{table.newest_partition} ({table.partitions_there:,} of {table.partition_count:,})"


def _signed(count: int | None) -> str:
    return "" if count is None else f" ({count:+,})"


def _signed_bytes(count: int | None) -> str:
    if count is None:
        return ""
    return f" ({'-' if count < 0 else '+'}{bytes_of(abs(count))})"


def _stale(table: TableStatus) -> Text:
    if table.stale is None:
        return Text("?")
    if not table.stale and not table.unknown:
        return Text("no", "green")
    count = table.stale or table.unknown
    why = printable(in_short(table.reasons[0], _LONGEST_REASON)) if table.reasons else ""
    what = f"{count:,}" if table.partition_count is not None else "yes" if table.stale else ""
    known = what if table.stale else f"{what} not known".strip()
    return Text(": ".join(part for part in (known, why) if part), "yellow" if table.stale else "")


def _failure(table: TableStatus, now: dt.datetime) -> Text | str:
    failure = table.failure
    if failure is None:
        return ""
    when = f" {duration((now - failure.began).total_seconds())} ago" if failure.began is not None else ""
    by = f", refused by {enumerated(list(failure.checks))}" if failure.checks else ""
    count = f", {number_of(failure.partitions, 'partition')}" if table.partition_count is not None else ""
    return Text(printable(f"run {failure.run_id[:8]}{when}{by}{count}"), "red")
