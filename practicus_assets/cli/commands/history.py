"""`history`: its arguments and options."""

import click

from practicus_assets.cli.completion import complete_tables
from practicus_assets.cli.options import Locations, json_option, location_options


@click.command(short_help="What each commit of a table did.")
@click.argument("table", shell_complete=complete_tables)
@click.option(
    "-n",
    "--limit",
    metavar="N",
    type=click.IntRange(1),
    default=20,
    show_default=True,
    help="How many commits.",
)
@json_option
@location_options
def history(table: str, limit: int, *, as_json: bool, locations: Locations) -> None:
    """Show the commits of TABLE, the newest first.

    Rows in and out are those of the files that came and went: a commit that replaces a partition of 10 rows
    by 12 has 12 in and 10 out. Audits are the rules that were checked before the commit.
    """
    from practicus_assets.cli.answers.history import show_history

    show_history(table, limit, locations, as_json=as_json)
