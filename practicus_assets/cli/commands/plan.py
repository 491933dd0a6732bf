"""`plan`: its arguments and options."""

import click

from practicus_assets.cli.completion import complete_tables
from practicus_assets.cli.options import Locations, json_option, location_options, only, partitions_option


@click.command(short_help="What a run would compute, and why.")
@click.option(
    "--select",
    metavar="ASSETS",
    default="",
    shell_complete=complete_tables,
    help="Assets, as for `dagster asset materialize`; by default all.",
)
@partitions_option("One partition; repeatable.")
@click.option(
    "--partition-range",
    "ranges",
    multiple=True,
    metavar="RANGE",
    help="First and last key, joined by three dots; repeatable.",
)
@click.option("--markdown", "as_markdown", is_flag=True, help="Print Markdown, for a pull request.")
@json_option
@location_options
def plan(
    select: str,
    partitions: tuple[str, ...],
    ranges: tuple[str, ...],
    *,
    as_markdown: bool,
    as_json: bool,
    locations: Locations,
) -> None:
    """Show which tables and partitions a run would compute and why, and what it would do to them.

    The lake says what tables were computed from. The instance of DAGSTER_HOME, if there is one, knows
    sources, failed runs and checks; what nobody can know is shown as that. Nothing is written.

    Exits with 0 if nothing would be computed, 6 if something would, and 7 if nothing is known to be computed
    and not all is known.
    """
    location = only(locations)
    from practicus_assets.cli.answers.plan import Format, show_plan

    form: Format = "json" if as_json else "markdown" if as_markdown else "text"
    show_plan(select, partitions, ranges, location, form)
