"""One table's write in a step: rows, audit, commit, and the events that Dagster records of them."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import dagster as dg
import pyarrow as pa

from practicus_assets.assets.author_checks import AuthorChecks, audits
from practicus_assets.assets.io_manager import DeltaIOManager
from practicus_assets.assets.lakes.pins import begun_over_base
from practicus_assets.assets.metadata.committed_by import warn_of_other_asset
from practicus_assets.assets.metadata.partition_metadata import add_partition_metadata
from practicus_assets.assets.metadata.protection import refuse_unnamed
from practicus_assets.assets.output import NOTHING, Output, warn_of_owned, without_owned_tags
from practicus_assets.assets.report import outcome
from practicus_assets.assets.report.account import Account
from practicus_assets.assets.report.checks import check_results, partition_evaluations
from practicus_assets.assets.report.data_version import data_version
from practicus_assets.assets.report.materialization import commit_metadata, partition_metadata
from practicus_assets.assets.report.names import SPLITS
from practicus_assets.assets.report.rejected import refuse_shared, rejected_events, rejected_metadata
from practicus_assets.assets.report.statistics import Statistics
from practicus_assets.assets.runs import (
    added_metadata,
    inputs_read,
    provenance_of,
    refuse_no_partition,
    step_of,
)
from practicus_assets.assets.writes.reuse import StepReuse
from practicus_assets.assets.writes.terms import TableTerms
from practicus_assets.engines.answers import SplitFailed
from practicus_assets.errors import AuditFailed, LossyValues, SchemaMismatch, naming
from practicus_assets.lake.contracts.audit import AuditResult, schema_failure
from practicus_assets.lake.contracts.contract import Contract
from practicus_assets.lake.delta.snapshot import Snapshot
from practicus_assets.lake.transactions.commit import Commit
from practicus_assets.lake.transactions.effect import Stopwatch
from practicus_assets.lake.transactions.engine_files.staged_parquet import StagedParquet
from practicus_assets.lake.transactions.quarantine.rejected_table import SUFFIX
from practicus_assets.lake.transactions.stage.staged import Staged
from practicus_assets.lake.transactions.transaction import Transaction

if TYPE_CHECKING:
    from practicus_assets.lake.transactions.stage.audited import Audited


class TableWrite:
    """The write of one table in one attempt at a step.

    `prepare` stages and audits, `land` commits, and `report` yields what Dagster is to record. A step of
    several tables prepares all of them before it lands one.

    Args:
        context: the step's context.
        key: the asset's key.
        lake: where the table is.
        terms: what its definition says of it.

    Attributes:
        key: the asset's key.
        table: the table.
        is_landed: whether its rows are committed already: by an earlier attempt at the step, or by a run of
            which they are used again.
        calling: how long the author's function took to give rows.

    Raises:
        DeclarationError, UnsupportedTable, StoreFailed: as a transaction does when it begins.

    """

    def __init__(
        self, context: dg.AssetExecutionContext, key: dg.AssetKey, lake: DeltaIOManager, terms: TableTerms
    ) -> None:
        self.key = key
        self._context = context
        self._terms = terms
        spec = context.assets_def.get_asset_spec(key)
        partitions_def = context.assets_def.partitions_def
        step = step_of(context)
        layered = lake.layered(key, spec.metadata, step)
        self._rejecting = _rejecting(terms.contract)
        if self._rejecting and step is not None:
            refuse_shared(key, step.job_def.asset_layer.asset_graph)
        self.table = layered.own
        with naming(self.table.name, nothing_written=True):
            refuse_no_partition(context, partitions_def)
        self._scope = terms.settings.scope(
            partitions_def, context.partition_keys if partitions_def is not None else []
        )
        self._statistics = Statistics.from_metadata(spec.metadata)
        self._appends = terms.settings.options.mode == "append"
        options = terms.settings.described(spec, lake.commit_metadata)
        reuse = StepReuse(context, key, terms, options, is_over_base=layered.base is not None)
        provenance = replace(
            provenance_of(context, key, spec.code_version, once=self._appends),
            config_digest=reuse.config_digest,
        )
        self._provenance = begun_over_base(context, layered, self._scope, options, provenance)
        self._selected = _selected_checks(context, key)
        self._checks = AuthorChecks(terms.author_specs, self._selected)
        self._of_contract = self._selected - self._checks.keys
        self._transaction = Transaction(
            self.table,
            self._scope,
            options,
            contract=terms.contract,
            provenance=self._provenance,
        )
        outcome.warn_of_properties(context.log, self.table.name, self._transaction.property_differences)
        warn_of_other_asset(context.log, key, self.table, self._transaction.began)
        self._output = Output(key, self._checks, required=terms.output_required)
        self._commit = self._transaction.landed or reuse.commit(self._transaction)
        self._audited: Audited | None = None  # what was prepared
        self._has_rows = False
        self.calling = Stopwatch()
        self._is_split = False  # whether splits made the rows
        self.is_landed = self._commit is not None
        if not self.is_landed:
            settings = terms.settings
            refuse_unnamed(
                step_of(context),
                key,
                self.table,
                self._scope,
                most=settings.most_replaced,
                scope_of=settings.scope,
            )

    @property
    def partition_by(self) -> tuple[str, ...]:
        """The table's partition columns."""
        return tuple(self._transaction.attempt.options.partition_by)

    @property
    def types(self) -> dict[str, pa.DataType]:
        """The types of the columns that the table has or its contract declares."""
        attempt = self._transaction.attempt
        schemas = [schema for schema in (attempt.contract.schema, attempt.schema) if schema is not None]
        return {field.name: field.type for schema in schemas for field in schema}

    def refusing(self) -> AbstractContextManager[None]:
        """Name the table and its partitions in errors, after which nothing was written."""
        return naming(self.table.name, str(self._scope), nothing_written=True)

    def staging(self) -> StagedParquet:
        """Return a new place where an engine may write the rows; raises as `Transaction.staging` does."""
        return self._transaction.staging()

    def prepare(self, call: Callable[[], Any], stage: Callable[[Any], Any] | None = None) -> bool:
        """Stage and audit rows; return False if there are none, so that the table stays as it is.

        Args:
            call: returns the rows, as an author's function does.
            stage: has an engine write these rows, and returns what the transaction stages; None for rows that
                this process has.

        """
        name, scope = self.table.name, self._scope
        watching = _discarding(self._transaction)
        with naming(name, str(scope), nothing_written=True), watching, self.calling:
            rows = self._output.rows_of(call())
            if stage is not None and rows is not NOTHING:
                rows = stage(rows)
        if rows is NOTHING:
            self._transaction.discard()
            self._context.log.info(outcome.nothing_new(name, scope))
            return False
        self._has_rows = True
        with _discarding(self._transaction):
            staged = self._transaction.stage(rows)
        if not isinstance(rows, StagedParquet):
            self._transaction.discard()  # what an engine may have written and is no output
        with naming(name, str(scope), nothing_written=True), _discarding(self._transaction, staged):
            self._terms.settings.refuse_decided(
                {**added_metadata(self._context, self.key), **self._output.metadata}
            )
        self._audited = self._transaction.audit(staged, further=audits(self._output.check_results))
        return True

    def prepare_parts(self, stage: Callable[[Transaction], Sequence[Staged]]) -> None:
        """Audit the rows of several parts as a whole.

        Args:
            stage: stages the parts of a transaction.

        """
        self._is_split = True
        watch = Stopwatch()
        try:
            with watch:
                parts = stage(self._transaction)
            self._has_rows = True
        except SplitFailed as failed:
            self._has_rows = not failed.of_function
            raise failed.error from failed.error.__cause__
        except SchemaMismatch:
            self._has_rows = True
            raise
        parts = [replace(part, seconds=watch.seconds) for part in parts]  # as long as all took
        self._audited = self._transaction.audit(*parts)

    def refuse_superseded(self) -> None:
        """Raise CommitConflict if somebody else has committed the scope by now."""
        assert self._audited is not None
        self._transaction.refuse_superseded(self._audited)

    def discard(self) -> None:
        """Delete what was prepared, unless its commit was tried."""
        if self._audited is not None:
            self._transaction.discard(self._audited.staged)

    def land(self) -> None:
        """Commit what was prepared."""
        audited, self._audited = self._audited, None
        assert audited is not None
        self._commit = self._transaction.land(audited)

    @property
    def is_committed(self) -> bool:
        """Whether the table was committed, by this attempt or by an earlier one."""
        return self._commit is not None

    def news(self) -> Iterator[Any]:
        """Yield what the author said to Dagster beside the rows."""
        yield from self._output.news()

    def refused(self, error: Exception) -> Iterator[Any]:
        """Yield what Dagster is to record of a table that is not committed, before the error is raised."""
        self._context.log.error(outcome.failed(self.table.name, self._scope, error))
        yield from self._output.news()
        # what the function itself raises is about its inputs, and no broken promise of its output
        failures = self._failures(error) if self._has_rows else ()
        yield from self._by_partition(failures)
        yield from check_results(failures, self.key, self._scope, self._of_contract)

    def report(self) -> Iterator[Any]:
        """Yield what Dagster is to record of the commit.

        Raises:
            DataRefused: if the author's function goes wrong after its rows.

        """
        commit, context, output, key = self._commit, self._context, self._output, self.key
        assert commit is not None
        if commit.recovered:
            self._transaction.settle()
        if self._transaction.unsettled:
            context.log.warning(outcome.unsettled(self.table.name, self._transaction.unsettled))
        warn = partial(context.log.warning, "%s: %s", self.table.name)
        context.log.info(outcome.committed(self.table.name, self._scope, commit))
        metadata = self._metadata(commit)
        replaced = warn_of_owned({**output.metadata, **added_metadata(context, key)}, metadata, warn)
        if replaced and step_of(context) is not None:
            context.add_asset_metadata(replaced, key)  # after what the function added in the same way
        yield dg.MaterializeResult(
            asset_key=key,
            metadata={**output.metadata, **metadata},
            tags=without_owned_tags(output.tags, warn) or None,
            data_version=output.data_version
            or data_version(context.instance, key, commit, self._terms.settings.options.mode),
        )
        for event in self._rejected_events(commit):
            context.log_event(event)
        yield from self._by_partition(commit.audits)
        # after those of single partitions, for Dagster shows the last one of all
        shown = self._selected if self.is_landed else self._of_contract
        results = check_results(commit.audits, key, self._scope, shown, commit.reused, self._rejecting)
        yield from (*results, *output.news())
        with naming(self.table.name, str(self._scope)):
            if self.is_landed:
                self._checks.refuse_unknown(results)
            else:
                yield from output.finish()

    def _metadata(self, commit: Commit) -> dict[str, Any]:
        """Return the metadata of a materialization, and add those of single partitions to the context."""
        table, statistics, step = self.table, self._statistics, step_of(self._context)
        rows = table.sample_rows
        snapshot = Snapshot(self._transaction.at(commit), self._scope)
        statistics.warn_of_missing(snapshot, self._context.log)
        mode, inputs = self._terms.settings.options.mode, self._provenance.input_versions
        read = inputs_read(step, inputs)
        is_alone = self.is_landed or not self._terms.has_processes
        called, is_split = self.calling.seconds, self._is_split
        account = Account(
            table, snapshot, commit, mode, step, read, called, is_split=is_split, is_alone=is_alone
        )
        by_partition: dict[str, dict[str, Any]] = {}
        if len(snapshot.scope.keys) > 1:
            by_partition = partition_metadata(
                table, snapshot, commit, preview_rows=rows, appends=self._appends, statistics=statistics
            )
            by_partition = {key: account.of_partition(key) | own for key, own in by_partition.items()}
            add_partition_metadata(self._context, self.key, by_partition)
        rejected = commit.rejected.rows if commit.rejected is not None else 0
        beside: dict[str, Any] = rejected_metadata(self.key, rejected) if self._rejecting else {}
        if self._terms.splits is not None and not self.is_landed:
            beside[SPLITS] = self._terms.splits.splits.count
        metadata = beside | commit_metadata(
            table,
            snapshot,
            commit,
            self._terms.contract,
            inputs,
            sources=self._provenance.sources,
            preview_rows=rows,
            appends=self._appends,
            statistics=statistics,
        )
        return account.added_to(metadata)

    def _rejected_events(self, commit: Commit) -> Iterator[dg.AssetMaterialization]:
        """Yield what Dagster is to record of the table of rejected rows, if the commit changed it."""
        if self._rejecting and commit.rejected is not None and commit.reused is None:
            yield from rejected_events(self.key, self.table.beside(SUFFIX), self._scope)

    def _failures(self, error: Exception) -> Sequence[AuditResult]:
        """Return the results of the rules that an error is about."""
        contract = self._terms.contract
        if isinstance(error, AuditFailed):
            return error.results
        if isinstance(error, SchemaMismatch | LossyValues) and contract is not None:
            return schema_failure(contract.checks, error)
        return ()

    def _by_partition(self, results: Sequence[AuditResult]) -> Iterator[dg.AssetCheckEvaluation]:
        """Yield what a run of a range found in each partition; of a run of one Dagster knows it."""
        if self._scope.keys and not self._context.has_partition_key:
            yield from partition_evaluations(
                results, self.key, self._scope.keys, self._of_contract, self._context.instance
            )


def _rejecting(contract: Contract | None) -> set[str]:
    """Return the names of the rules whose bad rows go to the table of rejected rows."""
    checks = contract.checks if contract is not None else ()
    return {check.name for check in checks if check.severity == "QUARANTINE"}


@contextmanager
def _discarding(transaction: Transaction, *staged: Staged) -> Iterator[None]:
    """Delete staged files that an error keeps from being committed, and what engines wrote."""
    try:
        yield
    except BaseException:
        transaction.discard(*staged)
        raise


def _selected_checks(context: dg.AssetExecutionContext, key: dg.AssetKey) -> set[dg.AssetCheckKey]:
    """Return the checks of an asset that the run selects; outside of a run, all of them."""
    found = context.assets_def.check_keys if step_of(context) is None else context.selected_asset_check_keys
    return {check for check in found if check.asset_key == key}
