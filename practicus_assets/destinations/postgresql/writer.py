"""PostgreSQL: rows are replaced by binary COPY, under advisory locks of their partitions."""

import hashlib
from collections.abc import Sequence
from typing import Any

from practicus_assets.destinations.cells import Stream, refuse_unlike
from practicus_assets.destinations.database import Connect, DatabaseDestination, Transaction
from practicus_assets.destinations.destination import MARKERS, WAIT_S, two_names
from practicus_assets.destinations.export import Export
from practicus_assets.destinations.marker import Marker, Standing, may_share, standing
from practicus_assets.destinations.postgresql.failures import is_unsettled, making_markers, translated
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
from practicus_assets.errors import PracticusAssetsError
from practicus_assets.lake.partitions.values import identifier

_MOST_LOCKS = 50  # of partitions; the server has room for some thousands in all
_SETTINGS = {  # so that the server notices within a minute that a machine is gone
    "tcp_keepalives_idle": "30",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
    "standard_conforming_strings": "on",
}


class PostgreSQLDestination(DatabaseDestination):
    """Tables of one PostgreSQL database.

    Args:
        connect: opens a connection (ADBC) that commits only when it is asked to.
        address: where the database is, without credentials.
        pool: the Dagster pool of steps that use it.
        wait_s: how long to wait for another export of the same rows.

    """

    kind = "postgresql"

    def __init__(
        self, connect: Connect, address: str, pool: str | None = None, wait_s: float = WAIT_S
    ) -> None:
        super().__init__(connect, address, "public", pool=pool, wait_s=wait_s)

    def transaction(self, connection: Any, export: Export, wait_s: float) -> Transaction:
        """Return the transaction of an export; see `DatabaseDestination.transaction`."""
        return _Transaction(connection, export, Place(*two_names(export.target, self.namespace)), wait_s)

    def translated(self, error: Exception, export: Export) -> PracticusAssetsError | None:
        """Return an error of the driver in our words; see `DatabaseDestination.translated`."""
        return translated(error, export, self.address)

    def is_unsettled(self, error: Exception) -> bool:
        """Return whether an error of a commit leaves open whether it landed."""
        return is_unsettled(error)


class _Transaction(Transaction):
    def __init__(self, connection: Any, export: Export, place: Place, wait_s: float) -> None:
        super().__init__(connection, export, str(place))
        self._place = place
        self._wait_s = wait_s

    def prepare(self) -> None:
        """Make the table of markers."""
        place = self._place
        with self.connection.cursor() as cursor:
            _begin(cursor, self._wait_s)
            if not has_markers(cursor, place):
                _lock(cursor, f"{place.schema}.{MARKERS}", shared=False)
                with making_markers(place.schema, statement := markers_statement(place)):
                    cursor.execute(statement)
        self.connection.commit()

    def begin(self, *, alone: bool = False) -> Standing:
        """Lock the scope; see `Transaction.begin`."""
        shared = not alone and bool(self.export.layout) and len(self.export.parts) <= _MOST_LOCKS
        markers = self._locked(shared=shared)
        if shared and not may_share(self.export, markers):
            markers = self._locked(shared=False)
        return standing(self.export, markers)

    def _locked(self, *, shared: bool) -> list[Marker]:
        """Lock the target, or just the partitions in it, and return its markers."""
        self.connection.rollback()
        with self.connection.cursor() as cursor:
            _begin(cursor, self._wait_s)
            _lock(cursor, self.target, shared=shared)
            if shared:
                for name in sorted(f"{self.target} {part.to_json()}" for part in self.export.parts.values()):
                    _lock(cursor, name, shared=False)
            return read_markers(cursor, self._place)

    def exists(self, cursor: Any) -> bool:
        """Return whether the target is there."""
        return columns_of(cursor, self._place) is not None

    def replace(self) -> int:
        """Replace the rows of the scope by COPY; return how many there are now."""
        export, place = self.export, self._place
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
            self.delete(cursor)
            stream = Stream(sent.sent(export.batches()), sent.schema)
            try:
                cursor.adbc_ingest(place.table, stream.reader, mode="append", db_schema_name=place.schema)
            except Exception:
                stream.refuse_broken()
                raise
            self.refuse_other_writers(cursor, stream.rows, "a trigger, a rule or a policy")
        return stream.rows

    def where(self) -> Sequence[tuple[str, list[Any]]]:
        """Return the conditions of the scope."""
        return where(self.export.bounds, lambda name, _: [identifier(name)], lambda number: f"${number}")

    def write_markers(self, cursor: Any, markers: Sequence[Marker], stands: Standing) -> None:
        """Replace the markers of the scope."""
        write_markers(cursor, self._place, markers, stands)


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
