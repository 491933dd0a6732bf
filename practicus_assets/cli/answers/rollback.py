"""`rollback`: bring a table or partitions of it back to what they were."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from practicus_assets.cli.answers import locations, output
from practicus_assets.cli.answers.history import commit_cells
from practicus_assets.cli.answers.instance import dagster_instance
from practicus_assets.cli.answers.listing import Column
from practicus_assets.cli.answers.locations import naming_in_json
from practicus_assets.code_location import CodeLocation
from practicus_assets.lake.transactions.provenance import Provenance
from practicus_assets.operations.configs import RollbackConfig
from practicus_assets.operations.rollback import Rollback, roll_back
from practicus_assets.wording import number_of

_COLUMNS = (
    Column("undone", is_number=True),
    Column("landed"),
    Column("what"),
    Column("scope", wraps=True),
    Column("rows in", is_number=True),
    Column("rows out", is_number=True),
    Column("run", wraps=True),
)


def roll_table_back(
    settings: Mapping[str, Any], code_locations: Sequence[CodeLocation], *, as_json: bool
) -> None:
    """Show what a rollback would undo, or do it, and report it to Dagster.

    Args:
        settings: the fields of `RollbackConfig`.
        code_locations: the code locations whose tables these are.
        as_json: whether programs read the output.

    """
    config = RollbackConfig(**settings)
    [entry] = locations.tables(code_locations, [config.table])
    with naming_in_json(entry, as_json=as_json), dagster_instance() as instance:
        provenance = Provenance(step="rollback", asset_key=entry.name)
        with output.progress(entry.label, hidden=as_json):  # one transaction: nobody knows how far it is
            done = roll_back(entry, instance, config, provenance)
        for event in done.events:
            instance.report_runless_asset_event(event)
    if as_json:
        output.print_json(_plain(done))
    else:
        _show(config, done)


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


def _show(config: RollbackConfig, done: Rollback) -> None:
    console, plan, table = output.console(), done.plan, config.table
    if plan.scope is None:
        console.print(f"{table} holds the rows of version {plan.target} already. Nothing was written.")
        return
    rows = [[*commit_cells(entry), entry.run_id[:8] or entry.engine] for entry in plan.undone]
    output.print_table(f"{table}, back to version {plan.target}: {plan.scope_in_words}", _COLUMNS, rows)
    if done.commit is not None:
        count = number_of(done.commit.rows, "row")
        console.print(f"[green]Done[/green]: version {done.commit.version} has {count} of that scope.")
        return
    options = "--apply" if config.undo_newer or len(plan.undone) <= 1 else "--undo-newer --apply"
    console.print(f"Nothing was written: give {options} to do it.")
