"""PostgreSQL: a scope is replaced in one transaction, which writes the markers, too."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from practicus_assets.destinations.cells import Stream, refuse_unlike
from practicus_assets.destinations.destination import MARKERS, WAIT_S, Destination, two_names
from practicus_assets.destinations.export import Export, Exported
from practicus_assets.destinations.marker import Marker, Standing, count_problem, may_share, standing
from practicus_assets.destinations.postgresql.failures import failures, is_unsettled, making_markers
from practicus_assets.destinations.postgresql.tables import (
    Place,
    columns_of,
    create_table,
    has_markers,
    markers_statement,
    read_markers,
    write_markers,
)
from practicus_assets.destinations.postgresql.types import cells
from practicus_assets.destinations.where import where
from practicus_assets.errors import ExportFailed, PracticusAssetsError
from practicus_assets.lake.partitions.values import identifier

_MOST_LOCKS = 50  # of partitions; the server has room for some thousands in all
_SETTLE_S = 60.0
_SETTINGS = {  # so that the server notices within a minute that a machine is gone
    "tcp_keepalives_idle": "30",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
    "standard_conforming_strings": "on",
}

Connect = Callable[[], Any]


class PostgreSQLDestination(Destination):
    """Tables of one PostgreSQL database.

    Args:
        connect: opens a connection (ADBC) that commits only when it is asked to.
        address: where the database is, without credentials.
        pool: the Dagster pool of steps that use it.
        wait_s: how long to wait for another export of the same rows.

    """

    kind = "postgresql"
    address = ""
    pool = None

    def __init__(
        self, connect: Connect, address: str, pool: str | None = None, wait_s: float = WAIT_S
    ) -> None:
        self._connect = connect
        self.address = address
        self.pool = pool
        self._wait_s = wait_s

    def refuse_target(self, target: str) -> None:
        """Refuse a name without a table."""
        two_names(target, "public")

    def write(self, export: Export) -> Exported:
        """Replace the rows of a scope in one transaction."""
        place = Place(*two_names(export.target, "public"))
        with self._transactions(export) as transactions:
            self._prepare(transactions, place)
            shared = bool(export.layout) and len(export.parts) <= _MOST_LOCKS
            transaction = _Transaction(transactions, export, place)
            stands = transaction.begin(self._wait_s, shared=shared)
            if stands is None:
                stands = transaction.begin(self._wait_s, shared=False)
            assert stands is not None
            present = stands.present and transaction.has(stands.rows)
            rows = stands.rows if present else transaction.replace()
            transaction.mark(stands, rows)
            landed = self._committed(transaction, export, place)
        recovered = landed and not present
        return Exported("already there" if present else "exported", rows, recovered=recovered)

    def _prepare(self, connection: Any, place: Place) -> None:
        """Make the table of markers, in a transaction of its own."""
        with connection.cursor() as cursor:
            _begin(cursor, self._wait_s)
            if not has_markers(cursor, place):
                _lock(cursor, f"{place.schema}.{MARKERS}", shared=False)
                with making_markers(place.schema, statement := markers_statement(place)):
                    cursor.execute(statement)
        connection.commit()

    def _committed(self, transaction: "_Transaction", export: Export, place: Place) -> bool:
        """Commit; return whether it took a look from a second connection to learn that it did."""
        try:
            transaction.connection.commit()
        except Exception as error:
            if not is_unsettled(error) or not self._landed(export, place, error):
                raise
            return True
        return False

    def _landed(self, export: Export, place: Place, error: Exception) -> bool:
        """Return whether a commit landed whose answer was lost, by the marker.

        Raises:
            ExportFailed: if that cannot be found out now.

        """
        try:
            with self._transactions(export) as connection:
                # this waits until the transaction of the lost connection has ended
                stands = _Transaction(connection, export, place).begin(_SETTLE_S, shared=False)
        except PracticusAssetsError:
            raise ExportFailed(
                f"the connection to {self.address} was lost during the commit, so that nobody knows whether "
                f"the rows are in {export.target}.",
                "Run again: the next attempt finds out, and exports them only if they are not there.",
            ) from error
        return stands is not None and stands.present

    @contextmanager
    def _transactions(self, export: Export) -> Iterator[Any]:
        """Connect for a block, whose errors of the driver become ours; what is not committed is undone."""
        with failures(export, self.address):
            connection = self._connect()
            try:
                yield connection
            finally:
                with suppress(Exception):  # the error that led here is raised
                    connection.rollback()
                with suppress(Exception):  # the error that led here is raised
                    connection.close()


@dataclass(frozen=True)
class _Transaction:
    """One transaction, from its locks to its markers."""

    connection: Any
    export: Export
    place: Place

    def begin(self, wait_s: float, *, shared: bool) -> Standing | None:
        """Lock the scope, and return how the export stands to what is there.

        Returns:
            None if others must not run beside this export, and `shared` let them.

        """
        self.connection.rollback()
        with self.connection.cursor() as cursor:
            _begin(cursor, wait_s)
            _lock(cursor, f"{self.place}", shared=shared)
            if shared:
                for name in sorted(f"{self.place} {part.to_json()}" for part in self.export.parts.values()):
                    _lock(cursor, name, shared=False)
            markers = read_markers(cursor, self.place)
        if shared and not may_share(self.export, markers):
            return None
        return standing(self.export, markers)

    def has(self, rows: int) -> bool:
        """Return whether so many rows of the scope are there: somebody may have deleted what is marked."""
        with self.connection.cursor() as cursor:
            if columns_of(cursor, self.place) is None:
                return False
            return sum(self._count(cursor, *condition) for condition in self._where()) == rows

    def replace(self) -> int:
        """Replace the rows of the scope; return how many there are now."""
        export, place = self.export, self.place
        with self.connection.cursor() as cursor:
            found = columns_of(cursor, place)
            if found is None:
                create_table(cursor, export, place)
                found = columns_of(cursor, place)
            assert found is not None
            columns, kinds = found
            refuse_unlike(export, columns, "PostgreSQL")
            sent = cells(export, columns, kinds)
            if export.scope.is_whole_table:  # nobody else writes, everybody reads
                cursor.execute(f"LOCK TABLE {place} IN SHARE ROW EXCLUSIVE MODE")
            for condition, values in self._where():
                cursor.execute(f"DELETE FROM {place} WHERE {condition}", values)  # noqa: S608 values are bound
            stream = Stream(sent.sent(export.batches()), sent.schema)
            try:
                cursor.adbc_ingest(place.table, stream.reader, mode="append", db_schema_name=place.schema)
            except Exception:
                stream.refuse_broken()
                raise
            found_rows = sum(self._count(cursor, *condition) for condition in self._where())
        if found_rows != stream.rows:
            raise ExportFailed(
                f"{count_problem(found_rows, stream.rows)}.",
                "Somebody else wrote there, or a trigger, a rule or a policy of the target changes rows: "
                "leave its rows to the export.",
            )
        return stream.rows

    def mark(self, stands: Standing, rows: int) -> None:
        """Write the markers of the scope."""
        counts = self.export.rows_by_part(rows)
        markers = [
            Marker.of_export(self.export, key, counts[key], stands.versions) for key in self.export.parts
        ]
        with self.connection.cursor() as cursor:
            write_markers(cursor, self.place, markers, stands)

    def _where(self) -> Sequence[tuple[str, list[Any]]]:
        return where(self.export.bounds, lambda name, _: [identifier(name)], lambda number: f"${number}")

    def _count(self, cursor: Any, condition: str, values: list[Any]) -> int:
        cursor.execute(f"SELECT count(*) FROM {self.place} WHERE {condition}", values)  # noqa: S608 values are bound
        return int(cursor.fetchone()[0])


def _begin(cursor: Any, wait_s: float) -> None:
    """Begin a transaction whose statements see what others have committed before each."""
    cursor.execute("SET TRANSACTION ISOLATION LEVEL READ COMMITTED READ WRITE")
    settings = {**_SETTINGS, "lock_timeout": f"{max(1, round(wait_s * 1000))}ms"}
    calls = ", ".join(f"set_config('{name}', '{value}', true)" for name, value in settings.items())
    cursor.execute(f"SELECT {calls}")
    cursor.fetchall()


def _lock(cursor: Any, name: str, *, shared: bool) -> None:
    """Take a lock that ends with the transaction; it is nobody's row, so readers are not held up."""
    number = int.from_bytes(hashlib.sha256(f"practicus {name}".encode()).digest()[:8], signed=True)
    cursor.execute(f"SELECT pg_advisory_xact_lock{'_shared' if shared else ''}({number})")
    cursor.fetchall()
