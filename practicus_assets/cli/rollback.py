"""`rollback`: bring a table or partitions of it back to what they were."""

from dataclasses import asdict
from typing import Any

import click

from practicus_assets.assets.catalog import chosen
from practicus_assets.cli import locations, output
from practicus_assets.cli.instance import dagster_instance
from practicus_assets.lake.transactions.provenance import Provenance
from practicus_assets.operations.rollback import Rollback, RollbackConfig, roll_back


@click.command()
@click.argument("table")
@click.option("--to", required=True, help="A version, or the run that made it (or the run id's beginning).")
@click.option("--partition", "partitions", multiple=True, help="Only this partition; may be given again.")
@click.option("--undo-newer", is_flag=True, help="Undo several commits; without it only a single one.")
@click.option("--apply", is_flag=True, help="Do it; without it, only what would be undone is shown.")
@output.json_option
@locations.options
def rollback(
    table: str,
    to: str,
    partitions: tuple[str, ...],
    *,
    undo_newer: bool,
    apply: bool,
    as_json: bool,
    **location: Any,
) -> None:
    """Bring the rows of TABLE back to what they were at a version, in a new commit.

    Only partitions that changed since are replaced. It is refused if it would undo more than one commit,
    unless --undo-newer is given, and if somebody commits the same partitions meanwhile. Dagster gets
    materializations with the data versions of the rows that came back.
    """
    config = RollbackConfig(
        table=table, to=to, partitions=list(partitions), undo_newer=undo_newer, apply=apply
    )
    with dagster_instance() as instance:
        [entry] = chosen(locations.tables(**location), [table])
        provenance = Provenance(step="rollback", asset_key=entry.name)
        done = roll_back(entry, instance, config, provenance)
        for event in done.events:
            instance.report_runless_asset_event(event)
    if as_json:
        output.print_json(_plain(done))
    else:
        _show(table, done, undo_newer=undo_newer)


def _plain(done: Rollback) -> dict[str, Any]:
    plan = done.plan
    return {
        "target": plan.target,
        "planned_on": plan.newest,
        "scope": plan.scope_in_words,
        "partitions": list(plan.scope.keys) if plan.scope is not None else [],
        "undone": [asdict(entry) for entry in plan.undone],
        "version": done.commit.version if done.commit is not None else None,
    }


def _show(table: str, done: Rollback, *, undo_newer: bool) -> None:
    console, plan = output.console(), done.plan
    if plan.scope is None:
        console.print(f"{table} holds the rows of version {plan.target} already. Nothing was written.")
        return
    console.print(
        output.table(
            f"{table}, back to version {plan.target}: {plan.scope_in_words}",
            ("undone", "landed", "what", "scope", "rows in", "rows out", "run"),
            [
                [
                    str(entry.version),
                    output.moment(entry.landed),
                    entry.operation,
                    entry.scope,
                    entry.rows_in,
                    entry.rows_out,
                    entry.run_id[:8] or entry.engine,
                ]
                for entry in plan.undone
            ],
            "undone,rows in,rows out",
        )
    )
    if done.commit is not None:
        rows = f"{done.commit.rows:,} rows of that scope"
        console.print(f"[green]Done[/green]: version {done.commit.version} has {rows}.")
        return
    options = "--apply" if undo_newer or len(plan.undone) <= 1 else "--undo-newer --apply"
    console.print(f"Nothing was written: give {options} to do it.")
