"""MySQL and MariaDB: rows are replaced by inserts, in one transaction of InnoDB."""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from practicus_assets.destinations.cells import refuse_unlike
from practicus_assets.destinations.database import Connect, DatabaseDestination, Transaction
from practicus_assets.destinations.destination import WAIT_S, two_names
from practicus_assets.destinations.export import Export
from practicus_assets.destinations.marker import Marker, Standing, standing
from practicus_assets.destinations.mysql.failures import is_unsettled, translated
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

_IDLE_S = 900  # after which the server ends a session, and what it holds
_MODE = (  # what does not fit is refused, a backslash escapes, and 0 is no wish for a number
    "STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION,"
    "NO_AUTO_VALUE_ON_ZERO"
)


class MySQLDestination(DatabaseDestination):
    """Tables of one database of a MySQL or MariaDB server.

    Args:
        connect: opens a connection of PyMySQL, with `utf8mb4`.
        address: where the database is, without credentials.
        database: its name, in which targets are looked for that name none.
        pool: the Dagster pool of steps that use it.
        wait_s: how long to wait for another export to the same target.

    """

    kind = "mysql"

    def __init__(
        self,
        connect: Connect,
        address: str,
        database: str,
        *,
        pool: str | None = None,
        wait_s: float = WAIT_S,
    ) -> None:
        super().__init__(connect, address, database, pool=pool, wait_s=wait_s)

    def transaction(self, connection: Any, export: Export, wait_s: float) -> Transaction:
        """Return the transaction of an export; see `DatabaseDestination.transaction`."""
        with connection.cursor() as cursor:
            cursor.execute("SET NAMES utf8mb4")
            cursor.execute(
                "SET SESSION sql_mode = %s, time_zone = '+00:00', autocommit = 0, "
                "innodb_lock_wait_timeout = %s, wait_timeout = %s",
                (_MODE, max(1, round(wait_s)), _IDLE_S),
            )
            cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
        return _Transaction(connection, export, Place(*two_names(export.target, self.namespace)))

    def translated(self, error: Exception, export: Export) -> PracticusAssetsError | None:
        """Return an error of the driver in our words; see `DatabaseDestination.translated`."""
        return translated(error, export, self.address)

    def is_unsettled(self, error: Exception) -> bool:
        """Return whether an error of a commit leaves open whether it landed."""
        return is_unsettled(error)


class _Transaction(Transaction):
    def __init__(self, connection: Any, export: Export, place: Place) -> None:
        super().__init__(connection, export, place.escaped)
        self._place = place

    def prepare(self) -> None:
        """Make the table of markers and a target that is to be made, both with nothing in them."""
        place = self._place
        with self.connection.cursor() as cursor:
            cursor.execute(markers_statement(place))
            cursor.execute(
                f"INSERT IGNORE INTO {place.markers} (target, scope_id) VALUES (%s, %s)",  # noqa: S608 values are bound
                (place.table, LOCK),
            )
            self.connection.commit()
            if not self.exists(cursor):
                cursor.execute(create_statement(self.export, place))
            self.connection.commit()

    def begin(self, *, alone: bool = False) -> Standing:  # noqa: ARG002 every export is alone here
        """Lock the target; see `Transaction.begin`."""
        place = self._place
        with self.connection.cursor() as cursor:
            cursor.execute("START TRANSACTION")
            cursor.execute(
                f"SELECT 1 FROM {place.markers} WHERE target = %s AND scope_id = %s FOR UPDATE",  # noqa: S608 values are bound
                (place.table, LOCK),
            )
            return standing(self.export, read_markers(cursor, place))

    def exists(self, cursor: Any) -> bool:
        """Return whether the target is there."""
        return columns_of(cursor, self._place) is not None

    def replace(self) -> int:
        """Replace the rows of the scope by inserts; return how many there are now."""
        export, place = self.export, self._place
        with self.connection.cursor() as cursor:
            columns = columns_of(cursor, place)
            if columns is None:
                raise ExportFailed(f"{export.target} was dropped meanwhile.", "Run again.")
            refuse_unlike(export, columns, "MySQL")
            sent = cells(export, columns)
            self.delete(cursor)
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
            self.refuse_other_writers(cursor, rows, "a trigger")
        return rows

    def where(self) -> Sequence[tuple[str, list[Any]]]:
        """Return the conditions of the scope."""

        def column(name: str, type_: pa.DataType) -> list[str]:
            text = quoted(name).replace("%", "%%")
            return [text, exact_text(text)] if pa.types.is_string(type_) else [text]

        return where(self.export.bounds, column, lambda _: "%s")

    def write_markers(self, cursor: Any, markers: Sequence[Marker], stands: Standing) -> None:
        """Replace the markers of the scope."""
        write_markers(cursor, self._place, markers, stands)


def _warning(rows: Any, export: Export) -> str:
    """Return a warning of the server; it may show a value."""
    [(_, code, message), *_] = rows
    return f"{message} ({code})" if export.snapshot.sample_rows else f"warning {code}"
