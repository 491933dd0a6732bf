"""`rollback`: bring a table, or partitions of it, back to what they were."""

from dataclasses import asdict
from typing import Any

import click

from practicus_assets import code_location
from practicus_assets.assets.catalog import catalog, chosen
from practicus_assets.cli import output
from practicus_assets.cli.instance import dagster_instance
from practicus_assets.lake.transactions.record import Commit, Provenance
from practicus_assets.lake.upkeep.rollback import Plan
from practicus_assets.operations.rollback import plan, roll_back


@click.command()
@click.argument("table")
@click.option("--to", required=True, help="A version, or the run that made it (or the run id's beginning).")
@click.option("--partition", "partitions", multiple=True, help="Only this partition; may be given again.")
@click.option("--undo-newer", is_flag=True, help="Undo several commits; without it only a single one.")
@click.option("--dry-run", is_flag=True, help="Only show what would be undone.")
@output.json_option
@code_location.options
def rollback(
    table: str,
    to: str,
    partitions: tuple[str, ...],
    *,
    undo_newer: bool,
    dry_run: bool,
    as_json: bool,
    **location: Any,
) -> None:
    """Bring the rows of TABLE back to what they were at a version, in a new commit.

    Only partitions that changed since are replaced. It is refused if it would undo more than one commit,
    unless --undo-newer is given, and if somebody commits the same partitions meanwhile. Dagster is told by
    materializations with the data versions of the rows that came back.
    """
    with dagster_instance() as instance:
        [entry] = chosen(catalog(code_location.definitions(**location)), [table])
        planned = plan(entry, instance, to, partitions)
        if dry_run or planned.scope is None:
            _show(table, planned, None, as_json=as_json)
            return
        who = Provenance(step="rollback", asset_key=entry.name)
        done = roll_back(entry, instance, planned, who, undo_newer=undo_newer)
        for event in done.events:
            instance.report_runless_asset_event(event)
        _show(table, planned, done.commit, as_json=as_json)


def _show(table: str, planned: Plan, commit: Commit | None, *, as_json: bool) -> None:
    scope = str(planned.scope or "") or "whole table" if planned.scope is not None else "nothing"
    if as_json:
        partitions = list(planned.scope.keys) if planned.scope is not None else []
        told = {
            "target": planned.target,
            "planned_on": planned.newest,
            "scope": scope,
            "partitions": partitions,
        }
        version = commit.version if commit is not None else None
        output.print_json({**told, "undone": [asdict(v) for v in planned.undone], "version": version})
        return
    console = output.console()
    if planned.scope is None:
        console.print(f"{table} holds the rows of version {planned.target} already. Nothing was written.")
        return
    console.print(
        output.table(
            f"{table}, back to version {planned.target}: {scope}",
            ("undone", "landed", "what", "scope", "rows in", "rows out", "run"),
            [
                [
                    str(v.version),
                    output.moment(v.landed),
                    v.operation,
                    v.scope,
                    v.rows_in,
                    v.rows_out,
                    v.run_id[:8] or v.engine,
                ]
                for v in planned.undone
            ],
            "undone,rows in,rows out",
        )
    )
    if commit is None:
        console.print("Nothing was written: --dry-run.")
    else:
        console.print(
            f"[green]Done[/green]: version {commit.version} has {commit.rows:,} rows of that scope."
        )
