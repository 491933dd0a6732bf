"""`maintain`: compact, checkpoint, vacuum and expire."""

import sys
from dataclasses import asdict
from typing import Any

import click
from rich.markup import escape

from practicus_assets.assets.catalog import chosen
from practicus_assets.cli import locations, output
from practicus_assets.cli.group import exit_code
from practicus_assets.cli.instance import dagster_instance
from practicus_assets.errors import DeclarationError
from practicus_assets.operations.maintain import (
    DEFAULT_RELEASES,
    DEFAULT_RETENTION_HOURS,
    MaintainConfig,
    MaintainedTable,
    maintain_table,
)


@click.command()
@click.argument("tables", nargs=-1)
@click.option("--all", "all_", is_flag=True, help="Every table of the code location.")
@click.option("--compact", is_flag=True, help="Rewrite partitions that have several small files.")
@click.option(
    "--z-order", metavar="COLUMNS", help="Sort each partition's rows by these, separated by commas."
)
@click.option("--checkpoint", is_flag=True, help="Write a checkpoint of the log.")
@click.option("--vacuum", is_flag=True, help="Delete files that only older versions need, and orphans.")
@click.option("--expire", is_flag=True, help="Delete log entries that only older versions need.")
@click.option(
    "--retention-hours",
    type=click.FloatRange(0),
    default=DEFAULT_RETENTION_HOURS,
    show_default=True,
    help="Versions that were the newest within these hours stay readable.",
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
@locations.options
def maintain(
    tables: tuple[str, ...],
    z_order: str | None,
    retention_hours: float,
    releases: int,
    *,
    all_: bool,
    compact: bool,
    checkpoint: bool,
    vacuum: bool,
    expire: bool,
    apply: bool,
    as_json: bool,
    **location: Any,
) -> None:
    """Maintain TABLES: what the options name, or without any: compact, checkpoint, vacuum and expire.

    Safe beside runs: nothing goes that a run of this instance has pinned or staged, that is newer than the
    retention, or that a release needs. A table that cannot be maintained does not stop the others.
    """
    if all_ == bool(tables):
        raise DeclarationError("no tables are named, or too many.", "Name tables, or give --all.")
    columns = [column.strip() for column in (z_order or "").split(",") if column.strip()]
    everything = not (compact or columns or checkpoint or vacuum or expire)
    config = MaintainConfig(
        tables=list(tables),
        compact=compact or everything,
        z_order=columns,
        checkpoint=checkpoint or everything,
        vacuum=vacuum or everything,
        expire=expire or everything,
        retention_hours=retention_hours,
        releases=releases,
        apply=apply,
    )
    results = []
    with dagster_instance() as instance:
        for entry in chosen(locations.tables(**location), tables):
            with output.progress(entry.label, hidden=as_json) as progress:
                result = maintain_table(entry, instance, config, progress=progress)
            if tables and result.cutoff is None:
                raise entry.missing()
            if entry.is_written or result.cutoff is not None:
                results.append(result)
    if as_json:
        output.print_json([_plain(result) for result in results])
    else:
        _show(results, apply=apply)
    errors = [exit_code(result.error) for result in results if result.error is not None]
    if errors:
        sys.exit(max(errors))


def _plain(result: MaintainedTable) -> dict[str, Any]:
    error = str(result.error) if result.error is not None else None
    return {**asdict(result), "held": result.held, "error": error}


def _show(results: list[MaintainedTable], *, apply: bool) -> None:
    console = output.console()
    headings = ("table", "compacted", "checkpoint", "files removed", "log entries removed", "kept since")
    rows = [_row(result) for result in results if result.cutoff is not None and result.error is None]
    if rows:
        console.print(output.table("Done" if apply else "To be done", (*headings, "held by"), rows))
    for result in results:
        if result.error is not None:
            console.print(f"[red]✗[/red] {escape(str(result.error))}", soft_wrap=True)
        elif result.held:
            console.print(f"{result.table}: nothing is removed: {result.held}.")
    absent = [result.table for result in results if result.cutoff is None]
    if absent:
        console.print(f"No table yet: {', '.join(absent)}.")
    if not apply:
        console.print("Nothing was changed: give --apply to do it.")


def _row(result: MaintainedTable) -> list[str]:
    compaction, files, log_files = result.compaction, result.files, result.log_files
    rewritten = ""
    if compaction is not None:
        after = "" if compaction.files_after is None else f" to {compaction.files_after:,}"
        rewritten = f"{compaction.files_before:,} files{after} in {compaction.partitions:,} partitions"
        if compaction.overtaken:
            rewritten += f", {compaction.overtaken:,} overtaken by writers"
    held = [f"run {result.held_by[:8]}"] if result.held_by else []
    held += [f"release {name} (version {version})" for version, name in sorted(result.kept.items())]
    return [
        result.table,
        rewritten,
        "" if result.checkpoint is None else f"version {result.checkpoint}",
        "" if files is None else f"{len(files.paths):,} ({output.size(files.bytes)})",
        "" if log_files is None else f"{len(log_files.paths):,} ({output.size(log_files.bytes)})",
        output.moment(result.cutoff) if result.cutoff is not None else "",
        ", ".join(held),
    ]
