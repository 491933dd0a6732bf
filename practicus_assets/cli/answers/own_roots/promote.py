"""`promote`: bring what an own root has of tables to the base."""

from collections.abc import Sequence
from typing import Any

from practicus_assets.cli.answers import locations, output
from practicus_assets.cli.answers.instance import instance_or_none
from practicus_assets.cli.answers.listing import Column
from practicus_assets.code_location import CodeLocation
from practicus_assets.operations.promote import Promotion, promote_tables

_COLUMNS = (
    Column("table", wraps=True),
    Column("scope", wraps=True),
    Column("own version", is_number=True),
    Column("base version", is_number=True),
    Column("new columns", wraps=True),
    Column("promoted as version", is_number=True),
    Column("rows", is_number=True),
)


def promote_to_base(
    tables: Sequence[str], code_locations: Sequence[CodeLocation], *, apply: bool, as_json: bool
) -> None:
    """Show what would be promoted, or do it.

    Args:
        tables: the tables' names; none for all that a run writes.
        code_locations: the code location whose tables these are; the contracts are its.
        apply: whether to do it.
        as_json: whether programs read the output.

    Raises:
        DeclarationError: for several code locations, or one that another Python runs.

    """
    location = locations.here(code_locations)
    entries = [entry for entry in locations.tables([location], tables) if tables or entry.is_written]
    with instance_or_none() as instance, output.progress("tables", hidden=as_json) as progress:
        promotions = promote_tables(entries, instance, apply=apply, progress=progress)
    if as_json:
        output.print_json([_plain(promotion) for promotion in promotions])
    else:
        _show(promotions, apply=apply)


def _plain(promotion: Promotion) -> dict[str, Any]:
    plan, commit = promotion.plan, promotion.commit
    return {
        "table": promotion.table,
        "own_version": plan.own_version,
        "base_version": plan.base_version,
        "scope": plan.scope_in_words,
        "partitions": list(plan.scope.keys) if plan.scope is not None else [],
        "fingerprints": dict(plan.fingerprints),
        "new_columns": dict(plan.new_columns),
        "version": commit.version if commit is not None else None,
        "promoted": dict(commit.fingerprints) if commit is not None else {},
    }


def _show(promotions: Sequence[Promotion], *, apply: bool) -> None:
    console = output.console()
    pending = [promotion for promotion in promotions if promotion.plan.scope is not None]
    output.print_table("Promoted" if apply else "To promote", _COLUMNS, [_row(each) for each in pending])
    if not pending:
        console.print("The base has all rows of the own root already. Nothing was written.")
    elif not apply:
        console.print("Nothing was written: give --apply to do it.")
    else:
        console.print("verify --repair, in the base's lake, reports the new rows to its Dagster.")


def _row(promotion: Promotion) -> list[Any]:
    plan, commit = promotion.plan, promotion.commit
    return [
        promotion.table,
        plan.scope_in_words,
        str(plan.own_version),
        str(plan.base_version) if plan.base_version is not None else "none",
        ", ".join(f"{name} {kind}" for name, kind in plan.new_columns.items()),
        str(commit.version) if commit is not None else "",
        commit.rows if commit is not None else "",
    ]
