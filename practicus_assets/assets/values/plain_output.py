"""Plain output: the value of a plain asset as a commit to its table, and that of an op as it is."""

from functools import partial
from typing import Any

import dagster as dg

from practicus_assets.assets.lakes.lake import Lake
from practicus_assets.assets.lakes.layered_table import LayeredTable
from practicus_assets.assets.lakes.pins import begun_over_base
from practicus_assets.assets.metadata.committed_by import warn_of_other_asset
from practicus_assets.assets.metadata.protection import refuse_unnamed
from practicus_assets.assets.metadata.spellings import refuse_of_no_asset
from practicus_assets.assets.output import warn_of_owned
from practicus_assets.assets.report import outcome
from practicus_assets.assets.report.account import Account
from practicus_assets.assets.report.materialization import commit_metadata, nothing_metadata, run_metadata
from practicus_assets.assets.report.statistics import Statistics
from practicus_assets.assets.runs import added_metadata, inputs_read, provenance_of, step_of
from practicus_assets.assets.settings import TableSettings
from practicus_assets.assets.value_annotation import may_be_none, refuse_unvalidated
from practicus_assets.assets.values.asset_input import annotation_of
from practicus_assets.errors import naming
from practicus_assets.lake.delta.snapshot import Snapshot
from practicus_assets.lake.partitions.scope import Scope
from practicus_assets.lake.transactions.transaction import Transaction

_OF_PLAIN = (
    "Annotate pl.DataFrame, and pass dagster_type=patito_model_to_dagster_type(…) of dagster-polars to "
    "@dg.asset; or declare a contract, with @table_asset."
)


def store(lake: Lake, context: dg.OutputContext, obj: Any) -> None:
    """Store the value of an output: that of an asset in its table, that of an op for the ops that take it."""
    if not context.has_asset_key:
        output = f"the output {context.name!r} of the step {context.step_key}"
        refuse_of_no_asset(context.definition_metadata or {}, output)
        lake.op_outputs().store(context, obj)
        return
    step = step_of(context)
    layered = lake.layered(context.asset_key, context.definition_metadata, step)
    table = layered.own
    with naming(table.name):
        if step is not None and type(context.dagster_type) is not dg.DagsterType:  # which checks by itself
            refuse_unvalidated(annotation_of(context), _OF_PLAIN)
        authored = {**added_metadata(context, context.asset_key), **(context.output_metadata or {})}
        settings = lake.settings(context.definition_metadata or {}).decided(authored)
        partitioned = context.has_asset_partitions
        scope = settings.scope(
            context.asset_partitions_def if partitioned else None,
            context.asset_partition_keys if partitioned else [],
        )
    if obj is None and _may_be_none(context, step):
        context.log.info(outcome.nothing_new(table.name, scope))
        metadata = nothing_metadata(table)
    else:
        metadata = _commit(lake, context, obj, layered, scope, settings)
    context.add_output_metadata(metadata)
    replaced = warn_of_owned(authored, metadata, partial(context.log.warning, "%s: %s", table.name))
    if replaced and step is not None:
        step.add_asset_metadata(replaced, context.asset_key)  # after what the function added so


def _commit(  # noqa: PLR0917 what one commit needs
    lake: Lake,
    context: dg.OutputContext,
    rows: Any,
    layered: LayeredTable,
    scope: Scope,
    settings: TableSettings,
) -> dict[str, Any]:
    """Commit the rows of a plain asset, and return the metadata of its materialization."""
    step, table = step_of(context), layered.own
    with naming(table.name):
        statistics = Statistics.from_metadata(context.definition_metadata or {})
    spec = context.asset_spec if step is not None else None
    provenance = provenance_of(
        context,
        context.asset_key,
        spec.code_version if spec is not None else None,
        once=settings.options.mode == "append",
    )
    options = settings.described(
        spec, lake.commit_metadata, context.dagster_type if step is not None else None
    )
    provenance = begun_over_base(context, layered, scope, options, provenance)
    transaction = Transaction(table, scope, options, provenance=provenance)
    outcome.warn_of_properties(context.log, table.name, transaction.property_differences)
    warn_of_other_asset(context.log, context.asset_key, table, transaction.began)
    most = settings.most_replaced if transaction.landed is None else None
    refuse_unnamed(step, context.asset_key, table, scope, most=most, scope_of=settings.scope)
    try:
        commit = transaction.write(rows)
    except Exception as error:
        context.log.error(outcome.failed(table.name, scope, error))  # noqa: TRY400 the run shows it
        raise
    context.log.info(outcome.committed(table.name, scope, commit))
    snapshot = Snapshot(transaction.at(commit), scope)
    statistics.warn_of_missing(snapshot, context.log)
    mode = settings.options.mode
    metadata = commit_metadata(
        table,
        snapshot,
        commit,
        None,
        provenance.input_versions,
        sources=provenance.sources,
        preview_rows=lake.sample_rows,
        appends=mode == "append",
        statistics=statistics,
    )
    metadata = run_metadata(snapshot, commit) | metadata
    read = inputs_read(step, provenance.input_versions)
    account = Account(table, snapshot, commit, mode, step, read)
    return account.added_to(metadata)


def _may_be_none(context: dg.OutputContext, step: Any) -> bool:
    """Return whether the function of a plain asset may return None, which writes nothing."""
    required = step is None or step.op_def.output_def_named(context.name).is_required
    return not required or may_be_none(annotation_of(context))
