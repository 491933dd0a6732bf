"""MySQL and MariaDB: a scope is replaced in one transaction of InnoDB, which writes the markers, too."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from practicus_assets.destinations.cells import refuse_unlike
from practicus_assets.destinations.destination import WAIT_S, Destination, two_names
from practicus_assets.destinations.export import Export, Exported
from practicus_assets.destinations.marker import Marker, Standing, count_problem, standing
from practicus_assets.destinations.mysql.failures import failures, is_lost
from practicus_assets.destinations.mysql.inserts import inserts
from practicus_assets.destinations.mysql.tables import (
    LOCK,
    Place,
    columns_of,
    create_statement,
    markers_statement,
    quoted,
    read_markers,
    write_markers,
)
from practicus_assets.destinations.mysql.types import cells, exact_text
from practicus_assets.destinations.where import where
from practicus_assets.errors import ExportFailed, PracticusAssetsError

_SETTLE_S = 60.0
_IDLE_S = 900  # after which the server ends a session, and what it holds
_MODE = (  # what does not fit is refused, a backslash escapes, and 0 is no wish for a number
    "STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION,"
    "NO_AUTO_VALUE_ON_ZERO"
)

Connect = Callable[[], Any]


class MySQLDestination(Destination):
    """Tables of one database of a MySQL or MariaDB server.

    Args:
        connect: opens a connection of PyMySQL, with `utf8mb4`.
        address: where the database is, without credentials.
        database: its name, in which targets are looked for that name none.
        pool: the Dagster pool of steps that use it.
        wait_s: how long to wait for another export to the same target.

    """

    kind = "mysql"
    address = ""
    pool = None

    def __init__(
        self,
        connect: Connect,
        address: str,
        database: str,
        *,
        pool: str | None = None,
        wait_s: float = WAIT_S,
    ) -> None:
        self._connect = connect
        self.address = address
        self.pool = pool
        self._database = database
        self._wait_s = wait_s

    def refuse_target(self, target: str) -> None:
        """Refuse a name without a table."""
        two_names(target, self._database)

    def write(self, export: Export) -> Exported:
        """Replace the rows of a scope in one transaction; tables are made before it, with nothing in them."""
        place = Place(*two_names(export.target, self._database))
        with self._connection(export, self._wait_s) as connection:
            transaction = _Transaction(connection, export, place)
            transaction.prepare()
            stands = transaction.begin()
            present = stands.present and transaction.has(stands.rows)
            rows = stands.rows if present else transaction.replace()
            transaction.mark(stands, rows)
            recovered = self._committed(connection, export, place)
        outcome = "already there" if present else "exported"
        return Exported(outcome, rows, recovered=recovered and not present)  # type: ignore[arg-type] # one of both

    def _committed(self, connection: Any, export: Export, place: Place) -> bool:
        """Commit; return whether it took a look from a second connection to learn that it did."""
        try:
            connection.commit()
        except Exception as error:
            if not is_lost(error) or not self._landed(export, place, error):
                raise
            return True
        return False

    def _landed(self, export: Export, place: Place, error: Exception) -> bool:
        """Return whether a commit landed whose answer was lost, by the marker.

        Raises:
            ExportFailed: if that cannot be found out now.

        """
        try:
            with self._connection(export, _SETTLE_S) as connection:
                # this waits until the transaction of the lost connection has ended
                return _Transaction(connection, export, place).begin().present
        except PracticusAssetsError:
            raise ExportFailed(
                f"the connection to {self.address} was lost during the commit, so that nobody knows whether "
                f"the rows are in {export.target}.",
                "Run again: the next attempt finds out, and exports them only if they are not there.",
            ) from error

    @contextmanager
    def _connection(self, export: Export, wait_s: float) -> Iterator[Any]:
        """Connect for a block, whose errors of the driver become ours; what is not committed is undone."""
        with failures(export, self.address):
            connection = self._connect()
            try:
                with connection.cursor() as cursor:
                    cursor.execute("SET NAMES utf8mb4")
                    cursor.execute(
                        "SET SESSION sql_mode = %s, time_zone = '+00:00', autocommit = 0, "
                        "innodb_lock_wait_timeout = %s, wait_timeout = %s",
                        (_MODE, max(1, round(wait_s)), _IDLE_S),
                    )
                    cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
                yield connection
            finally:
                with suppress(Exception):  # the error that led here is raised
                    connection.rollback()
                with suppress(Exception):
                    connection.close()


@dataclass(frozen=True)
class _Transaction:
    """One transaction, from its lock to its markers."""

    connection: Any
    export: Export
    place: Place

    def prepare(self) -> None:
        """Make the table of markers and a target that is to be made, both with nothing in them."""
        with self.connection.cursor() as cursor:
            cursor.execute(markers_statement(self.place))
            cursor.execute(
                f"INSERT IGNORE INTO {self.place.markers} (target, scope_id) VALUES (%s, %s)",  # noqa: S608 values are bound
                (self.place.table, LOCK),
            )
            self.connection.commit()
            if columns_of(cursor, self.place) is None:
                cursor.execute(create_statement(self.export, self.place))
            self.connection.commit()

    def begin(self) -> Standing:
        """Lock the target against other exports, and return how this one stands to what is there."""
        with self.connection.cursor() as cursor:
            cursor.execute("START TRANSACTION")
            cursor.execute(
                f"SELECT 1 FROM {self.place.markers} WHERE target = %s AND scope_id = %s FOR UPDATE",  # noqa: S608 values are bound
                (self.place.table, LOCK),
            )
            return standing(self.export, read_markers(cursor, self.place))

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
            columns = columns_of(cursor, place)
            if columns is None:
                raise ExportFailed(f"{export.target} was dropped meanwhile.", "Run again.")
            refuse_unlike(export, columns, "MySQL")
            sent = cells(export, columns)
            conditions = self._where()
            for condition, values in conditions:
                cursor.execute(f"DELETE FROM {place.escaped} WHERE {condition}", values)  # noqa: S608 values are bound
            cursor.execute("SELECT @@max_allowed_packet")
            packet = int(cursor.fetchone()[0])
            rows = 0
            for batch in sent.sent(export.batches()):
                for statement in inserts(place, batch, packet):
                    cursor.execute(statement)
                    if cursor.warning_count:
                        cursor.execute("SHOW WARNINGS")
                        raise ExportFailed(
                            f"{export.target} changed values: {_warning(cursor.fetchall(), export)}.",
                            "Widen the column there, or fix the rows.",
                        )
                rows += batch.num_rows
            found = sum(self._count(cursor, *condition) for condition in conditions)
        if found != rows:
            raise ExportFailed(
                f"{count_problem(found, rows)}.",
                "Somebody else wrote there, or a trigger of the target changes rows: leave its rows to the "
                "export.",
            )
        return rows

    def mark(self, stands: Standing, rows: int) -> None:
        """Write the markers of the scope."""
        counts = self.export.rows_by_part(rows)
        markers = [Marker.of_export(self.export, key, counts[key], stands.versions) for key in counts]
        with self.connection.cursor() as cursor:
            write_markers(cursor, self.place, markers, stands)

    def _where(self) -> list[tuple[str, list[Any]]]:
        def column(name: str, type_: pa.DataType) -> list[str]:
            text = quoted(name).replace("%", "%%")
            return [text, exact_text(text)] if pa.types.is_string(type_) else [text]

        return where(self.export.bounds, column, lambda _: "%s")

    def _count(self, cursor: Any, condition: str, values: list[Any]) -> int:
        cursor.execute(f"SELECT count(*) FROM {self.place.escaped} WHERE {condition}", values)  # noqa: S608 values are bound
        return int(cursor.fetchone()[0])


def _warning(rows: Any, export: Export) -> str:
    """Return a warning of the server; it may show a value."""
    [(_, code, message), *_] = rows
    return f"{message} ({code})" if export.snapshot.sample_rows else f"warning {code}"
