"""Commits of several tables in one attempt: all are audited before one lands, then they land in order."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import dagster as dg

from practicus_assets.assets.writes.table_write import TableWrite
from practicus_assets.errors import DataRefused
from practicus_assets.wording import enumerated


class Commits:
    """The writes of several tables in one attempt at a step.

    Each table is committed in a transaction of its own. An attempt that ends between two commits leaves the
    first; the next attempt finds it, and makes the others.

    Args:
        writes: the writes of the tables, in the order in which they are committed.

    Attributes:
        pending: those that no earlier attempt has committed.

    """

    def __init__(self, writes: Sequence[TableWrite]) -> None:
        self._writes = writes
        self._ready: list[TableWrite] = []
        self._failed: tuple[TableWrite, Exception] | None = None
        self.pending = [write for write in writes if not write.is_landed]

    def prepare(self, rows: Mapping[dg.AssetKey, Callable[[], Any]]) -> Iterator[Any]:
        """Stage and audit the rows of all pending tables, and yield what Dagster is to record of it.

        Args:
            rows: returns those of a table, as an author's function does, by its asset's key.

        Raises:
            DataRefused: if rows of a table are refused. Nothing was written to any of them.
            CommitConflict: if somebody else has committed a scope by now. Nothing was written either.

        """
        refused: list[tuple[TableWrite, Exception]] = []
        for write in self.pending:
            try:
                if write.prepare(rows[write.key]):
                    self._ready.append(write)
                else:
                    yield from write.news()
            except DataRefused as error:
                refused.append((write, error))  # the others are looked at, too
            except Exception as error:
                yield from write.refused(error)
                raise
        for write, refusal in refused:
            yield from write.refused(refusal)
        if refused:
            raise _together([refusal for _, refusal in refused], self._ready)
        for write in self._ready:
            try:
                write.refuse_superseded()
            except Exception as error:
                yield from write.refused(error)
                raise

    def took(self, seconds: float) -> None:
        """Take note of how long the function took that gives the rows of all tables."""
        for write in self.pending:
            write.calling.seconds += seconds

    def land(self) -> None:
        """Commit what was prepared, one table after the other, up to one that fails."""
        for write in self._ready:
            try:
                write.land()
            except Exception as error:  # noqa: BLE001 it is raised once the others are reported
                self._failed = write, error
                self.discard()
                return

    def discard(self) -> None:
        """Delete what was prepared, and is not going to be committed."""
        for write in self._ready:
            write.discard()

    def report(self) -> Iterator[Any]:
        """Yield what Dagster is to record of the commits, also of those of earlier attempts.

        Raises:
            CommitConflict, CommitStateUnknown, StoreFailed: if the commit of a table failed.
            DataRefused: if an earlier attempt ended before it had given all results of checks.

        """
        landed = [write for write in self._writes if write.is_committed]
        for write in landed:
            yield from write.report()
        if self._failed is not None:
            write, error = self._failed
            if landed:
                names = enumerated([each.table.name for each in landed])
                error.add_note(
                    f"{names} had been committed before it, in transactions of their own. Another attempt "
                    "commits the tables that are missing, and no table twice."
                )
            yield from write.refused(error)
            raise error

    def report_earlier(self) -> Iterator[Any]:
        """Yield what Dagster is to record of commits of earlier attempts, where this one has failed."""
        for write in self._writes:
            if write.is_landed:
                with contextlib.suppress(DataRefused):  # the failure of this attempt is what its step says
                    yield from write.report()


def _together(errors: Sequence[Exception], ready: Sequence[TableWrite]) -> Exception:
    """Return the first of the errors, which tells of the others and of the tables that wait for it."""
    first, *others = errors
    for error in others:
        first.add_note(f"{type(error).__name__}: {error}")
    if ready:
        names = enumerated([write.table.name for write in ready])
        first.add_note(f"Nothing was written to {names} either: a table is committed once all are allowed.")
    return first
