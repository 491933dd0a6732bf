"""`verify`: its arguments and options."""

import click

from practicus_assets.cli.completion import complete_tables
from practicus_assets.cli.dagster_home import refuse_unset_instance
from practicus_assets.cli.options import (
    Locations,
    all_option,
    json_option,
    location_options,
    refuse_no_tables,
)


@click.command(short_help="Whether tables are whole, and Dagster knows them.")
@click.argument("tables", nargs=-1, shell_complete=complete_tables)
@all_option
@click.option(
    "--rows", is_flag=True, help="Read every row: compare statistics, and content with its commits."
)
@click.option(
    "--repair", is_flag=True, help="Report to Dagster what the lake holds, where it believes otherwise."
)
@json_option
@location_options
def verify(
    tables: tuple[str, ...], *, all_: bool, rows: bool, repair: bool, as_json: bool, locations: Locations
) -> None:
    """Verify TABLES: the log, every data file, its statistics, and what Dagster believes is materialized.

    Nothing is changed. --repair reports materializations to Dagster, and changes nothing else: to fix a
    damaged file, materialize its partition again or roll it back. Exits with 3 if something is wrong.
    """
    refuse_no_tables(tables, all_=all_)
    if repair:
        refuse_unset_instance()
    from practicus_assets.cli.answers.verify import verify_tables

    verify_tables(tables, locations, rows=rows, repair=repair, as_json=as_json)
