"""Landings: compare and swap on the newest version of a table."""

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from practicus_assets.errors import CommitConflict, CommitStateUnknown, PracticusAssetsError, StoreFailed
from practicus_assets.lake.delta.conditional_puts import prove
from practicus_assets.lake.delta.failures import CommitUnsettled, in_one_line
from practicus_assets.lake.delta.log import LogEntry
from practicus_assets.lake.delta.protocol import refuse_unsupported
from practicus_assets.lake.delta.record import TransactionRecord
from practicus_assets.lake.delta.table import TableVersion
from practicus_assets.lake.layers.claims import Claims
from practicus_assets.lake.partitions.recorded import RecordedScope
from practicus_assets.lake.transactions.attempt import Attempt
from practicus_assets.lake.transactions.commit_window import CommitWindow
from practicus_assets.lake.transactions.effect import Before
from practicus_assets.lake.transactions.engine_files.found_files import refuse_changed
from practicus_assets.lake.transactions.pauses import pauses
from practicus_assets.lake.transactions.stage.staged import Staged, delete_files
from practicus_assets.lake.transactions.swap import Swap
from practicus_assets.lake.transactions.unchanged.equal_rows import EqualRows
from practicus_assets.lake.transactions.unchanged.reuse import is_known


class Overtaken(Exception):
    """Others gave rows of other partitions to a history: no conflict, but its rows are to be computed again.

    Attributes:
        current: the version that has their rows.

    """

    def __init__(self, current: TableVersion) -> None:
        super().__init__(f"version {current.version} has rows of others")
        self.current = current


class Landed(NamedTuple):
    """What became of staged rows.

    Attributes:
        version: the version that holds the scope.
        record: what the commit says about itself.
        before: the version that it was made on; None if there was none, or nobody knows.

    """

    version: int
    record: TransactionRecord
    before: Before | None = None


class Landing:
    """Lands staged rows in one commit, if nobody has committed the same scope since the attempt began.

    Args:
        attempt: the attempt.
        staged: its rows.
        record: what the commit says about itself.

    """

    def __init__(self, attempt: Attempt, staged: Staged, record: TransactionRecord) -> None:
        self._attempt = attempt
        self._table = attempt.table
        self._staged = staged
        self._record = record
        self._bounds = attempt.written.on(staged.schema)
        self._swap = Swap(attempt, staged)
        self._window = CommitWindow(attempt.table, attempt.began)

    @property
    def current(self) -> TableVersion | None:
        """The newest version at the last look; None if there was no table."""
        return self._window.current

    def land(self) -> Landed:  # noqa: C901 one loop, in the order of its steps
        """Commit the staged files; without a commit, delete them.

        Raises:
            CommitConflict: if the scope was committed by somebody else since the attempt began.
            CommitStateUnknown: if the store does not say whether the commit landed.
            StoreFailed: if the store fails before the commit.
            DataRefused: if a file that an engine wrote has changed since it was read.
            OutOfScope: if the commit would remove a file outside the scope.
            Overtaken: if the table's rows have to be computed again, with those of others.
            UnsupportedTable: if the table became one that this attempt must not commit to.

        """
        equal: bool | None = None
        waits = pauses()
        in_doubt = False  # whether the staged files may belong to the table already
        answer: CommitUnsettled | None = None  # the store's, to the last commit that was tried
        tried = -1
        record, window = self._record, self._window
        try:
            while True:
                self._look(tried, answer)
                current, since = window.current, window.since
                own = [entry for entry in since if self._is_own(entry)]
                if own:
                    tried_before = self._swap.before if own[0].version == tried else None
                    return Landed(own[0].version, record, tried_before)
                in_doubt, answer = False, None
                self._refuse_unsupported()
                self._refuse_superseded(since)
                self._raise_if_overtaken()
                if equal is None and current is not None:
                    equal = not self._staged.is_stream and self._is_equal(current)
                if record.changed:  # once it is not, the files are gone
                    refuse_changed(self._table, self._staged)
                if equal:
                    self._discard()
                    record = replace(record, changed=False)
                    if current is None or not self._leaves_mark(current):
                        return Landed(window.newest, record)
                    # an empty commit in this attempt's name: an earlier attempt that wakes up is refused, and
                    # a run beside it whose rejected rows are superseded; of a dev lake, one that says on
                    # which version of the base the rows are right; and of rows that later runs may use again,
                    # one that says from what they are right
                prove(self._table, current)
                tried, in_doubt = window.newest + 1, True
                try:
                    self._commit(current, record)
                except CommitUnsettled as error:
                    answer = error
                except PracticusAssetsError:
                    in_doubt = False  # raised before the commit
                    raise
                else:
                    return Landed(tried, record, self._swap.before)
                time.sleep(next(waits))
        except BaseException as error:
            refused = not in_doubt or isinstance(error, StoreFailed)  # in doubt, that is CommitStateUnknown
            if refused and (isinstance(error, CommitConflict | Overtaken) or not self._staged.is_shared):
                self._discard()
                if isinstance(error, PracticusAssetsError):
                    error.nothing_written = True
            raise

    def refuse(self) -> None:
        """Raise what `land` would raise now for commits of others, and delete nothing."""
        self._window.look(in_doubt=False)
        self._refuse_unsupported()
        self._refuse_superseded(self._window.since)

    def _commit(self, current: TableVersion | None, record: TransactionRecord) -> None:
        self._swap.on(current, record)

    def _discard(self) -> None:
        """Delete the staged files that no commit has named.

        Another process may have landed shared parts, or be about to. So they are deleted only where it would
        be refused as well; else they stay for vacuum.
        """
        added = self._window.added
        delete_files(self._table, [file.path for file in self._staged.files if file.path not in added])

    def _look(self, version: int, answer: CommitUnsettled | None) -> None:
        """Look at the table; raise if the commit that was tried last may land, and has not yet.

        Args:
            version: the version that was tried last.
            answer: the store's answer to it; None if nothing was tried.

        """
        try:
            self._window.look(in_doubt=answer is not None)
        except StoreFailed as error:
            if answer is None:
                raise
            raise self._unknown(version, answer) from error
        if answer is not None and self._window.newest < version:
            if self._table.local_path is not None and isinstance(answer.__cause__, OSError):
                raise answer.settled()  # a disk does nothing later that it refused
            raise self._unknown(version, answer) from answer

    def _is_own(self, entry: LogEntry) -> bool:
        return entry.record is not None and entry.record.attempt_id == self._record.attempt_id

    def _refuse_superseded(self, since: Sequence[LogEntry]) -> None:
        """Raise CommitConflict if somebody has committed the scope since the attempt began."""
        began = self._attempt.began_version
        for entry in since:
            record = entry.record
            advice = "Run again on fresh inputs."
            if entry.unreadable is not None:
                who = f"a newer release of this package, whose record cannot be read ({entry.unreadable}),"
                advice = f"{advice} {entry.unreadable.advice}"
            elif record is not None and self._is_superseded_by(record):
                who = f"run {record.run_id}, step {record.step!r}, attempt {record.attempt}"
            elif record is None and self._clashes(entry):
                operation = entry.info.get("operation", "unnamed operation")
                who = f"another writer ({operation}, {entry.info.get('engineInfo', 'unnamed engine')})"
            else:
                continue
            raise CommitConflict(
                f"{who} committed the same scope as version {entry.version}, after this attempt began"
                + (f" at version {began}." if began is not None else "."),
                advice,
            )

    def _raise_if_overtaken(self) -> None:
        """Raise Overtaken if others gave rows of other partitions to the history, and kept its columns."""
        window, before = self._window, self._attempt.schema or self._staged.schema
        if self._attempt.options.history is None or window.current is None:
            return
        if any(entry.record is not None and entry.record.given is not None for entry in window.since):
            now = window.current.schema
            if {f.name: f.type for f in now} != {f.name: f.type for f in before}:
                raise CommitConflict(
                    "another run changed the table's columns after this attempt began.",
                    "Run again on fresh inputs.",
                )
            raise Overtaken(window.current)

    def _refuse_unsupported(self) -> None:
        """Raise UnsupportedTable if a commit since the attempt began lets it write no more."""
        attempt, current = self._attempt, self._window.current
        if current is not None and self._window.since:
            refuse_unsupported(current, attempt.options.partition_by, takes_rows_away=not attempt.appends)

    def _clashes(self, entry: LogEntry) -> bool:
        return (self._attempt.depends_on_scope or entry.removes) and entry.touches(self._bounds)

    def _is_superseded_by(self, record: TransactionRecord) -> bool:
        if record.work == self._record.work:
            return True
        if record.given is not None and self._attempt.options.history is not None:
            return self._attempt.scope.on(self._staged.schema).overlaps(record.given.scope)
        replaces = self._attempt.depends_on_scope or record.mode != "append"
        return replaces and self._bounds.overlaps(record.scope)

    def _leaves_mark(self, current: TableVersion) -> bool:
        """Whether there is a commit though it changes nothing, for others to find."""
        record = self._record
        if record.attempt > 1 or record.rejected_version is not None or not self._is_pinned_so(current):
            return True
        return bool(record.config_digest) and not is_known(current, self._attempt.scope, record)

    def _is_equal(self, current: TableVersion) -> bool:
        """Whether the table already holds the staged rows, and nothing would change."""
        staged, schema = self._staged, current.schema
        if not self._has_all(current):
            return False
        if not self._swap.schema_on(schema).equals(schema):
            return False
        if self._attempt.appends:
            return not staged.rows
        if staged.schema.names != schema.names:
            return False
        rows = EqualRows(current, self._attempt.written, self._record.fingerprints)
        return rows.are_in(self._swap.files(current))

    def _is_pinned_so(self, current: TableVersion) -> bool:
        """Whether the rows of an own table that lies over a base have been computed on the same version."""
        base = self._record.base
        if base is None or self._attempt.options.mode != "replace":
            return True
        claims = Claims.of(current)
        return all(claims.pin(part) == base for part in self._parts())

    def _has_all(self, current: TableVersion) -> bool:
        """Whether no row of a base would be read in the scope, if there is one."""
        claims = Claims.of(current) if self._record.base is not None else None
        return claims is None or all(map(claims.cover, self._parts()))

    def _parts(self) -> list[RecordedScope]:
        return [self._bounds.one(number) for number in range(len(self._bounds.parts or ((),)))]

    def _unknown(self, version: int, answer: CommitUnsettled) -> CommitStateUnknown:
        cause = answer.__cause__ or answer
        return CommitStateUnknown(
            f"the commit of version {version} ended with {type(cause).__name__}: {in_one_line(cause)}.",
            "Staged files are kept. Run again: the next attempt finds the commit if it landed.",
        )
