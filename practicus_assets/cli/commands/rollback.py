"""`rollback`: its arguments and options."""

import click

from practicus_assets.cli.completion import complete_tables
from practicus_assets.cli.dagster_home import refuse_unset_instance
from practicus_assets.cli.options import (
    Locations,
    apply_option,
    json_option,
    location_options,
    partitions_option,
)


@click.command(short_help="Bring a table or partitions back.")
@click.argument("table", shell_complete=complete_tables)
@click.option(
    "--to",
    metavar="VERSION",
    required=True,
    help="A version, or the run that made it (or the run id's beginning).",
)
@partitions_option("Only this partition; may be given again.")
@click.option("--undo-newer", is_flag=True, help="Undo several commits; without it only a single one.")
@apply_option
@json_option
@location_options
def rollback(
    table: str,
    to: str,
    partitions: tuple[str, ...],
    *,
    undo_newer: bool,
    apply: bool,
    as_json: bool,
    locations: Locations,
) -> None:
    """Bring the rows of TABLE back to what they were at a version, in a new commit.

    Only partitions that changed since are replaced. It is refused if it would undo more than one commit,
    unless --undo-newer is given, and if somebody commits the same partitions meanwhile. Dagster gets
    materializations with the data versions of the rows that came back.
    """
    refuse_unset_instance()
    from practicus_assets.cli.answers.rollback import roll_table_back

    settings = {"table": table, "to": to, "partitions": list(partitions)}
    roll_table_back({**settings, "undo_newer": undo_newer, "apply": apply}, locations, as_json=as_json)
