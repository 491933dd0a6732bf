"""Connections: one at a time does one thing, in a thread of its own that can be given up."""

import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

import pyarrow as pa

from practicus_assets.errors import DeclarationError
from practicus_assets.sources.postgresql.answer import Answer, answer

if TYPE_CHECKING:
    from adbc_driver_manager import dbapi

T = TypeVar("T")
_Call = tuple[Callable[[], Any], "Future[Any]"]
_BATCH_BYTES = 8 << 20  # of a batch, as the driver estimates them
_CONNECT_S = 300.0  # libpq's own limit is for each address of a host, and the driver reads types afterwards
_CANCEL_S = 10.0  # how long a server may take to end a statement that nobody waits for


class Connection:
    """A connection whose calls are made one after another by its own thread.

    A server may stop to answer without closing the connection; the driver would wait for ever, and not to be
    interrupted. So the thread is left to itself then, and the caller goes on.

    Args:
        conninfo: the URL or the parameters as libpq takes them.
        secrets: texts of it that no error shows.
        read_timeout_s: how long the server may take for an answer; None for ever.
        beside: an open connection to the same database; what the driver has read of its types is shared,
            which takes much longer than to connect.

    Attributes:
        backend: the pid of the server's process, once it is known.

    Raises:
        Answer: the server cannot be reached, or refuses.

    """

    backend = 0

    def __init__(
        self,
        conninfo: str,
        secrets: Sequence[str] = (),
        read_timeout_s: float | None = None,
        beside: "Connection | None" = None,
    ) -> None:
        self._secrets = secrets
        self._timeout_s = read_timeout_s
        self._calls: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._is_stuck = False
        self._is_closed = False
        self._cursors: list[dbapi.Cursor] = []  # of streams, also of one for which nobody waited any more
        threading.Thread(target=_serve, args=(self._calls,), name="postgresql", daemon=True).start()
        opening = self._submit(lambda: _connect(conninfo) if beside is None else _cloned(beside.driver))
        try:
            self._connection: dbapi.Connection = self._wait(opening, _CONNECT_S)
        except BaseException:
            opening.add_done_callback(_close_late)
            self._calls.put(None)
            raise

    def run(self, statement: str) -> None:
        """Run a statement that has no rows."""
        self.call(lambda: self._run(statement))

    def rows(self, statement: str, *parameters: str | None) -> list[tuple[Any, ...]]:
        """Return the rows of a query that has few, with its parameters bound."""
        return self.call(lambda: self._rows(statement, parameters))

    def described(self, statement: str) -> pa.Schema:
        """Return the columns of a query as the driver describes them, without running it."""
        return self.call(lambda: self._described(statement))

    def stream(self, statement: str) -> "Stream":
        """Begin to read a query's rows; nothing else can be done until the stream has ended."""
        return Stream(self, self.call(lambda: self._begun(statement)))

    def cancel(self) -> None:
        """Ask the server to end what it does for this connection; what waits for it then gets an Answer."""
        canceller = threading.Thread(target=self._cancel, name="postgresql cancel", daemon=True)
        canceller.start()
        canceller.join(_CANCEL_S)

    def close(self) -> None:
        """Close the connection, whatever state it is in."""
        self._finish(self._close)
        self._is_closed = True
        self._calls.put(None)

    @property
    def driver(self) -> "dbapi.Connection":
        """The driver's connection, for what is called through `call`."""
        return self._connection

    def call(self, function: Callable[[], T]) -> T:
        """Call a function that uses the driver's connection, in the connection's thread.

        Raises:
            Answer: for errors of the driver, and when it does not return in time.

        """
        return self._answered(self._submit(function))

    def _submit(self, function: Callable[[], T]) -> "Future[T]":
        if self._is_closed:
            raise Answer("the session is closed")
        future: Future[T] = Future()
        self._calls.put((function, future))
        return future

    def _answered(self, future: "Future[T]") -> T:
        return self._wait(future, self._timeout_s)

    def _wait(self, future: "Future[T]", timeout_s: float | None) -> T:
        """Return a call's result, or raise what the server answered instead."""
        try:
            return future.result(timeout_s)
        except TimeoutError:
            if future.done():  # just now
                return self._wait(future, timeout_s)
            self._is_stuck = True
            threading.Thread(target=self._cancel, name="postgresql cancel", daemon=True).start()
            raise Answer(f"the server did not answer within {timeout_s:g} s") from None
        except (DeclarationError, Answer):
            raise
        except Exception as error:  # noqa: BLE001 of the driver, or of Arrow where a stream breaks off
            raise answer(error, self._secrets) from None

    def _finish(self, function: Callable[[], None]) -> None:
        """Call what closes something; a thread that is stuck does it when it comes back, if ever."""
        if self._is_closed:
            return
        closed = self._submit(function)
        if not self._is_stuck:
            with suppress(Exception):
                closed.result(_CANCEL_S)

    def _run(self, statement: str) -> None:
        with self._connection.cursor() as cursor:
            cursor.execute(statement)

    def _rows(self, statement: str, parameters: Sequence[str | None]) -> list[tuple[Any, ...]]:
        with self._connection.cursor() as cursor:
            cursor.execute(statement, tuple(parameters) or None)
            return cursor.fetchall()

    def _described(self, statement: str) -> pa.Schema:
        with self._connection.cursor() as cursor:
            return cursor.adbc_execute_schema(statement)

    def _begun(self, statement: str) -> "tuple[dbapi.Cursor, pa.RecordBatchReader]":
        cursor = self._connection.cursor()
        self._cursors.append(cursor)
        try:
            cursor.adbc_statement.set_options(**{"adbc.postgresql.batch_size_hint_bytes": str(_BATCH_BYTES)})
            cursor.execute(statement)
            return cursor, cursor.fetch_record_batch()
        except BaseException:
            self._end(cursor)
            raise

    def _end(self, cursor: "dbapi.Cursor") -> None:
        self._cursors.remove(cursor)
        cursor.close()

    def _cancel(self) -> None:
        with suppress(Exception):  # it may be over by now
            self._connection.adbc_cancel()

    def _close(self) -> None:
        self._connection.close()  # and its cursors
        self._cursors.clear()


class Stream:
    """The rows of one running query, the next batch of which is read while the last is used.

    Attributes:
        schema: the columns as the driver gives them.

    """

    def __init__(self, connection: Connection, begun: "tuple[dbapi.Cursor, pa.RecordBatchReader]") -> None:
        self._connection = connection
        self._cursor, self._reader = begun
        self.schema: pa.Schema = self._reader.schema
        self._is_stopped = False
        self._next: Future[pa.RecordBatch | None] | None = self._ask()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> pa.RecordBatch:
        """Return the next batch.

        Raises:
            Answer: the server gave none; its connection is then to be closed.

        """
        if self._next is None:
            if self._is_stopped:  # no end of the rows
                raise Answer("the session is closed")
            raise StopIteration
        try:
            batch = self._connection._answered(self._next)  # noqa: SLF001 the other half of this class
        except Answer:
            self._next = None
            raise
        self._next = self._ask() if batch is not None else None
        if batch is None:
            raise StopIteration
        return batch

    def stop(self) -> None:
        """Close the stream, and end its query if it still runs; then its connection is to be closed, too.

        The driver would read what is left of the rows to the end instead.
        """
        if self._next is not None:
            self._connection.cancel()
            self._is_stopped = True
        self._next = None
        self._connection._finish(self._close)  # noqa: SLF001 the other half of this class

    def _ask(self) -> "Future[pa.RecordBatch | None]":
        return self._connection._submit(self._read)  # noqa: SLF001 the other half of this class

    def _read(self) -> pa.RecordBatch | None:
        try:
            batch: pa.RecordBatch = self._reader.read_next_batch()
        except StopIteration:
            return None
        return batch

    def _close(self) -> None:
        with suppress(Exception):  # until the server's answer to the cancel comes
            while self._read() is not None:
                pass
        self._connection._end(self._cursor)  # noqa: SLF001 the other half of this class


def _connect(conninfo: str) -> "dbapi.Connection":
    try:
        from adbc_driver_postgresql import dbapi as driver  # noqa: PLC0415 an optional package
    except ImportError:
        raise DeclarationError(
            "PostgreSQL is read by a driver that is not installed.",
            "pip install 'practicus-assets[postgresql]'",
        ) from None
    return cast("dbapi.Connection", driver.connect(conninfo, autocommit=True))


def _close_late(opening: "Future[dbapi.Connection]") -> None:
    """Close a connection for which nobody waits any more."""
    if opening.exception() is None:
        opening.result().close()


def _cloned(connection: "dbapi.Connection") -> "dbapi.Connection":
    clone = connection.adbc_clone()
    clone.adbc_connection.set_autocommit(True)
    return clone


def _serve(calls: "queue.SimpleQueue[_Call | None]") -> None:
    while (call := calls.get()) is not None:
        function, future = call
        try:
            future.set_result(function())
        except BaseException as error:  # noqa: BLE001 raised where the result is waited for
            future.set_exception(error)
        del call, function, future
