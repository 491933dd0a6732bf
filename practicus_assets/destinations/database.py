"""Databases as destinations: a scope is replaced in one transaction, which writes the markers, too."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from practicus_assets.destinations.destination import Destination, two_names
from practicus_assets.destinations.export import Export, Exported
from practicus_assets.destinations.marker import Marker, Standing, count_problem
from practicus_assets.errors import ExportFailed, PracticusAssetsError

_SETTLE_S = 60.0  # for the transaction of a connection that was lost to end

Connect = Callable[[], Any]


class Transaction(ABC):
    """One transaction of a database, from its locks to its markers.

    Attributes:
        connection: the connection of the driver, which commits only when it is asked to.
        export: what is exported.
        target: the target, quoted as the driver takes it.

    """

    def __init__(self, connection: Any, export: Export, target: str) -> None:
        self.connection = connection
        self.export = export
        self.target = target

    @abstractmethod
    def prepare(self) -> None:
        """Make what has to be there before, with nothing in it, in a transaction of its own."""

    @abstractmethod
    def begin(self, *, alone: bool = False) -> Standing:
        """Lock the scope against other exports, and return how this one stands to what is there.

        Args:
            alone: whether to wait for exports of other partitions, too, where some may run beside this one.

        """

    @abstractmethod
    def replace(self) -> int:
        """Replace the rows of the scope; return how many there are now."""

    @abstractmethod
    def exists(self, cursor: Any) -> bool:
        """Return whether the target is there."""

    @abstractmethod
    def where(self) -> Sequence[tuple[str, list[Any]]]:
        """Return conditions that together hold for the scope's rows, each row once, with their values."""

    @abstractmethod
    def write_markers(self, cursor: Any, markers: Sequence[Marker], stands: Standing) -> None:
        """Replace the markers of the scope, and take back what others said of its rows."""

    def has(self, rows: int) -> bool:
        """Return whether so many rows of the scope are there: somebody may have deleted what is marked."""
        with self.connection.cursor() as cursor:
            return self.exists(cursor) and self.count(cursor) == rows

    def count(self, cursor: Any) -> int:
        """Return how many rows of the scope are there."""
        found = 0
        for condition, values in self.where():
            cursor.execute(f"SELECT count(*) FROM {self.target} WHERE {condition}", values)  # noqa: S608 values are bound
            found += int(cursor.fetchone()[0])
        return found

    def delete(self, cursor: Any) -> None:
        """Delete the rows of the scope."""
        for condition, values in self.where():
            cursor.execute(f"DELETE FROM {self.target} WHERE {condition}", values)  # noqa: S608 values are bound

    def refuse_other_writers(self, cursor: Any, sent: int, writers: str) -> None:
        """Refuse to go on where other rows are there than were sent.

        Args:
            cursor: one of the connection.
            sent: how many rows were sent.
            writers: what may change rows in this database.

        Raises:
            ExportFailed: with both counts.

        """
        found = self.count(cursor)
        if found != sent:
            raise ExportFailed(
                f"{count_problem(found, sent)}.",
                f"Somebody else wrote there, or {writers} of the target changes rows: leave its rows to the "
                "export.",
            )

    def mark(self, stands: Standing, rows: int) -> None:
        """Write the markers of the scope."""
        counts = self.export.rows_by_part(rows)
        markers = [Marker.of_export(self.export, key, counts[key], stands.versions) for key in counts]
        with self.connection.cursor() as cursor:
            self.write_markers(cursor, markers, stands)


class DatabaseDestination(Destination):
    """Tables of one database.

    Args:
        connect: opens a connection that commits only when it is asked to.
        address: where the database is, without credentials.
        namespace: the schema, or the database, of targets that name none.
        pool: the Dagster pool of steps that use it.
        wait_s: how long to wait for another export of the same rows.

    """

    address = ""
    pool = None

    def __init__(
        self, connect: Connect, address: str, namespace: str, *, pool: str | None, wait_s: float
    ) -> None:
        self._connect = connect
        self.address = address
        self.namespace = namespace
        self.pool = pool
        self._wait_s = wait_s

    @abstractmethod
    def transaction(self, connection: Any, export: Export, wait_s: float) -> Transaction:
        """Return the transaction of an export on a new connection; it waits so long for each lock."""

    @abstractmethod
    def translated(self, error: Exception, export: Export) -> PracticusAssetsError | None:
        """Return an error of the driver in our words, without values and secrets; None for other errors."""

    @abstractmethod
    def is_unsettled(self, error: Exception) -> bool:
        """Return whether an error of a commit leaves open whether it landed."""

    def refuse_target(self, target: str) -> None:
        """Refuse a name without a table."""
        two_names(target, self.namespace)

    def write(self, export: Export) -> Exported:
        """Replace the rows of a scope in one transaction."""
        with self._connected(export, self._wait_s) as transaction:
            transaction.prepare()
            stands = transaction.begin()
            present = stands.present and transaction.has(stands.rows)
            rows = stands.rows if present else transaction.replace()
            transaction.mark(stands, rows)
            recovered = self._committed(transaction) and not present
        return Exported("already there" if present else "exported", rows, recovered=recovered)

    def _committed(self, transaction: Transaction) -> bool:
        """Commit; return whether it took a look from a second connection to learn that it did."""
        try:
            transaction.connection.commit()
        except Exception as error:
            if not self.is_unsettled(error) or not self._landed(transaction.export, error):
                raise
            return True
        return False

    def _landed(self, export: Export, error: Exception) -> bool:
        """Return whether a commit landed whose answer was lost, by the marker.

        Raises:
            ExportFailed: if that cannot be found out now.

        """
        try:
            with self._connected(export, _SETTLE_S) as transaction:
                # this waits until the transaction of the lost connection has ended
                return transaction.begin(alone=True).present
        except PracticusAssetsError:
            failed = ExportFailed(
                f"the connection to {self.address} was lost during the commit, so that nobody knows whether "
                f"the rows are in {export.target}.",
                "Run again: the next attempt finds out, and exports them only if they are not there.",
            )
            failed.may_have_landed = True
            raise failed from error

    @contextmanager
    def _connected(self, export: Export, wait_s: float) -> Iterator[Transaction]:
        """Connect for a block, whose errors of the driver become ours; what is not committed is undone."""
        with self._failures(export):
            connection = self._connect()
            try:
                yield self.transaction(connection, export, wait_s)
            finally:
                with suppress(Exception):  # the error that led here is raised
                    connection.rollback()
                with suppress(Exception):  # the error that led here is raised
                    connection.close()

    @contextmanager
    def _failures(self, export: Export) -> Iterator[None]:
        """Raise our errors for those of the driver in a block that has committed nothing when it fails.

        Raises:
            ExportConflict: if another export did not end in time.
            LossyValues: for values that the server refused.
            ExportFailed: for all else.

        """
        try:
            yield
        except Exception as error:
            ours = self.translated(error, export)
            if ours is not None:
                ours.nothing_written = True
                raise ours from None
            if isinstance(error, PracticusAssetsError):
                may_have_landed = isinstance(error, ExportFailed) and error.may_have_landed
                error.nothing_written = error.nothing_written or not may_have_landed
            raise
