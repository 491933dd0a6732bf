"""Rejected tables: what a table's contract rejects, in a table beside it, before and after the commit.

Two tables are two commits, and neither may lose a row while the other is made. So the rejected rows of an
attempt are added first, beside those of earlier runs; then the table is committed; and only then the rows
that this commit has superseded go. A process that dies between two of these steps leaves rows too many,
never too few, and each row names its attempt; the next attempt, or the next run of the scope, removes them.
"""

import time
import uuid
from collections.abc import Callable, Collection, Iterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice

import pyarrow as pa
import pyarrow.compute as pc

from practicus_assets.errors import (
    CommitConflict,
    PracticusAssetsError,
    UnsupportedTable,
    naming,
)
from practicus_assets.lake.contracts.contract import Contract
from practicus_assets.lake.contracts.quarantine import Divided
from practicus_assets.lake.delta.log import LogEntry
from practicus_assets.lake.delta.protocol import refuse_unsupported
from practicus_assets.lake.delta.record import TransactionRecord
from practicus_assets.lake.delta.snapshot import Snapshot
from practicus_assets.lake.delta.table import TableVersion
from practicus_assets.lake.transactions.attempt import Attempt
from practicus_assets.lake.transactions.commit import Rejected
from practicus_assets.lake.transactions.landing import Landed, Landing
from practicus_assets.lake.transactions.options import WriteOptions, refuse_rejecting
from practicus_assets.lake.transactions.pauses import pauses
from practicus_assets.lake.transactions.quarantine.columns import (
    ATTEMPT,
    REASONS,
    RejectedColumns,
    attempt_text,
    work_text,
)
from practicus_assets.lake.transactions.stage.audited import fingerprints_of, record_of
from practicus_assets.lake.transactions.stage.part import Part
from practicus_assets.lake.transactions.stage.staged import Staged, delete_files

SUFFIX = "__rejected"  # after the table's name
_TRIES = 5

Land = Callable[[Attempt, Staged, TransactionRecord, type[Landing]], Landed]


class RejectedTable:
    """The rows that one attempt at a table rejects, and the table that has those of all runs.

    Args:
        attempt: the attempt at the table.

    Attributes:
        table: where rejected rows are.
        unsettled: why superseded rows are still there; empty if none are, or nobody tried.

    Raises:
        DeclarationError, UnsupportedTable: if rejected rows cannot be written there.
        StoreFailed: if the store cannot be read.

    """

    def __init__(self, attempt: Attempt) -> None:
        refuse_rejecting(attempt.options, rejects=attempt.contract.rejects)
        self.table = attempt.table.beside(SUFFIX)
        self.unsettled = ""
        self._main = attempt
        began = self.table.open_if_exists()
        if began is not None:
            _refuse_other(began)
            refuse_unsupported(began, attempt.options.partition_by, takes_rows_away=True)
        options = WriteOptions(
            partition_by=attempt.options.partition_by,
            mode="append",
            commit_metadata=attempt.options.commit_metadata,
            description=f"Rows that the contract of {attempt.table.name} rejects.",
        )
        who = replace(attempt.provenance, base=None, promotes=None)
        self._attempt = Attempt(self.table, began, attempt.scope, options, Contract(), who)

    def part(self, schema: pa.Schema) -> "RejectedPart":
        """Return what takes the bad rows of one part of the attempt.

        Args:
            schema: the columns of the attempt's table after the commit.

        Raises:
            SchemaMismatch: if the table of rejected rows cannot have these columns.

        """
        return RejectedPart(self._attempt, RejectedColumns(self._main, schema, self._attempt.schema))

    def discard(self, *parts: Staged) -> None:
        """Delete the files of the rejected rows of parts that are not going to be committed."""
        rejected = [part.rejected for part in parts if part.rejected is not None]
        if rejected:
            delete_files(self.table, [file.path for staged in rejected for file in staged.files])

    @contextmanager
    def beside(self, staged: Staged, record: TransactionRecord, land: Land) -> Iterator[TransactionRecord]:
        """Add the rejected rows, have the table committed, and remove the rows that this has superseded.

        Args:
            staged: the table's rows, with those that were rejected; without the latter's commit, their files
                are deleted.
            record: what the table's commit is going to say about itself.
            land: commits rows that were staged.

        Yields:
            What it is going to say, with the rejected rows.

        Raises:
            CommitStateUnknown: if the store did not say whether the rejected rows landed.
            StoreFailed: if it failed before that.

        """
        rejected, mine = staged.rejected, attempt_text(self._main)
        self._refuse_superseded(staged, record)
        try:
            version = self._added(rejected, land)
        except PracticusAssetsError:
            if not staged.is_shared:
                delete_files(self._main.table, [file.path for file in staged.files])
            raise
        if version is not None:
            rows = rejected.rows if rejected is not None else 0
            record = replace(record, rejected_version=version, rejected_rows=rows, rejected_attempt=mine)
        try:
            yield record
        except PracticusAssetsError as error:
            if rejected is not None and error.nothing_written:
                # a process that commits the same parts has added the same rows, and may have landed
                error.nothing_written = not staged.is_shared and self._is_withdrawn(mine, land)
            raise
        if version is not None:
            paths = {file.path for file in rejected.files} if rejected is not None else None
            self._settle(version, mine, land, paths)

    def _refuse_superseded(self, staged: Staged, record: TransactionRecord) -> None:
        """Raise CommitConflict before any row is added, if the table's commit would raise it by now."""
        if staged.rejected is None:
            return
        try:
            Landing(self._main, staged, record).refuse()
        except PracticusAssetsError as error:
            if not staged.is_shared:  # else others may have committed them
                delete_files(self._main.table, [file.path for file in staged.files])
                self.discard(staged)
            error.nothing_written = True
            raise

    def _added(self, rejected: Staged | None, land: Land) -> int | None:
        """Commit the rejected rows; return the version that has them, or else rows that are superseded."""
        with naming(self.table.name, str(self._attempt.scope)):
            if rejected is not None:
                fingerprints = fingerprints_of(self._attempt, rejected)
                record = record_of(self._attempt, rejected, fingerprints, (), rejected.seconds)
                return land(self._attempt, rejected, record, AddedRows)[0]
            current = self.table.open_if_exists()
            return current.version if current is not None and self._has_others(current, None, ()) else None

    def settle(self, landed: Rejected, land: Land) -> None:
        """Remove the rows that an earlier attempt's commit has superseded, if that attempt has not.

        Args:
            landed: what that commit says of its rejected rows.
            land: commits rows that were staged.

        """
        self._settle(landed.version, landed.attempt, land)

    def _settle(self, version: int, mine: str, land: Land, paths: Collection[str] | None = None) -> None:
        """Remove what a commit has superseded; it stands whether that works or not.

        Args:
            version: the version of the table of rejected rows that the commit's record names.
            mine: what the rows of the commit's attempt have as their attempt.
            land: commits rows that were staged.
            paths: the files of these rows; None if they are not known.

        """
        self.unsettled = ""
        try:
            current = self.table.open()
            if paths is not None and not self._has_others(current, version, paths):
                return
            gone = {text for text in self._attempts(current) if text.startswith(work_text(self._main))}
            if not self._main.appends:
                gone |= self._attempts(self.table.open(version))
            self._remove(gone - {mine}, land)
        except PracticusAssetsError as error:
            self.unsettled = str(error)

    def _is_withdrawn(self, mine: str, land: Land) -> bool:
        """Remove the rows of an attempt whose commit was refused; return whether that worked."""
        try:
            self._remove({mine}, land)
        except PracticusAssetsError:
            return False  # they name their attempt, and the next run of the scope removes them
        return True

    def _has_others(self, current: TableVersion, version: int | None, paths: Collection[str]) -> bool:
        """Return whether a version may have rows of other attempts that this one's commit supersedes.

        Args:
            current: the version.
            version: the one in which rows of this attempt landed; None if it rejected none.
            paths: the files of these rows.

        """
        began, work = self._attempt.began, self._attempt.work
        if self._main.appends:  # only another attempt at the same work is superseded
            earlier = began.transaction_version(work) if began is not None else None
            return earlier is not None or current.transaction_version(work) != version
        bounds = self._main.scope.on(current.schema)
        return any(file.path not in paths for file in current.files(bounds))

    def _attempts(self, at: TableVersion) -> set[str]:
        """Return what the rows of the scope have as their attempts."""
        texts: set[str] = set()
        for batch in Snapshot(at, self._main.scope).scan([ATTEMPT]):
            texts |= {*batch.column(0).unique().to_pylist()} - {None}
        return texts

    def _remove(self, gone: AbstractSet[str], land: Land) -> None:
        """Commit the rows of the scope without those of some attempts, if there are any.

        Raises:
            CommitConflict: if others add rows all the time.
            StoreFailed: if the store fails.

        """
        for pause in islice(pauses(), _TRIES):
            current = self.table.open()
            if not gone & self._attempts(current):
                return
            try:
                self._replace(current, gone, land)
            except CommitConflict as error:  # another run rejects rows of the scope
                conflict = error
                time.sleep(pause)
            else:
                return
        raise conflict

    def _replace(self, current: TableVersion, gone: AbstractSet[str], land: Land) -> None:
        scope, who = self._main.scope, self._attempt.provenance
        settling = replace(who, step=f"{who.step} (superseded rows, {uuid.uuid4()})")
        options = replace(self._attempt.options, mode="replace", partition_by=current.partition_by)
        attempt = Attempt(self.table, current, scope, options, Contract(), settling)
        part = Part(attempt, current.schema)
        texts = pa.array(sorted(gone), pa.string())
        try:
            for batch in Snapshot(current, scope).scan():
                part.add(batch.filter(pc.invert(pc.is_in(batch.column(ATTEMPT), texts))))
            staged = part.finish(is_stream=True)
        except BaseException:
            part.discard()
            raise
        record = record_of(attempt, staged, fingerprints_of(attempt, staged), (), staged.seconds)
        land(attempt, staged, record, Landing)


class RejectedPart:
    """Takes the bad rows of one part of an attempt; without any, nothing is written.

    Args:
        attempt: the attempt at the table of rejected rows.
        columns: its columns.

    """

    def __init__(self, attempt: Attempt, columns: RejectedColumns) -> None:
        self._attempt = attempt
        self._columns = columns
        self._part: Part | None = None

    def taken_out(self, parts: Divided) -> pa.RecordBatch:
        """Write the bad rows of a batch, and return the others; raises as `Part.add` does."""
        if parts.bad.num_rows:
            if self._part is None:
                self._part = Part(self._attempt, self._columns.schema)
            self._part.add(self._columns.rows(parts))
        return parts.good

    def finish(self) -> Staged | None:
        """Close the files, and return what was staged; None if there was no bad row."""
        return self._part.finish(is_stream=True) if self._part is not None else None

    def discard(self) -> None:
        """Delete what was written."""
        if self._part is not None:
            self._part.discard()


class AddedRows(Landing):
    """Lands rejected rows, whatever others do there: who is superseded, the table's own commit finds out."""

    def _refuse_superseded(self, since: Sequence[LogEntry]) -> None:
        """Refuse nothing: whoever is superseded is refused at the table."""


def _refuse_other(at: TableVersion) -> None:
    """Raise UnsupportedTable for a table that has no columns of rejected rows."""
    missing = [name for name in REASONS.names if name not in at.schema.names]
    if missing:
        raise UnsupportedTable(
            f"rejected rows go to {at.table.uri}, where there is a table without the columns {missing}.",
            f"Move that table away: {at.table.name} is the name of the rows that a contract rejects.",
        )
