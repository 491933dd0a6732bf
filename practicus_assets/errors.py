"""What can go wrong, grouped by what the person or the program that meets it would do."""

from collections.abc import Iterator
from contextlib import contextmanager


class PracticusAssetsError(Exception):
    """Any error of this package.

    `found` says what is wrong, `advice` what to do. `table`, `partitions` and `nothing_written` are
    filled in by the transaction that the error ended.
    """

    def __init__(self, found: str, advice: str = "") -> None:
        super().__init__(found)
        self.found = found
        self.advice = advice
        self.table = ""
        self.partitions = ""
        self.nothing_written = False

    def __str__(self) -> str:
        where = self.table + (f" [{self.partitions}]" if self.partitions else "")
        sentences = [f"{where}: {self.found}" if where else self.found, self.advice]
        if self.nothing_written:
            sentences.append("Nothing was written.")
        return " ".join(sentence for sentence in sentences if sentence)


class DeclarationError(PracticusAssetsError):
    """A definition or a setting is wrong: mend the code or the configuration."""


class TableNotFound(PracticusAssetsError):
    """There is no Delta table at that place: materialize it, or mend the key or the root."""


class VersionGone(PracticusAssetsError):
    """A pinned version can no longer be read: its files or its log entries were vacuumed away."""


class UnsupportedTable(PracticusAssetsError):
    """The table uses a feature of the Delta protocol that a transaction here would not honour."""


class DataRefused(PracticusAssetsError):
    """The data cannot become the table as they are: mend the data, the function or the contract."""


class SchemaMismatch(DataRefused):
    """Columns or types do not fit the table, its contract, or what Delta Lake can hold."""


class LossyValues(DataRefused):
    """Values would change on their way into the column's type."""


class OutOfScope(DataRefused):
    """Rows or files lie outside the partitions that the transaction may replace."""


class CommitConflict(PracticusAssetsError):
    """Somebody else committed the same scope first: run again on fresh inputs."""


class StoreFailed(PracticusAssetsError):
    """The object store, or the disk, failed or holds a damaged table: see to it, and run again."""


class CommitStateUnknown(PracticusAssetsError):
    """The store did not say whether the commit landed; staged files are kept, the next attempt finds out."""


class WorkerFailed(PracticusAssetsError):
    """The worker of a step ended and the step had not: look at the worker."""


class WorkerOutOfMemory(WorkerFailed):
    """It used more memory than it may: give it more."""


class WorkerLost(WorkerFailed):
    """It was evicted, preempted or deleted, or its node went away: try again."""


class WorkerRejected(WorkerFailed):
    """It cannot start as it is described: mend image, configuration or rights."""


class WorkerTimedOut(WorkerFailed):
    """It ran longer than its time limit: raise it, or find out what takes so long."""


class WorkerCrashed(WorkerFailed):
    """Its process ended without the step's result: read its log."""


@contextmanager
def naming(table: str, partitions: str = "", *, nothing_written: bool = False) -> Iterator[None]:
    """Add the table and the partitions to an error that passes."""
    try:
        yield
    except PracticusAssetsError as error:
        error.table = error.table or table
        error.partitions = error.partitions or partitions
        error.nothing_written = error.nothing_written or nothing_written
        raise
