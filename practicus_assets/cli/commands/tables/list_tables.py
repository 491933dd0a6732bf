"""`list`: its options."""

import click

from practicus_assets.cli.options import Locations, json_option, location_options, only


@click.command("list", short_help="The tables of a code location.")
@json_option
@location_options
def list_tables(*, as_json: bool, locations: Locations) -> None:
    """List the tables of the code location: key, group, partitions, place, worker and owners.

    They are as declared; no table is opened. External assets that may be tables are among them.
    """
    location = only(locations)
    from practicus_assets.cli.answers.tables.list_tables import show_list

    show_list(location, as_json=as_json)
