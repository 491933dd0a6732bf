"""The IO manager: the lake's configuration, inputs as snapshots, and outputs of plain assets."""

import logging
from functools import partial
from typing import Any

import dagster as dg

from practicus_assets.assets.asset_input import AssetInput, annotation_of
from practicus_assets.assets.lakes.lake import Lake
from practicus_assets.assets.lakes.layered_table import LayeredTable
from practicus_assets.assets.lakes.pins import begun_over_base, pinned_for
from practicus_assets.assets.metadata.input_settings import InputSettings
from practicus_assets.assets.metadata.places import (
    warn_of_other_asset,
)
from practicus_assets.assets.metadata.protection import refuse_unnamed
from practicus_assets.assets.metadata.spellings import refuse_of_no_asset
from practicus_assets.assets.output import may_be_none, refuse_unvalidated, warn_of_owned
from practicus_assets.assets.report import outcome
from practicus_assets.assets.report.account import Account
from practicus_assets.assets.report.materialization import commit_metadata, nothing_metadata, run_metadata
from practicus_assets.assets.report.statistics import Statistics
from practicus_assets.assets.runs import added_metadata, inputs_read, provenance_of, reading, step_of
from practicus_assets.assets.settings import TableSettings
from practicus_assets.errors import DeclarationError, TableNotFound, naming, naming_page
from practicus_assets.lake.delta.snapshot import Snapshot
from practicus_assets.lake.delta.table import Table
from practicus_assets.lake.partitions.scope import Scope
from practicus_assets.lake.rows.annotations import is_optional, kind_by_partition, written
from practicus_assets.lake.transactions.transaction import Transaction

_OF_PLAIN = (
    "Annotate pl.DataFrame, and pass dagster_type=patito_model_to_dagster_type(…) of dagster-polars to "
    "@dg.asset; or declare a contract, with @table_asset."
)
# what Dagster takes where no IO manager is set
_DEFAULTS = {"PickledObjectFilesystemIOManager", "InMemoryIOManager"}


class DeltaIOManager(Lake):
    """Stores assets as Delta tables below one root, and gives them to other assets as snapshots.

    A table lives at `root_uri`, followed by the parts of its asset key, joined by `/`.

    On a plain `@dg.asset`, the definition metadata says how: `partition_expr` (a column, or a mapping from
    partition dimension to column), `delta/mode`, `delta/merge_keys`, `delta/on_schema_change`,
    `delta/table_properties`, `delta/commit_metadata`, `delta/path`, `delta/statistics`; and on an input,
    `AssetIn(metadata=…)` says what is read: `delta/columns`, `delta/predicate`, `delta/version`.

    Attributes:
        root_uri: a folder, or an object store prefix such as `s3://bucket/lake`.
        storage_options: delta-rs's own; values may be `dg.EnvVar`. They are no part of Dagster's
            configuration, so that no page, run or event shows them.
        base_uri: the root of another lake that this one lies over, or None: tables and partitions that are
            not below `root_uri` are read there, and nothing is ever written there.
        base_storage_options: the options that reach the base; by default those of `storage_options`.
        sample_rows: the number of rows that a preview, a failed check, an error and a diff show at most;
            with 0 they show no value of any row.
        table_path: where tables lie below the root: "{key}", the parts of the asset key, or a pattern of
            `{name}`, the last of them, and `{schema}`, the one before it ("public" where there is none). An
            asset's own `delta/path` goes before it.
        mode, on_schema_change: what plain assets do that say nothing else; table assets have arguments.
        commit_metadata: entries that all commits have in the tables' histories, e.g. `userName`.

    """

    @naming_page()
    def handle_output(self, context: dg.OutputContext, obj: Any) -> None:
        """Commit the value of a plain asset: replace its partitions, or do what `delta/mode` says.

        None writes nothing, where the annotation `X | None` or `output_required=False` allows it.
        The value of an op's output that is no asset is kept for the ops that take it.
        """
        if not context.has_asset_key:
            output = f"the output {context.name!r} of the step {context.step_key}"
            refuse_of_no_asset(context.definition_metadata or {}, output)
            self.op_outputs().store(context, obj)
            return
        step = step_of(context)
        layered = self.layered(context.asset_key, context.definition_metadata, step)
        table = layered.own
        with naming(table.name):
            if (
                step is not None and type(context.dagster_type) is not dg.DagsterType
            ):  # which checks by itself
                refuse_unvalidated(annotation_of(context), _OF_PLAIN)
            authored = {**added_metadata(context, context.asset_key), **(context.output_metadata or {})}
            settings = self.settings(context.definition_metadata or {}).decided(authored)
            partitioned = context.has_asset_partitions
            scope = settings.scope(
                context.asset_partitions_def if partitioned else None,
                context.asset_partition_keys if partitioned else [],
            )
        if obj is None and _may_be_none(context, step):
            context.log.info(outcome.nothing_new(table.name, scope))
            metadata = nothing_metadata(table)
        else:
            metadata = self._commit(context, obj, layered, scope, settings)
        context.add_output_metadata(metadata)
        replaced = warn_of_owned(authored, metadata, partial(context.log.warning, "%s: %s", table.name))
        if replaced and step is not None:
            step.add_asset_metadata(replaced, context.asset_key)  # after what the function added so

    def _commit(
        self,
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
            spec, self.commit_metadata, context.dagster_type if step is not None else None
        )
        provenance = begun_over_base(context, layered, scope, options, provenance)
        transaction = Transaction(table, scope, options, provenance=provenance)
        warn_of_properties(context.log, table, transaction)
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
            preview_rows=self.sample_rows,
            appends=mode == "append",
            statistics=statistics,
        )
        metadata = run_metadata(snapshot, commit) | metadata
        read = inputs_read(step, provenance.input_versions)
        account = Account(table, snapshot, commit, mode, step, read)
        return account.added_to(metadata)

    @naming_page()
    def load_input(self, context: dg.InputContext) -> Any:
        """Return the table, or the partitions that map to the run's, as the parameter's annotation asks.

        A parameter that is a `dict[str, X]` gets an X of each of these partitions, by key; a
        `dict[str, X | None]` of those that have rows. One that is `X | None` gets None where there is no
        table, or no row of the partitions. What another op handed on, and is no asset, is returned as it was.
        """
        with reading(context):
            return self._load(context)

    def _load(self, context: dg.InputContext) -> Any:
        source = AssetInput.of(context)
        if source is None:
            if context.upstream_output is None:
                raise DeclarationError(
                    f"the input {context.name!r} comes from no op and no asset.",
                    "Give it a value in the config.",
                )
            if InputSettings.from_metadata(context.definition_metadata or {}) != InputSettings():
                raise DeclarationError(
                    f"the metadata of the input {context.name!r} select some of a table, of which what "
                    "another op handed on is none.",
                    "Select in the function.",
                )
            return self.op_outputs().load(context.upstream_output)
        layered = self.layered(source.key, source.metadata)
        table, annotation = layered.own, source.annotation
        with naming(table.name), source.made_by_somebody(table):
            settings = InputSettings.from_metadata(context.definition_metadata or {})
            kind = kind_by_partition(annotation)
            if kind is not None and source.partitions_def is None:
                raise DeclarationError(
                    f"the input {context.name!r} is of an asset without partitions, and annotated as "
                    f"{written(annotation)}.",
                    "Annotate it as one table, such as pd.DataFrame.",
                )
            if source.partitions_def is None:
                settings.refuse_without_partitions()
            snapshot = self._snapshot(source, layered, settings)
            if source.is_none(snapshot):
                return None
            if kind is None:
                return source.read(snapshot, settings, annotation)
            with_rows = settings.allow_missing_partitions or is_optional(kind)
            parts = snapshot.by_partition(with_rows=with_rows) if snapshot is not None else {}
            return {key: source.read(part, settings, kind) for key, part in parts.items()}

    def _snapshot(self, source: AssetInput, table: LayeredTable, settings: InputSettings) -> Snapshot | None:
        """Return the snapshot to read; None if there is no table yet, and the input may do without."""
        read = partial(pinned_for, source.context, source.key, table, version=settings.version)
        try:
            if source.partitions_def is None:
                return read(Scope())
            if not source.partition_keys:
                return read(Scope()).without_rows()
            stored = self.settings(source.metadata)
            with source.own_past():
                return read(stored.scope(source.partitions_def, source.partition_keys))
        except TableNotFound:
            if source.may_do_without_table(settings):
                return None
            raise


def _may_be_none(context: dg.OutputContext, step: Any) -> bool:
    """Return whether the function of a plain asset may return None, which writes nothing."""
    required = step is None or step.op_def.output_def_named(context.name).is_required
    return not required or may_be_none(annotation_of(context))


def warn_of_properties(log: logging.Logger, table: Table, transaction: Transaction) -> None:
    """Say which declared properties the table does not have, for a run does not change them."""
    for difference in transaction.property_differences:
        log.warning(
            "%s: %s. A run sets properties only when it creates the table; deltalake's "
            "DeltaTable(…).alter.set_table_properties changes them.",
            table.name,
            difference,
        )


def lake_of(context: Any, resource_key: str) -> DeltaIOManager:
    """Return the lake that a step's resources have under a key.

    Raises:
        DeclarationError: if that resource is something else.

    """
    lake = getattr(context.resources, resource_key)
    if not isinstance(lake, DeltaIOManager):
        raise no_lake(resource_key, lake)
    return lake


def no_lake(resource_key: str, resource: object) -> DeclarationError:
    """Return the error that a resource, None if there is none, is no lake."""
    kind = type(resource).__qualname__
    is_default = resource is None or kind in _DEFAULTS
    return DeclarationError(
        f"no DeltaIOManager is set as the resource {resource_key!r}"
        + (", so Dagster takes one of its own." if is_default else f", but one of the class {kind}."),
        f"Set resources={{{resource_key!r}: DeltaIOManager(root_uri=…)}}.",
    )
