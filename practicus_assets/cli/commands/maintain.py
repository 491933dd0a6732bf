"""`maintain`: its arguments and options."""

import click

from practicus_assets.cli.completion import complete_tables
from practicus_assets.cli.dagster_home import refuse_unset_instance
from practicus_assets.cli.options import (
    Locations,
    all_option,
    apply_option,
    json_option,
    location_options,
    refuse_no_tables,
)
from practicus_assets.errors import DeclarationError
from practicus_assets.operations.defaults import RELEASES, RETENTION_HOURS


@click.command(short_help="Compact, checkpoint, vacuum, expire.")
@click.argument("tables", nargs=-1, shell_complete=complete_tables)
@all_option
@click.option("--compact", is_flag=True, help="Rewrite partitions that have several small files.")
@click.option(
    "--z-order", metavar="COLUMNS", help="Sort each partition's rows by these, separated by commas."
)
@click.option("--checkpoint", is_flag=True, help="Write a checkpoint of the log.")
@click.option("--vacuum", is_flag=True, help="Delete files that only older versions need, and orphans.")
@click.option("--expire", is_flag=True, help="Delete log entries that only older versions need.")
@click.option(
    "--retention-hours",
    metavar="HOURS",
    type=click.FloatRange(0),
    default=RETENTION_HOURS,
    show_default=True,
    help="Versions that were the newest within these hours stay readable.",
)
@click.option(
    "--releases",
    metavar="N",
    type=click.IntRange(0),
    default=RELEASES,
    show_default=True,
    help="How many of the newest releases stay readable.",
)
@click.option(
    "--artifact-days",
    type=click.FloatRange(0),
    metavar="DAYS",
    help="With --all, delete artifacts of tasks that are older, but for those of each task's newest run.",
)
@apply_option
@json_option
@location_options
def maintain(
    tables: tuple[str, ...],
    z_order: str | None,
    retention_hours: float,
    releases: int,
    artifact_days: float | None,
    *,
    all_: bool,
    compact: bool,
    checkpoint: bool,
    vacuum: bool,
    expire: bool,
    apply: bool,
    as_json: bool,
    locations: Locations,
) -> None:
    """Maintain TABLES: what the options name, or without any: compact, checkpoint, vacuum and expire.

    Safe beside runs: nothing goes that a run of this instance has pinned or staged, that is newer than the
    retention, or that a release needs. A table that cannot be maintained does not stop the others.
    """
    refuse_no_tables(tables, all_=all_)
    columns = [column.strip() for column in (z_order or "").split(",") if column.strip()]
    if tables and artifact_days is not None:
        raise DeclarationError("tables are named, and --artifact-days is given.", "Give --all with it.")
    named = compact or columns or checkpoint or vacuum or expire or artifact_days is not None
    everything = not named
    settings = {
        "tables": list(tables),
        "compact": compact or everything,
        "z_order": columns,
        "checkpoint": checkpoint or everything,
        "vacuum": vacuum or everything,
        "expire": expire or everything,
        "retention_hours": retention_hours,
        "releases": releases,
        "artifact_days": artifact_days,
        "apply": apply,
    }
    refuse_unset_instance()
    from practicus_assets.cli.answers.maintain import maintain_tables

    maintain_tables(settings, locations, as_json=as_json)
