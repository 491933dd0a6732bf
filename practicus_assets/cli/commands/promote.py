"""`promote`: its arguments and options."""

import click

from practicus_assets.cli.completion import complete_tables
from practicus_assets.cli.options import (
    Locations,
    all_option,
    apply_option,
    json_option,
    location_options,
    refuse_no_tables,
)


@click.command(short_help="Bring a dev lake's tables to its base.")
@click.argument("tables", nargs=-1, shell_complete=complete_tables)
@all_option
@apply_option
@json_option
@location_options
def promote(tables: tuple[str, ...], *, all_: bool, apply: bool, as_json: bool, locations: Locations) -> None:
    """Bring what the own root has of TABLES to the base that it lies over, one commit per table.

    Rows are copied and not computed again, and audited by the contract of this code. It is refused if the
    base was changed in the same partitions since they were computed. What the base has already is left out,
    so that it may be given again. DAGSTER_HOME is needed only for dynamic partitions.
    """
    refuse_no_tables(tables, all_=all_)
    from practicus_assets.cli.answers.own_roots.promote import promote_to_base

    promote_to_base(tables, locations, apply=apply, as_json=as_json)
