"""`maintain`: compact, checkpoint, expire and vacuum."""

from typing import Any

import click

from practicus_assets import code_location
from practicus_assets.assets.catalog import catalog, chosen
from practicus_assets.cli import output
from practicus_assets.cli.instance import dagster_instance
from practicus_assets.errors import DeclarationError, TableNotFound
from practicus_assets.operations.maintenance import DEFAULT_RELEASES, DEFAULT_RETENTION_HOURS, Chores, Upkeep
from practicus_assets.operations.maintenance import maintain as maintained


@click.command()
@click.argument("tables", nargs=-1)
@click.option("--all", "all_", is_flag=True, help="Every table of the code location.")
@click.option("--compact", is_flag=True, help="Rewrite partitions that have several small files.")
@click.option(
    "--z-order", metavar="COLUMNS", help="Sort each partition's rows by these, separated by commas."
)
@click.option("--checkpoint", is_flag=True, help="Write a checkpoint of the log.")
@click.option("--expire", is_flag=True, help="Delete log entries that only older versions need.")
@click.option("--vacuum", is_flag=True, help="Delete files that only older versions need, and orphans.")
@click.option(
    "--retention-hours",
    type=click.FloatRange(0),
    default=DEFAULT_RETENTION_HOURS,
    show_default=True,
    help="Versions that were the newest within them stay readable.",
)
@click.option(
    "--releases",
    type=click.IntRange(0),
    default=DEFAULT_RELEASES,
    show_default=True,
    help="How many of the newest releases stay readable.",
)
@click.option("--apply", is_flag=True, help="Do it; without it, only what would be done is shown.")
@output.json_option
@code_location.options
def maintain(
    tables: tuple[str, ...],
    z_order: str | None,
    retention_hours: float,
    releases: int,
    *,
    all_: bool,
    compact: bool,
    checkpoint: bool,
    expire: bool,
    vacuum: bool,
    apply: bool,
    as_json: bool,
    **location: Any,
) -> None:
    """Maintain TABLES: what the options name, or without any: compact, checkpoint, expire and vacuum.

    Safe beside runs: nothing goes that a run of this instance has pinned or staged, that is newer than the
    retention, or that a release needs.
    """
    if all_ == bool(tables):
        raise DeclarationError("no tables are named, or too many.", "Name tables, or give --all.")
    columns = [column.strip() for column in (z_order or "").split(",") if column.strip()]
    everything = not (compact or columns or checkpoint or expire or vacuum)
    chores = Chores(
        compact=compact or everything,
        z_order=columns,
        checkpoint=checkpoint or everything,
        expire=expire or everything,
        vacuum=vacuum or everything,
        retention_hours=retention_hours,
        releases=releases,
    )
    with dagster_instance() as instance:
        entries = chosen(catalog(code_location.definitions(**location)), tables)
        found, absent = [], []
        for entry in entries:
            with output.progress(entry.name, hidden=as_json) as watch:
                try:
                    found.append(maintained(entry, instance, chores, dry_run=not apply, watch=watch))
                except TableNotFound:
                    if not all_:
                        raise
                    absent.append(entry.name)
    if as_json:
        output.print_json(found)
        return
    _show(found, absent, apply=apply)


def _show(found: list[Upkeep], absent: list[str], *, apply: bool) -> None:
    console = output.console()
    console.print(
        output.table(
            "Done" if apply else "To be done",
            (
                "table",
                "compacted",
                "checkpoint",
                "files removed",
                "log entries removed",
                "kept since",
                "held by",
            ),
            map(_row, found),
        )
    )
    for done in found:
        for removable in (done.files, done.entries):
            if removable is not None and removable.held:
                console.print(f"{done.table}: nothing is removed: {removable.held}.")
                break
    if absent:
        console.print(f"No table yet: {', '.join(absent)}.")
    if not apply:
        console.print("Nothing was changed: give --apply to do it.")


def _row(done: Upkeep) -> list[str]:
    compaction, files, entries = done.compaction, done.files, done.entries
    rewritten = ""
    if compaction is not None:
        after = "" if compaction.files_after is None else f" to {compaction.files_after:,}"
        rewritten = f"{compaction.files_before:,} files{after} in {compaction.partitions:,} partitions"
        if compaction.overtaken:
            rewritten += f", {compaction.overtaken:,} overtaken by writers"
    held = [f"run {done.held_by[:8]}"] * bool(done.held_by)
    held += [f"release {name} (version {version})" for version, name in sorted(done.kept.items())]
    return [
        done.table,
        rewritten,
        "" if done.checkpoint is None else f"version {done.checkpoint}",
        "" if files is None else f"{len(files.paths):,} ({output.size(files.bytes)})",
        "" if entries is None else f"{len(entries.paths):,} ({output.size(entries.bytes)})",
        output.moment(done.cutoff),
        ", ".join(held),
    ]
