"""`show`: its arguments and options."""

import click

from practicus_assets.cli.completion import complete_tables
from practicus_assets.cli.options import Locations, json_option, location_options, partitions_option


@click.command(short_help="A table's rows, columns, contract and place.")
@click.argument("table", shell_complete=complete_tables)
@partitions_option("Rows of it; repeatable.")
@click.option("--version", type=click.IntRange(0), metavar="N", help="That version; the newest by default.")
@click.option(
    "--rows", metavar="N", type=click.IntRange(0), default=5, show_default=True, help="How many rows to show."
)
@click.option(
    "--contract", "as_contract", is_flag=True, help="Print a contract to begin with, as Python source."
)
@json_option
@location_options
def show(
    table: str,
    partitions: tuple[str, ...],
    version: int | None,
    rows: int,
    *,
    as_contract: bool,
    as_json: bool,
    locations: Locations,
) -> None:
    """Show TABLE: where it is, its partitions, its columns with what the contract promises, and first rows.

    Never more rows than the lake's sample_rows are shown. With --contract all rows are read, for nulls and
    for columns that may be keys; the contract is what they happen to keep, to be read and corrected.
    """
    from practicus_assets.cli.answers.tables.show import Shown, show_table

    wanted = Shown(table, partitions, version, rows, as_contract=as_contract)
    show_table(wanted, locations, as_json=as_json)
