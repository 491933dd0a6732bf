"""`history`: what each commit of a table did."""

from collections.abc import Sequence
from typing import Any

from practicus_assets.cli.answers import locations, output
from practicus_assets.cli.answers.listing import Column
from practicus_assets.cli.answers.locations import naming_in_json
from practicus_assets.code_location import CodeLocation
from practicus_assets.lake.upkeep.history import HistoryEntry, read_history
from practicus_assets.wording import in_short, number_of

_LONGEST_FINDING = 60  # characters; --json has all of it

_COLUMNS = (
    Column("version", is_number=True),
    Column("landed"),
    Column("what"),
    Column("scope", wraps=True),
    Column("rows in", is_number=True),
    Column("rows out", is_number=True),
    Column("files", is_number=True),
    Column("run", wraps=True),
    Column("audits", wraps=True),
)


def show_history(table: str, limit: int, code_locations: Sequence[CodeLocation], *, as_json: bool) -> None:
    """Print the newest commits of a table.

    Args:
        table: the table's name.
        limit: how many commits at most.
        code_locations: the code locations whose tables these are.
        as_json: whether programs read the output.

    """
    [entry] = locations.tables(code_locations, [table])
    with naming_in_json(entry, as_json=as_json):
        commits = list(read_history(entry.table, limit=limit))
    if as_json:
        output.print_json(commits)
    else:
        output.print_table(f"{entry.label}, {entry.table.uri}", _COLUMNS, map(_row, commits))


def commit_cells(commit: HistoryEntry) -> list[Any]:
    """Return what rows of commits begin with: version, time, operation, scope, rows in and rows out."""
    return [
        str(commit.version),
        output.moment(commit.landed),
        commit.operation,
        commit.scope,
        commit.rows_in,
        commit.rows_out,
    ]


def _row(commit: HistoryEntry) -> list[Any]:
    who = commit.run_id[:8] or commit.engine
    if commit.attempt > 1:
        who += f", attempt {commit.attempt}"
    return [
        *commit_cells(commit),
        f"+{commit.files_in:,} -{commit.files_out:,}",
        who,
        _audits(commit),
    ]


def _audits(commit: HistoryEntry) -> str:
    failed = [
        f"{name}: {in_short(commit.findings.get(name) or number_of(bad, 'case'), _LONGEST_FINDING)}"
        for name, bad in commit.audits.items()
        if bad
    ]
    passed = len(commit.audits) - len(failed)
    return ", ".join([f"{passed} passed", *failed]) if commit.audits else ""
