"""`check`: its options."""

import click

from practicus_assets.cli.options import Locations, json_option, location_options, only


@click.command(short_help="Definitions and contracts, without a run.")
@json_option
@location_options
def check(*, as_json: bool, locations: Locations) -> None:
    """Check every table of the code location: its lake, place, settings, partitions, inputs and contract.

    Of tables that are there, the newest version is opened: whether a run would be refused for its columns or
    its partition columns. No row is read, and nothing is written. `dagster definitions validate` and `dg
    check defs` load the definitions, too, and know nothing of tables.

    Exits with 1 if something is wrong, and lists all of it.
    """
    location = only(locations)
    from practicus_assets.cli.answers.tables.check import check_tables

    check_tables(location, as_json=as_json)
