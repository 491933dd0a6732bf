"""`history`: what each commit of a table did."""

from typing import Any

import click

from practicus_assets.assets.catalog import chosen
from practicus_assets.cli import locations, output
from practicus_assets.lake.upkeep.history import HistoryEntry, read_history


@click.command()
@click.argument("table")
@click.option(
    "-n", "--limit", type=click.IntRange(1), default=20, show_default=True, help="How many commits."
)
@output.json_option
@locations.options
def history(table: str, limit: int, *, as_json: bool, **location: Any) -> None:
    """Show the commits of TABLE, the newest first.

    Rows in and out are those of the files that came and went: a commit that replaces a partition of 10 rows
    by 12 has 12 in and 10 out. Audits are the rules that were checked before the commit.
    """
    [entry] = chosen(locations.tables(**location), [table])
    commits = list(read_history(entry.table, limit=limit))
    if as_json:
        output.print_json(commits)
        return
    output.console().print(
        output.table(
            f"{entry.label}, {entry.table.uri}",
            ("version", "landed", "what", "scope", "rows in", "rows out", "files", "run", "audits"),
            map(_row, commits),
            "version,rows in,rows out,files",
        )
    )


def _row(commit: HistoryEntry) -> list[Any]:
    who = commit.run_id[:8] or commit.engine
    if commit.attempt > 1:
        who += f", attempt {commit.attempt}"
    return [
        str(commit.version),
        output.moment(commit.landed),
        commit.operation,
        commit.scope,
        commit.rows_in,
        commit.rows_out,
        f"+{commit.files_in} -{commit.files_out}",
        who,
        _audits(commit),
    ]


def _audits(commit: HistoryEntry) -> str:
    failed = [f"{name}: {bad:,}" for name, bad in commit.audits.items() if bad]
    passed = len(commit.audits) - len(failed)
    return ", ".join([f"{passed} passed", *failed]) if commit.audits else ""
