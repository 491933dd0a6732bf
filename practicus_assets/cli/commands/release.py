"""`release`: its commands, with their arguments and options."""

import click

from practicus_assets.cli.completion import complete_tables
from practicus_assets.cli.dagster_home import refuse_unset_instance
from practicus_assets.cli.group import CommandGroup
from practicus_assets.cli.options import Locations, json_option, location_options


@click.group(cls=CommandGroup, short_help="Versions of tables that belong together.")
def release() -> None:
    """Publish and list releases: versions of several tables that belong together."""


@release.command("publish", short_help="Publish a release: one commit records the version of each table.")
@click.argument("name")
@click.argument("tables", nargs=-1, shell_complete=complete_tables)
@click.option(
    "--run", "run_id", metavar="RUN", help="The versions that this run made; without it, the newest ones."
)
@click.option("--mixed", is_flag=True, help="Even if one was computed from other rows of another.")
@json_option
@location_options
def publish_command(
    name: str,
    tables: tuple[str, ...],
    run_id: str | None,
    *,
    mixed: bool,
    as_json: bool,
    locations: Locations,
) -> None:
    """Publish the release NAME of TABLES, or of all that there are: one commit records the version of each.

    With --run it is what the run made, and every table must be among it. Without, the newest versions are
    taken, and refused if one of them was computed from other rows of another.
    """
    if run_id is not None:
        refuse_unset_instance()
    from practicus_assets.cli.answers.release import publish_release

    publish_release(name, tables, run_id, locations, mixed=mixed, as_json=as_json)


@release.command("list", short_help="Show releases, the newest first.")
@click.option(
    "-n", "--limit", metavar="N", type=click.IntRange(1), default=20, show_default=True, help="How many."
)
@json_option
@location_options
def list_command(limit: int, *, as_json: bool, locations: Locations) -> None:
    """Show releases, the newest first."""
    from practicus_assets.cli.answers.release import list_releases

    list_releases(limit, locations, as_json=as_json)
