"""`history`: what each commit of a table did."""

from itertools import islice
from typing import Any

import click

from practicus_assets import code_location
from practicus_assets.assets.catalog import catalog, chosen
from practicus_assets.cli import output
from practicus_assets.lake.upkeep.history import Version
from practicus_assets.lake.upkeep.history import history as history_of


@click.command()
@click.argument("table")
@click.option(
    "-n", "--limit", type=click.IntRange(1), default=20, show_default=True, help="How many commits."
)
@output.json_option
@code_location.options
def history(table: str, limit: int, *, as_json: bool, **location: Any) -> None:
    """Show the commits of TABLE, the newest first.

    Rows in and out are those of the files that came and went: a commit that replaces a partition of 10 rows
    by 12 has 12 in and 10 out. Audits are the rules that were checked before the commit.
    """
    [entry] = chosen(catalog(code_location.definitions(**location)), [table])
    versions = list(islice(history_of(entry.table, limit=limit), limit))
    if as_json:
        output.print_json(versions)
        return
    output.console().print(
        output.table(
            f"{entry.name}, {entry.table.uri}",
            ("version", "landed", "what", "scope", "rows in", "rows out", "files", "run", "audits"),
            map(_row, versions),
            "version,rows in,rows out,files",
        )
    )


def _row(version: Version) -> list[Any]:
    who = version.run_id[:8] or version.engine
    if version.attempt > 1:
        who += f", attempt {version.attempt}"
    return [
        str(version.version),
        output.moment(version.landed),
        version.operation,
        version.scope,
        version.rows_in,
        version.rows_out,
        f"+{version.files_in} -{version.files_out}",
        who,
        _audits(version),
    ]


def _audits(version: Version) -> str:
    failed = [f"{name}: {bad:,}" for name, bad in version.audits.items() if bad]
    passed = len(version.audits) - len(failed)
    return ", ".join([f"{passed} passed", *failed]) if version.audits else ""
