"""`diff`: its arguments and options."""

import click

from practicus_assets.cli.options import Locations, json_option, location_options


@click.command(short_help="What changed between two versions.")
@click.argument("table")
@click.argument("before")
@click.argument("after")
@click.option(
    "--samples", type=click.IntRange(0), default=5, show_default=True, help="How many rows to show."
)
@json_option
@location_options
def diff(table: str, before: str, after: str, samples: int, *, as_json: bool, locations: Locations) -> None:
    """Show what changed in TABLE from version BEFORE to version AFTER; a run stands for the version it made.

    Columns, counts, the partitions whose rows differ, and some of these rows. Rows are compared by all
    columns that both versions have with the same type. Files that both versions have are not read.
    """
    from practicus_assets.cli.answers.diff import show_diff

    show_diff(table, before, after, samples, locations, as_json=as_json)
