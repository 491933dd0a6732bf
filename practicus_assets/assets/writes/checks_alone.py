"""Checks alone: the contracts of tables, evaluated on the tables as they are."""

from collections.abc import Callable, Collection, Iterator
from typing import Any

import dagster as dg

from practicus_assets.assets.io_manager import DeltaIOManager, lake_of
from practicus_assets.assets.report.checks import (
    audit_snapshot,
    check_results,
    partition_evaluations,
    whole_evaluation,
)
from practicus_assets.assets.runs import metadata_of
from practicus_assets.assets.writes.terms import TableTerms
from practicus_assets.errors import DeclarationError, naming, naming_page
from practicus_assets.instance.run_tags import PARTITION_TAG, partition_keys
from practicus_assets.lake.partitions.scope import Scope

Evaluations = Iterator[dg.AssetCheckResult | dg.AssetCheckEvaluation | dg.Output[None]]


def evaluations(
    context: dg.AssetCheckExecutionContext,
    terms_of: Callable[[dg.AssetKey], TableTerms],
    partitions_def: dg.PartitionsDefinition[Any] | None,
    io_manager_key: str,
) -> Evaluations:
    """Evaluate the checks that a run selects, without their assets.

    Args:
        context: the context of the step.
        terms_of: returns what the definition of a table says, by its asset's key.
        partitions_def: the assets' partitions; None if they have none.
        io_manager_key: the resource key of their lake.

    """
    lake = lake_of(context, io_manager_key)
    selected = context.selected_asset_check_keys
    with naming_page():
        for key in sorted({check.asset_key for check in selected}):
            of_table = {check for check in selected if check.asset_key == key}
            yield from _evaluated(context, lake, key, of_table, terms_of(key), partitions_def)


def _evaluated(  # noqa: PLR0917 what one table's evaluation needs
    context: dg.AssetCheckExecutionContext,
    lake: DeltaIOManager,
    key: dg.AssetKey,
    wanted: Collection[dg.AssetCheckKey],
    terms: TableTerms,
    partitions_def: dg.PartitionsDefinition[Any] | None,
) -> Evaluations:
    authored = {spec.name for spec in terms.author_specs}
    selected = {check for check in wanted if check.name not in authored}
    left_out = sorted(check.name for check in wanted if check.name in authored)
    if terms.contract is None or not selected:
        raise DeclarationError(
            f"the checks {left_out} of {key.to_user_string()} come from its function, so they cannot run "
            "alone.",
            "Materialize the asset.",
        )
    if left_out:
        context.log.warning("%s: its function alone runs the checks %s", key.to_user_string(), left_out)
    table = lake.layered(key, metadata_of(context, key))
    keys_of_run = partition_keys(partitions_def, context.run.tags, context.instance)
    with naming(table.own.name):
        if keys_of_run or partitions_def is None:
            scope = every = terms.settings.scope(partitions_def, keys_of_run)
            results = audit_snapshot(terms.contract, table.pinned(scope)[0])
        else:
            keys = list(partitions_def.get_partition_keys(dynamic_partitions_store=context.instance))
            scope, every = Scope(), terms.settings.scope(partitions_def, keys) if keys else Scope()
            results = audit_snapshot(terms.contract, table.pinned(Scope())[0], every)
    if every.keys and PARTITION_TAG not in context.run.tags:  # else Dagster knows the partition
        materialized = context.instance.get_materialized_partitions(key) if not scope.keys else set()
        evaluated = scope.keys or [name for name in every.keys if name in materialized]
        yield from partition_evaluations(results, key, evaluated, selected, context.instance)
    of_run = check_results(results, key, scope, selected)
    if keys_of_run or partitions_def is None:
        yield from of_run
        return
    assets_def = context.op_execution_context.assets_def
    outputs = {spec.key: name for name, spec in assets_def.node_check_specs_by_output_name.items()}
    for result in of_run:
        yield dg.Output(None, outputs[dg.AssetCheckKey(key, str(result.check_name))])
        yield whole_evaluation(result)
