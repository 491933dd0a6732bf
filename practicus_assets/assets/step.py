"""One step of a table asset: its function's rows through a transaction, or its checks on what is there."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from inspect import Parameter, Signature, signature
from typing import Any

import dagster as dg

from practicus_assets.assets.author_checks import AuthorChecks, audits
from practicus_assets.assets.io_manager import lake_of, warn_of_properties
from practicus_assets.assets.lakes.pins import begun_over_base
from practicus_assets.assets.metadata.places import warn_of_other_asset
from practicus_assets.assets.metadata.protection import refuse_unnamed
from practicus_assets.assets.output import NOTHING, Output, warn_of_owned, without_owned_tags
from practicus_assets.assets.report import outcome
from practicus_assets.assets.report.checks import (
    audit_snapshot,
    check_results,
    partition_evaluations,
    whole_evaluation,
)
from practicus_assets.assets.report.data_version import data_version
from practicus_assets.assets.report.materialization import commit_metadata, partition_metadata
from practicus_assets.assets.runs import (
    added_metadata,
    metadata_of,
    partition_keys,
    provenance_of,
    step_of,
    until_end,
)
from practicus_assets.assets.settings import TableSettings
from practicus_assets.errors import AuditFailed, DeclarationError, LossyValues, SchemaMismatch, naming
from practicus_assets.lake.contracts.audit import AuditResult, schema_failure
from practicus_assets.lake.contracts.contract import Contract
from practicus_assets.lake.delta.snapshot import Snapshot
from practicus_assets.lake.delta.table import Table
from practicus_assets.lake.partitions.scope import Scope
from practicus_assets.lake.rows.annotations import hints
from practicus_assets.lake.transactions.commit import Commit
from practicus_assets.lake.transactions.provenance import Provenance
from practicus_assets.lake.transactions.stage.staged import Staged
from practicus_assets.lake.transactions.transaction import Transaction

_CONTEXT_NAMES = {"context", "_context", "context_", "_"}  # those that Dagster knows

Function = Callable[..., Any]


class Step:
    """What the steps of a table asset do.

    Args:
        function: the author's function.
        settings: how the table is stored.
        contract: what the table promises.
        partitions_def: the asset's partitions; None if it has none.
        author_specs: the checks that the function gives results of.
        io_manager_key: the resource key of its lake.
        output_required: whether each run must materialize the asset.

    Raises:
        DeclarationError: for a parameter that Dagster could not give a value.

    """

    def __init__(
        self,
        function: Function,
        settings: TableSettings,
        contract: Contract | None,
        partitions_def: dg.PartitionsDefinition[Any] | None,
        *,
        author_specs: Sequence[dg.AssetCheckSpec],
        io_manager_key: str,
        output_required: bool,
    ) -> None:
        self._function = function
        self._parameters = _parameters(function)
        self._takes_context = bool(self._parameters) and self._parameters[0].name in _CONTEXT_NAMES
        self._settings = settings
        self._contract = contract
        self._partitions_def = partitions_def
        self._author_specs = author_specs
        self._io_manager_key = io_manager_key
        self._output_required = output_required

    def compute(self) -> Function:
        """Return the function of the asset's op, with the parameters of the author's."""
        own = Parameter("context", Parameter.POSITIONAL_OR_KEYWORD)
        inputs = self._parameters[1:] if self._takes_context else self._parameters
        context = self._parameters[0] if self._takes_context else own

        def compute(context: Any, **values: Any) -> Iterator[Any]:
            call = partial(self._call, (context,) if self._takes_context else (), values)
            own = _asset_context(context)
            with until_end(own):
                yield from self._materialize(own, call)

        return self._alike(compute, [context.replace(name="context"), *inputs])

    def invoke(self) -> Function:
        """Return the function of the op that a direct call of the asset runs.

        It yields what the author's function returned, be it a generator, as one output.
        """

        def invoke(*context: Any, **values: Any) -> Iterator[dg.Output[Any]]:
            yield dg.Output(self._call(context, values))

        return self._alike(invoke, self._parameters)

    def evaluate(self) -> Function:
        """Return the function of the op that evaluates the asset's checks alone."""

        def evaluate(context: dg.AssetCheckExecutionContext) -> Iterator[Any]:
            yield from self._evaluate(context)

        return evaluate

    def _call(self, context: Sequence[Any], values: Mapping[str, Any]) -> Any:
        """Call the author's function, by position where it takes a value in no other way."""
        kinds = {name: parameter.kind for name, parameter in signature(self._function).parameters.items()}
        by_position = [n for n in values if kinds.get(n) is Parameter.POSITIONAL_ONLY]
        by_name = {name: value for name, value in values.items() if name not in by_position}
        return self._function(*context, *(values[name] for name in by_position), **by_name)

    def _alike(self, function: Function, parameters: Sequence[Parameter]) -> Function:
        """Give a function the name, the documentation and the given parameters of the author's."""
        function.__name__ = self._function.__name__
        function.__doc__ = self._function.__doc__
        function.__module__ = self._function.__module__
        function.__signature__ = Signature(parameters)  # type: ignore[attr-defined] # what signature() reads
        function.__annotations__ = {p.name: p.annotation for p in parameters if p.annotation is not p.empty}
        return function

    def _materialize(self, context: dg.AssetExecutionContext, call: Callable[[], Any]) -> Iterator[Any]:
        key = context.asset_key
        scope = self._scope(context)
        selected = _selected_checks(context)
        checks = AuthorChecks(self._author_specs, selected)
        of_contract = selected - checks.keys
        table, transaction, provenance = self._begun(context, scope)
        warn_of_properties(context.log, table, transaction)
        warn_of_other_asset(context.log, key, table, transaction.began)
        warn = partial(context.log.warning, "%s: %s", table.name)
        output = Output(key, checks, required=self._output_required)
        commit, rows = transaction.landed, NOTHING
        is_earlier = commit is not None
        if commit is None:
            self._refuse_unnamed(context, table, scope)
            try:
                with naming(table.name, str(scope), nothing_written=True):
                    rows = output.rows_of(call())
                if rows is NOTHING:
                    context.log.info(outcome.nothing_new(table.name, scope))
                    yield from output.news()
                    return
                staged = transaction.stage(rows)
                with naming(table.name, str(scope), nothing_written=True), _discarding(transaction, staged):
                    self._settings.refuse_decided({**added_metadata(context, key), **output.metadata})
                commit = transaction.commit(staged, further=audits(output.check_results))
            except Exception as error:
                context.log.error(outcome.failed(table.name, scope, error))  # noqa: TRY400 the run shows it
                yield from output.news()
                # what the function itself raises is about its inputs, and no broken promise of its output
                failures = self._failures(error) if rows is not NOTHING else ()
                yield from _by_partition(context, failures, key, scope, of_contract)
                yield from check_results(failures, key, scope, of_contract)
                raise
        context.log.info(outcome.committed(table.name, scope, commit))
        snapshot = Snapshot.of(table, commit.version, scope)
        metadata = self._metadata(context, table, snapshot, commit, provenance)
        replaced = warn_of_owned({**output.metadata, **added_metadata(context, key)}, metadata, warn)
        if replaced and step_of(context) is not None:
            context.add_asset_metadata(replaced, key)  # after what the function added in the same way
        yield dg.MaterializeResult(
            asset_key=key,
            metadata={**output.metadata, **metadata},
            tags=without_owned_tags(output.tags, warn) or None,
            data_version=output.data_version
            or data_version(context.instance, key, commit, self._settings.options.mode),
        )
        yield from _by_partition(context, commit.audits, key, scope, of_contract)
        # after those of single partitions, for Dagster shows the last one of all
        results = check_results(commit.audits, key, scope, selected if is_earlier else of_contract)
        yield from (*results, *output.news())
        with naming(table.name, str(scope)):
            if is_earlier:
                checks.refuse_unknown(results)
            else:
                yield from output.finish()

    def _scope(self, context: dg.AssetExecutionContext) -> Scope:
        """Return what a run replaces."""
        partitions_def = context.assets_def.partitions_def
        return self._settings.scope(
            partitions_def, context.partition_keys if partitions_def is not None else []
        )

    def _refuse_unnamed(self, context: dg.AssetExecutionContext, table: Table, scope: Scope) -> None:
        most, scope_of = self._settings.most_replaced, self._settings.scope
        refuse_unnamed(step_of(context), context.asset_key, table, scope, most=most, scope_of=scope_of)

    def _begun(
        self, context: dg.AssetExecutionContext, scope: Scope
    ) -> tuple[Table, Transaction, Provenance]:
        """Begin the transaction of a step; return its table, and who commits what was computed from what."""
        key, lake = context.asset_key, lake_of(context, self._io_manager_key)
        spec = context.assets_def.get_asset_spec(key)
        layered = lake.layered(key, spec.metadata, step_of(context))
        once = self._settings.options.mode == "append"
        provenance = provenance_of(context, key, spec.code_version, once=once)
        options = self._settings.described(spec, lake.commit_metadata)
        provenance = begun_over_base(context, layered, scope, options, provenance)
        transaction = Transaction(layered.own, scope, options, contract=self._contract, provenance=provenance)
        return layered.own, transaction, provenance

    def _metadata(
        self,
        context: dg.AssetExecutionContext,
        table: Table,
        snapshot: Snapshot,
        commit: Commit,
        provenance: Provenance,
    ) -> dict[str, Any]:
        """Return the metadata of a materialization, and add those of single partitions to the context."""
        rows = table.sample_rows
        appends = self._settings.options.mode == "append"
        if len(snapshot.scope.keys) > 1:
            by_partition = partition_metadata(table, snapshot, commit, preview_rows=rows, appends=appends)
            for partition, entries in by_partition.items():
                context.add_asset_metadata(entries, context.asset_key, partition)
        return commit_metadata(
            table,
            snapshot,
            commit,
            self._contract,
            provenance.input_versions,
            sources=provenance.sources,
            preview_rows=rows,
            appends=appends,
        )

    def _failures(self, error: Exception) -> Sequence[AuditResult]:
        """Return the results of the rules that an error is about."""
        if isinstance(error, AuditFailed):
            return error.results
        if isinstance(error, SchemaMismatch | LossyValues) and self._contract is not None:
            return schema_failure(self._contract.checks, error)
        return ()

    def _evaluate(
        self, context: dg.AssetCheckExecutionContext
    ) -> Iterator[dg.AssetCheckResult | dg.AssetCheckEvaluation | dg.Output[None]]:
        authored = {spec.key for spec in self._author_specs}
        selected = context.selected_asset_check_keys - authored
        [key] = {check.asset_key for check in context.selected_asset_check_keys}
        left_out = sorted(check.name for check in context.selected_asset_check_keys & authored)
        if self._contract is None or not selected:
            raise DeclarationError(
                f"the checks {left_out} of {key.to_user_string()} come from its function, so they cannot run "
                "alone.",
                "Materialize the asset.",
            )
        if left_out:
            context.log.warning("%s: its function alone runs the checks %s", key.to_user_string(), left_out)
        table = lake_of(context, self._io_manager_key).layered(key, metadata_of(context, key))
        keys_of_run = partition_keys(self._partitions_def, context.run.tags, context.instance)
        with naming(table.own.name):
            if keys_of_run or self._partitions_def is None:
                scope = every = self._settings.scope(self._partitions_def, keys_of_run)
                results = audit_snapshot(self._contract, table.pinned(scope)[0])
            else:
                keys = list(
                    self._partitions_def.get_partition_keys(dynamic_partitions_store=context.instance)
                )
                scope, every = Scope(), self._settings.scope(self._partitions_def, keys) if keys else Scope()
                results = audit_snapshot(self._contract, table.pinned(Scope())[0], every)
        if len(every.keys) > 1:
            materialized = context.instance.get_materialized_partitions(key) if not scope.keys else set()
            evaluated = scope.keys or [name for name in every.keys if name in materialized]
            yield from partition_evaluations(results, key, evaluated, selected, context.instance)
        of_run = check_results(results, key, scope, selected)
        if keys_of_run or self._partitions_def is None:
            yield from of_run
            return
        assets_def = context.op_execution_context.assets_def
        outputs = {spec.name: name for name, spec in assets_def.node_check_specs_by_output_name.items()}
        for result in of_run:
            yield dg.Output(None, outputs[str(result.check_name)])
            yield whole_evaluation(result)


@contextmanager
def _discarding(transaction: Transaction, staged: Staged) -> Iterator[None]:
    """Delete staged files that an error keeps from being committed."""
    try:
        yield
    except BaseException:
        transaction.discard(staged)
        raise


def _by_partition(
    context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext,
    results: Sequence[AuditResult],
    key: dg.AssetKey,
    scope: Scope,
    selected: Collection[dg.AssetCheckKey],
) -> Iterator[dg.AssetCheckEvaluation]:
    """Yield what a run of several partitions found in each; a run of one has no result but that."""
    if len(scope.keys) > 1:
        yield from partition_evaluations(results, key, scope.keys, selected, context.instance)


def _parameters(function: Function) -> list[Parameter]:
    """Return the parameters of an author's function, with annotations that are no texts.

    Each is one that Dagster takes for an input; only `**kwargs` stay what they are.
    """
    name = function.__qualname__
    annotations = hints(function)
    own = list(signature(function).parameters.values())
    for parameter in own[1:]:
        if parameter.name in _CONTEXT_NAMES:
            others = [other.name for other in own if other is not parameter]
            raise DeclarationError(
                f"{name} has the parameter {parameter.name!r}, and not as its first one.",
                "Dagster gives the context to the first parameter: "
                f"write def {function.__name__}({', '.join([parameter.name, *others])}).",
            )
    for parameter in own:
        if parameter.kind is Parameter.VAR_POSITIONAL:
            raise DeclarationError(
                f"{name} takes *{parameter.name}, and inputs have names.",
                f"Name each input, or take **{parameter.name} and declare the inputs in ins.",
            )
    named = Parameter.POSITIONAL_OR_KEYWORD
    return [
        p.replace(
            annotation=annotations.get(p.name, p.empty),
            kind=p.kind if p.kind is Parameter.VAR_KEYWORD else named,
        )
        for p in own
    ]


def _asset_context(context: Any) -> dg.AssetExecutionContext:
    """Return a step's own context, also where the author asked for an `OpExecutionContext`."""
    return context if isinstance(context, dg.AssetExecutionContext) else dg.AssetExecutionContext.get()


def _selected_checks(context: dg.AssetExecutionContext) -> set[dg.AssetCheckKey]:
    """Return the checks that the run selects; outside of a run, all of the asset's."""
    if step_of(context) is None:
        return set(context.assets_def.check_keys)
    return set(context.selected_asset_check_keys)
