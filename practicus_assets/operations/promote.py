"""Promotions of tables of assets: what an own root has, brought to the base that it lies over."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import dagster as dg

from practicus_assets.assets.catalog import TableEntry
from practicus_assets.errors import DeclarationError, PromotionRefused
from practicus_assets.lake.delta.record import InputVersion
from practicus_assets.lake.transactions.commit import Commit
from practicus_assets.lake.transactions.provenance import Provenance
from practicus_assets.lake.upkeep.own_roots.changes import TwoTables
from practicus_assets.lake.upkeep.own_roots.promotion import PromotionPlan, plan_promotion, promote
from practicus_assets.lake.upkeep.progress import Progress, unseen
from practicus_assets.wording import enumerated


@dataclass(frozen=True)
class Promotion:
    """What a promotion did to one table, or would do.

    Attributes:
        table: the table's name.
        plan: the plan.
        commit: what landed in the base; None in a preview, and if the base has all rows already.

    """

    table: str
    plan: PromotionPlan
    commit: Commit | None = None


def promote_tables(
    entries: Sequence[TableEntry],
    instance: dg.DagsterInstance,
    *,
    apply: bool,
    progress: Progress = unseen,
) -> list[Promotion]:
    """Bring what the own root has of tables to the base, one commit per table, inputs before what reads them.

    All are planned before the first is written. Where one is refused or killed later, those before it have
    landed; to promote again brings the others.

    Args:
        entries: the tables, all of them of lakes over a base.
        instance: the Dagster instance that knows the assets' partitions.
        apply: whether to do it; otherwise only what would be done is found out.
        progress: the callback that gets how many tables were planned or promoted, of how many.

    Raises:
        DeclarationError: for a table of a lake without a base.
        CommitConflict: if the base was changed in what would be promoted, since it was pinned.
        PromotionRefused: for a history, and if the own root has what the base cannot take as it is.
        DataRefused: if the rows break the contract of the code.

    """
    histories = [entry.name for entry in entries if entry.settings.options.history is not None]
    if histories:
        raise PromotionRefused(
            f"{enumerated(histories)} {'is a history' if len(histories) == 1 else 'are histories'}, of which "
            "rows are valid until those of other runs are, also of runs in the base.",
            "Run the new code on the base: it gives the same table. Select the other tables to promote them.",
        )
    tables = {entry.name: two_tables(entry) for entry in entries}
    plans, steps = {}, 2 * len(entries)
    for done, entry in enumerate(entries):
        progress(done, steps)
        scope = entry.scope(instance, entry.partition_keys(instance))
        plans[entry.name] = plan_promotion(tables[entry.name], scope)
    promotions = []
    there: dict[str, InputVersion] = {}
    for done, entry in enumerate(_inputs_first(entries, plans), len(entries)):
        progress(done, steps)
        plan, commit = plans[entry.name], None
        if plan.scope is not None and apply:
            commit = promote(
                tables[entry.name],
                plan,
                entry.settings.options,
                contract=entry.contract,
                provenance=Provenance(step="promote", asset_key=entry.key.to_user_string()),
                promoted=there,
            )
        if plan.own_version is not None and (commit is not None or plan.scope is None):
            newest = tables[entry.name].base.open_if_exists()
            if newest is not None:
                version = commit.version if commit is not None else newest.version
                there[entry.name] = InputVersion(entry.name, version, newest.id)
        promotions.append(Promotion(entry.name, plan, commit))
    progress(steps, steps)
    return promotions


def two_tables(entry: TableEntry) -> TwoTables:
    """Return an asset's table in the own root, and that of the base.

    Raises:
        DeclarationError: for a lake without a base.

    """
    layered = entry.layered
    if layered.base is None:
        raise DeclarationError(
            f"{entry.name} is of the lake {entry.root_uri}, which lies over no base.",
            "Set base_uri of its DeltaIOManager to the root that is to be written.",
        )
    return TwoTables(layered.own, layered.base, layered.root_uri, layered.base_uri)


def _inputs_first(entries: Sequence[TableEntry], plans: Mapping[str, PromotionPlan]) -> list[TableEntry]:
    """Return the tables so that each comes after those that its rows were computed from."""
    waiting = {entry.name: entry for entry in entries}
    ordered: list[TableEntry] = []

    def take(name: str) -> None:
        entry = waiting.pop(name, None)
        if entry is not None:
            for read in plans[name].inputs:
                take(read)
            ordered.append(entry)

    for entry in entries:
        take(entry.name)
    return ordered
