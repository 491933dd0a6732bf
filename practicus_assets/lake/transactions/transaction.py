"""Transactions: stage, audit and commit one scope of a table, all of it or nothing."""

import time
from collections.abc import Iterator, Sequence, Sized
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from typing import Any

import pyarrow as pa

from practicus_assets.errors import DataRefused, DeclarationError, naming
from practicus_assets.lake.contracts.audit import AuditResult
from practicus_assets.lake.contracts.contract import Contract
from practicus_assets.lake.delta.conditional_puts import refuse_unsafe_options
from practicus_assets.lake.delta.protocol import refuse_unsupported
from practicus_assets.lake.delta.record import TransactionRecord
from practicus_assets.lake.delta.table import Table, TableVersion
from practicus_assets.lake.partitions.scope import Scope
from practicus_assets.lake.rows.samples import sampling
from practicus_assets.lake.transactions.attempt import Attempt
from practicus_assets.lake.transactions.commit import Commit, earlier_commit
from practicus_assets.lake.transactions.commit_window import CommitWindow, delete_unnamed
from practicus_assets.lake.transactions.effect import Durations, Stopwatch
from practicus_assets.lake.transactions.engine_files.engine_files import staged_files
from practicus_assets.lake.transactions.engine_files.found_files import delete_found
from practicus_assets.lake.transactions.engine_files.staged_parquet import StagedParquet, begun_below, path_of
from practicus_assets.lake.transactions.history.given import given_part, with_history
from practicus_assets.lake.transactions.incoming import IncomingRows, closing
from practicus_assets.lake.transactions.landing import Landed, Landing, Overtaken
from practicus_assets.lake.transactions.merge import Merge, with_kept
from practicus_assets.lake.transactions.options import WriteOptions
from practicus_assets.lake.transactions.provenance import Provenance
from practicus_assets.lake.transactions.quarantine.rejected_table import RejectedTable
from practicus_assets.lake.transactions.quarantine.staged_rows import staged_rows
from practicus_assets.lake.transactions.stage.audited import Audited, audit_of, fingerprints_of, record_of
from practicus_assets.lake.transactions.stage.staged import Staged, delete_files, refuse_foreign
from practicus_assets.lake.transactions.table_properties import differences


class Transaction:
    """Replaces one scope of a Delta table in one commit.

    The compare-and-swap begins when it is made: whoever commits the scope from then on makes `commit` fail.

    `write` does all of it. Where the rows are too many for one process, each process stages a part of them,
    and one commits all parts:

        transaction = Transaction(table, scope, options)
        staged = pool.map(transaction.stage, parts)  # a transaction and what was staged can be pickled
        transaction.commit(*staged)

    Args:
        table: the table; it need not exist.
        scope: the rows that are replaced, or appended to; by default the whole table.
        options: how they are written; by default they replace the scope.
        contract: what the rows must keep, checked before the commit.
        provenance: who commits, written into the commit.

    Attributes:
        landed: the commit of an earlier attempt at the same work; None if there is none.
        property_differences: a phrase for each declared property that an existing table does not have, or has
            with another value.

    Raises:
        DeclarationError: if the arguments contradict each other or the table.
        UnsupportedTable: if the table uses Delta features that would not be honoured.
        StoreFailed: if the store cannot be read.

    """

    def __init__(
        self,
        table: Table,
        scope: Scope | None = None,
        options: WriteOptions | None = None,
        *,
        contract: Contract | None = None,
        provenance: Provenance | None = None,
    ) -> None:
        self._table = table
        scope = scope or Scope()
        options = options or WriteOptions()
        self.landed: Commit | None = None
        self.property_differences: Sequence[str] = ()
        self._committed: set[str] = set()  # parts that were given to `commit`
        self._places: list[StagedParquet] = []  # where engines may write
        self._found: TableVersion | None = None  # what the commit was made on, or found to be equal
        self._is_shared = False  # whether it was pickled, so that another process may commit its parts
        with naming(table.name, str(scope), nothing_written=True):
            if not set(scope.columns) <= set(options.partition_by):
                raise DeclarationError(
                    f"the scope is on {list(scope.columns)}, partition_by is {list(options.partition_by)}.",
                    "Name the columns of the scope in partition_by.",
                )
            table.refuse_read_only()
            refuse_unsafe_options(table)
            who = provenance or Provenance()
            began = table.open_if_exists()
            self._attempt = Attempt(table, began, scope, options, contract or Contract(), who)
            self._scope = self._attempt.scope
            if began is not None:
                self.landed = earlier_commit(began, who, self._scope)
                self.property_differences = differences(options.table_properties, began.configuration)
            if began is not None and self.landed is None:
                refuse_unsupported(began, options.partition_by, takes_rows_away=not self._attempt.appends)
            self._rejected = RejectedTable(self._attempt) if self._attempt.contract.rejects else None

    @property
    def attempt(self) -> Attempt:
        """What the transaction knew when it was made."""
        return self._attempt

    @property
    def began(self) -> int | None:
        """The table's version when the transaction was made; None if there was no table."""
        return self._attempt.began_version

    def write(self, data: Any) -> Commit:
        """Audit, stage and commit a table of rows.

        Args:
            data: what `record_batches` takes: a DataFrame, a `pyarrow.Table`, a stream, or a generator of
                record batches. A stream is read once and never held as a whole.

        Raises:
            DataRefused: if the rows do not fit the table, its contract or the scope. Nothing was written.
            CommitConflict: if somebody else committed the scope meanwhile. Nothing was written.
            CommitStateUnknown: if the object store did not say whether the commit landed.
            StoreFailed: if it failed before the commit. Nothing was written.

        """
        if self.landed is None:
            return self.commit(self.stage(data))
        self.settle()
        return self.landed

    def staging(self) -> StagedParquet:
        """Return a new place below the table's folder, where an engine may write Parquet for `stage`.

        Raises:
            DeclarationError: if the table's rows cannot be such files as they are.
            StoreFailed: if the disk is full or failing.

        """
        with self._refusing():
            self._places.append(begun_below(self._attempt))
        return self._places[-1]

    def stage(self, data: Any, part: str | None = None) -> Staged:
        """Write rows to files that nobody sees before the commit, while the contract's rules run.

        Args:
            data: as for `write`, or a `StagedParquet`, whose files are staged as they are.
            part: the part's name; of two with one name, such as those of a task that was tried twice, only
                one can be committed. By default no two parts have the same.

        Raises:
            DataRefused: if the rows do not fit the table or the scope. Nothing was written.
            StoreFailed: if the store failed. Nothing was written.

        """
        if isinstance(data, StagedParquet):
            with self._refusing():
                staged = staged_files(self._attempt, data, part)
                return replace(staged, durations=Durations(write=staged.seconds))
        attempt, whole = self._attempt, Stopwatch()
        with self._refusing(), closing(data), whole:
            incoming = IncomingRows(attempt, data)
            merge = Merge.of(attempt, incoming.schema) if attempt.options.mode == "merge" else None
            if attempt.options.history is not None:
                staged = given_part(attempt, incoming, part)
            else:
                batches = incoming.batches()
                staged = self._staged(merge.observed(batches) if merge else batches, incoming.schema, part)
            keys = merge.seen if merge is not None else ()
            is_stream = not isinstance(data, Sized)
            staged = replace(staged, merge_keys=keys, filled=incoming.filled, is_stream=is_stream)
        rows, rules = incoming.waiting.seconds if is_stream else 0.0, staged.durations.audit
        return replace(staged, durations=Durations(rows, rules, whole.seconds - rows - rules))

    def commit(self, *parts: Staged, further: Sequence[AuditResult] = ()) -> Commit:
        """Audit what was staged as a whole, and commit it at once.

        Without a commit its files are deleted, unless another process may commit them: then maintenance does.

        Args:
            parts: what `stage` returned, in this process or in others; each part once.
            further: the results of checks beside the contract, which are recorded with its rules.

        Raises:
            DeclarationError: if a part is given twice, or was staged for another attempt; its files stay.
            DataRefused: if the rows do not fit together, or not the contract. Nothing was written.
            CommitConflict: if somebody else committed the scope meanwhile. Nothing was written.
            CommitStateUnknown: if the object store did not say whether the commit landed.
            StoreFailed: if it failed before the commit. Nothing was written.

        """
        if self.landed is None:
            return self.land(self.audit(*parts, further=further))
        with self._refusing(nothing_written=not any(part.is_shared for part in parts)):
            refuse_foreign(parts, self._attempt.id, self._committed)
        self.discard(*parts)
        self.settle()
        return self.landed

    def audit(self, *parts: Staged, further: Sequence[AuditResult] = ()) -> Audited:
        """Audit what was staged as a whole: the first half of `commit`, which leaves the table as it is.

        So several tables can be audited before one of them is committed.

        Args:
            parts: as for `commit`.
            further: as for `commit`.

        Raises:
            DeclarationError: if a part is given twice, or was staged for another attempt; its files stay.
            DataRefused: if the rows do not fit together, or not the contract. Nothing was written.
            StoreFailed: if the store failed. Nothing was written.

        """
        started = time.monotonic()
        if self._is_shared:
            parts = tuple(replace(part, is_shared=True) for part in parts)
        with self._refusing(nothing_written=not any(part.is_shared for part in parts)):
            refuse_foreign(parts, self._attempt.id, self._committed)
            try:
                audited = self._judged(Staged.merged(parts), further)
            except BaseException as error:
                self.discard(*(part for part in parts if not part.is_shared))
                if isinstance(error, DataRefused):  # whoever commits these parts is refused
                    shared = [part for part in parts if part.is_shared]
                    delete_unnamed(CommitWindow(self._table, self._attempt.began), shared)
                    error.nothing_written = True
                raise
        seconds = round(audited.staged.seconds + time.monotonic() - started, 3)
        return replace(audited, record=replace(audited.record, duration_seconds=seconds))

    def _judged(self, parts: Staged, further: Sequence[AuditResult]) -> Audited:
        """Return an author's rows with those that stay, judged by all rules; on an error, delete these."""
        attempt, staged, given, matched, rules = self._attempt, parts, None, None, 0.0
        whole, judging = Stopwatch(), Stopwatch()
        try:
            with whole:
                if attempt.options.mode == "merge":
                    staged, matched, rules = with_kept(attempt, parts, self._staged)
                elif attempt.options.history is not None:
                    staged, given = with_history(attempt, parts, self._staged)
                    staged = replace(staged, filled=parts.filled, is_stream=parts.is_stream)
                    rules = staged.durations.audit
                fingerprints = fingerprints_of(attempt, staged)
                with judging:
                    audits = audit_of(attempt, staged, {key: f.rows for key, f in fingerprints.items()})
        except BaseException:
            own = {file.path for file in parts.files}
            delete_files(self._table, [file.path for file in staged.files if file.path not in own])
            raise
        record = record_of(attempt, staged, fingerprints, [*audits, *further], 0.0, given)
        rules += judging.seconds
        spent = parts.durations + Durations(audit=rules, write=whole.seconds - rules)
        return Audited(staged, record, parts, [*audits, *further], matched, spent)

    def land(self, audited: Audited) -> Commit:
        """Commit what was audited: the second half of `commit`. Raises as that does.

        Args:
            audited: what `audit` returned.

        """
        beside: AbstractContextManager[TransactionRecord] = nullcontext(audited.record)
        if self._rejected is not None:
            beside = self._rejected.beside(audited.staged, audited.record, self._land)
        watch, again = Stopwatch(), Stopwatch()
        with naming(self._table.name, str(self._scope)), watch, beside as record:
            while True:
                try:
                    landed = self._land(self._attempt, audited.staged, record, Landing)
                    break
                except Overtaken as others:
                    with again:
                        audited = self._with_rows_of(others, audited)
                    record = audited.record  # noqa: PLW2901 no row of a history is rejected
        version, said, before = landed
        commit = Commit.from_record(said, version, self._scope.keys, audited.audits, recovered=False)
        staged, spent = audited.staged, audited.durations + Durations(commit=watch.seconds - again.seconds)
        commit = replace(commit, filled=staged.filled, heads=staged.heads, matched=audited.matched)
        return replace(commit, before=before, durations=spent)

    def _with_rows_of(self, others: Overtaken, audited: Audited) -> Audited:
        """Return a history's rows with those that others gave meanwhile, judged again."""
        self._attempt = self._attempt.begun_again(others.current)
        own = {audit.name for audit in self._attempt.contract.checks}
        with self._refusing():
            parts = replace(audited.parts, durations=audited.durations)  # what was spent until now
            again = self._judged(parts, [a for a in audited.audits if a.name not in own])
        record = replace(again.record, duration_seconds=audited.record.duration_seconds)
        return replace(again, record=record)

    def refuse_superseded(self, audited: Audited) -> None:
        """Raise what `land` would raise now for commits of others; its files stay, for `discard`.

        Args:
            audited: what `audit` returned.

        Raises:
            CommitConflict: if somebody else committed the scope meanwhile. Nothing was written.
            StoreFailed: if the store failed. Nothing was written.

        """
        with self._refusing():
            Landing(self._attempt, audited.staged, audited.record).refuse()

    def settle(self) -> None:
        """Remove rejected rows that the commit of an earlier attempt superseded, if that attempt has not."""
        if self._rejected is not None and self.landed is not None and self.landed.rejected is not None:
            self._rejected.settle(self.landed.rejected, self._land)

    @property
    def unsettled(self) -> str:
        """Why superseded rows are still among the rejected ones after the commit; empty if none are."""
        return self._rejected.unsettled if self._rejected is not None else ""

    def _land(
        self, attempt: Attempt, staged: Staged, record: TransactionRecord, kind: type[Landing]
    ) -> Landed:
        """Commit staged files, and return the version that holds the scope with the commit's record."""
        landing = kind(attempt, staged, record)
        landed = landing.land()
        self._found = landing.current if attempt is self._attempt else self._found  # else of rejected rows
        return landed

    def at(self, commit: Commit) -> TableVersion:
        """Return the table as a commit left it, and read little of the log for it; raises as `open`."""
        known, self._found = self._found or self._attempt.began, None
        if known is None or known.version > commit.version:
            return self._table.open(commit.version)
        return known.moved_to(commit.version)

    def discard(self, *parts: Staged) -> None:
        """Delete the files of parts that are not going to be committed, and what engines left."""
        delete_files(self._table, [file.path for staged in parts for file in staged.files])
        for place in () if self._is_shared else self._places:
            delete_found(self._table, path_of(place, self._attempt))
        if self._rejected is not None:
            self._rejected.discard(*parts)

    def __getstate__(self) -> dict[str, Any]:
        self._is_shared = True
        return {**self.__dict__, "_places": [], "_found": None}

    @contextmanager
    def _refusing(self, *, nothing_written: bool = True) -> Iterator[None]:
        """Name the table and the scope in errors, and show no more of the rows than the lake allows."""
        named = naming(self._table.name, str(self._scope), nothing_written=nothing_written)
        with named, sampling(self._table.sample_rows):
            yield

    def _staged(self, batches: Iterator[pa.RecordBatch], schema: pa.Schema, name: str | None) -> Staged:
        """Write record batches with the table's columns to staged files; on an error, delete these."""
        return staged_rows(self._attempt, batches, schema, name, self._rejected)
