"""Sessions with PostgreSQL: one snapshot, and a connection for each stream that is read from it."""

import re
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any, ClassVar, Self

import pyarrow as pa

from practicus_assets.errors import SourceChanged, SourceFailed
from practicus_assets.sources.postgresql.answer import Answer
from practicus_assets.sources.postgresql.connection import Connection, Stream
from practicus_assets.sources.postgresql.login import Login, connected, pause
from practicus_assets.sources.postgresql.parameters import array_text
from practicus_assets.sources.postgresql.settings import BEGIN, settled
from practicus_assets.sources.system import Session
from practicus_assets.wording import enumerated

_STATE = re.compile(r"([0-9A-Fa-f-]+)@(-?\d+)")
# which transactions a snapshot sees
_SEEN = "pg_catalog.hashtextextended(pg_catalog.txid_current_snapshot()::text, 0)"
_BIND = (
    "SELECT count(pg_catalog.set_config('practicus_assets.p' || (number - 1), value, true)) "
    "FROM unnest($1::text::text[]) WITH ORDINALITY AS bound (value, number)"
)
_REWRITTEN = """
SELECT DISTINCT c.oid::regclass::text
FROM pg_catalog.pg_locks AS l JOIN pg_catalog.pg_class AS c ON c.oid = l.relation
WHERE l.pid = $1::text::int4 AND l.locktype = 'relation' AND c.relkind IN ('r', 'm') AND c.relfilenode <> 0
AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
AND pg_catalog.pg_relation_filenode(c.oid) IS DISTINCT FROM c.relfilenode ORDER BY 1
"""  # what the catalogue says now, beside what it said when the snapshot was taken


class PostgreSQLSession(Session):
    """A snapshot of a database, which one connection holds and all others import.

    The connection that exports a snapshot reads catalogs alone, and stays open to the end: a stream that is
    given up ends its transaction, and would take the snapshot with it.

    Args:
        login: where the database is, and how to log in to it.
        state: the snapshot of another session, to read just that.

    """

    parallel: ClassVar[bool] = True

    def __init__(self, login: Login, state: str | None = None) -> None:
        self._login = login
        self._imported = state
        self._own: Connection | None = None
        self._free: list[Connection] = []
        self._streams: list[tuple[Connection, Stream]] = []
        self.state = state

    def __enter__(self) -> Self:
        """Connect; see `Session.__enter__`."""
        self._own = self._opened(self._imported)
        if self._imported is None:
            [(name, seen)] = self._own.rows(f"SELECT pg_catalog.pg_export_snapshot(), {_SEEN}")
            self.state = f"{name}@{seen}"  # after a crash, a server gives the same names to others
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close every connection; what still streams breaks off."""
        for connection, stream in self._streams:
            stream.stop()
            connection.close()
        for open_connection in [*self._free, self._own]:
            if open_connection is not None:
                open_connection.close()
        self._streams, self._free, self._own = [], [], None

    def rows(self, statement: str, *parameters: str | None) -> list[tuple[Any, ...]]:
        """Return the rows of a query that has few.

        Raises:
            Answer: the server answers with something else.

        """
        return self._open.rows(statement, *parameters)

    def described(self, statement: str) -> pa.Schema:
        """Return a query's columns as the driver describes them; raises `Answer` as `rows` does."""
        return self._open.described(statement)

    def stream(self, statement: str, values: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Yield the batches of a query, which is begun again if its connection is lost early.

        Args:
            statement: the query.
            values: the values of its parameters, which it reads as settings.

        Raises:
            Answer: the server answers with something else.
            SourceChanged: the snapshot is gone.

        """
        for attempt in range(1, self._login.connect_attempts + 1):
            connection = self._free.pop() if self._free else self._opened(self._open_state)
            is_first = True
            try:
                if values:
                    connection.rows(_BIND, array_text(values))
                for batch in self._batches(connection, statement):
                    is_first = False
                    yield batch
            except Answer as refused:
                connection.close()
                if not (refused.lost and is_first and attempt < self._login.connect_attempts):
                    raise
                pause(attempt)
            except BaseException:  # nobody wants the rest
                connection.close()
                raise
            else:
                self._free.append(connection)
                return

    def _batches(self, connection: Connection, statement: str) -> Iterator[pa.RecordBatch]:
        stream = connection.stream(statement)
        self._streams.append((connection, stream))
        try:
            first = next(stream, None)
            self._refuse_rewritten(connection)
            if first is not None:
                yield first
                yield from stream
        finally:
            self._streams = [each for each in self._streams if each[1] is not stream]
            stream.stop()

    def _refuse_rewritten(self, connection: Connection) -> None:
        """Raise SourceChanged if a table that is being read was emptied or rewritten since the snapshot.

        Such a table would seem to have no rows: TRUNCATE and some kinds of ALTER TABLE replace a table's file
        without regard to snapshots. The statement's locks keep others from doing so from now on.
        """
        tables = [name for (name,) in self._open.rows(_REWRITTEN, str(connection.backend))]
        if tables:
            raise SourceChanged(
                f"{enumerated(tables)} of {self._login.address} changed by TRUNCATE, or by an ALTER TABLE "
                "that rewrites it, after the snapshot that is read.",
                "Run again.",
            )

    @property
    def _open(self) -> Connection:
        if self._own is None:
            raise SourceFailed(f"the session with {self._login.address} is closed.", "Read within it.")
        return self._own

    @property
    def _open_state(self) -> str | None:
        return self.state if self._open is not None else None

    def _opened(self, state: str | None) -> Connection:
        """Return a new connection that reads a snapshot; of None, one of its own.

        Raises:
            SourceFailed: nobody answers, or the login is refused.
            SourceChanged: the snapshot is gone.

        """

        def begin(connection: Connection) -> None:
            connection.run(BEGIN)
            if state is not None:
                self._import(connection, state)
            [(connection.backend, _)] = connection.rows(settled(self._login.read_timeout_s))

        try:
            return connected(self._login, begin, self._own)
        except Answer as refused:
            raise SourceFailed(
                f"{self._login.address} cannot be reached: {refused.text}.",
                "Look whether it runs, and at the login and the network between.",
            ) from None

    def _import(self, connection: Connection, state: str) -> None:
        try:
            found = _STATE.fullmatch(state)
            if found is None:
                raise Answer("it is none of PostgreSQL")  # noqa: TRY301 one message for all
            connection.run(f"SET TRANSACTION SNAPSHOT '{found[1]}'")
            [(seen,)] = connection.rows(f"SELECT {_SEEN}")
            if str(seen) != found[2]:
                raise Answer("another one has its name by now")  # noqa: TRY301 the same
        except Answer as refused:
            if refused.lost:
                raise
            raise SourceChanged(
                f"the snapshot {state} of {self._login.address} is gone: {refused.text}.",
                "It lives as long as the session that exported it. Run again all that is to read one state.",
            ) from None
