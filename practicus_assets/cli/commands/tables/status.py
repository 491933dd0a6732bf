"""`status`: its options."""

import click

from practicus_assets.cli.options import Locations, json_option, location_options, only


@click.command(short_help="How each table stands, on one screen.")
@json_option
@location_options
def status(*, as_json: bool, locations: Locations) -> None:
    """Show of each table its newest partition, age, rows, size and growth; what is stale, late, or failed.

    Stale is what `plan` would compute, for its reasons. The instance of DAGSTER_HOME, if there is one, knows
    what failed and what is late. Growth is what the newest commit that changed rows added.

    Exits with 3 if a table is late, failed last, or cannot be read; what is stale is no fault.
    """
    location = only(locations)
    from practicus_assets.cli.answers.tables.status import show_status

    show_status(location, as_json=as_json)
