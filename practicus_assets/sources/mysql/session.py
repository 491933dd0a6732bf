"""Sessions: one connection and one read-only transaction, whose reads all see the same state."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from itertools import chain
from threading import RLock
from types import TracebackType
from typing import Any, ClassVar, Self, TypeVar

import pyarrow as pa

from practicus_assets.errors import DeclarationError, SourceChanged, SourceFailed
from practicus_assets.sources.mysql.blocks import Block
from practicus_assets.sources.mysql.bound_values import BoundValue
from practicus_assets.sources.mysql.connection import Connection, Prepared, connected
from practicus_assets.sources.mysql.decoding import Decoder
from practicus_assets.sources.mysql.failures import failing, is_lost
from practicus_assets.sources.mysql.fields import Field, schema_of
from practicus_assets.sources.mysql.login import Login
from practicus_assets.sources.mysql.stream import Stream
from practicus_assets.sources.system import Session
from practicus_assets.wording import number_of

_Result = TypeVar("_Result")

_BLOCK_BYTES = 4 << 20
_PATIENCE_S = 24 * 3600  # of the server with a reader that writes what it has read, before it reads on
_SETTINGS = (  # statements are as long as they are: a stream waits for its reader
    (
        f"SET SESSION time_zone = '+00:00', net_write_timeout = {_PATIENCE_S}, wait_timeout = {_PATIENCE_S} "
        "/*M!100300 , max_statement_time = 0, idle_transaction_timeout = 0, "  # of MariaDB alone
        "idle_readonly_transaction_timeout = 0 */ "
        "/*!80000 , max_execution_time = 0 */"
    ),  # of MySQL alone
    "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
    "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
)


class MySQLSession(Session):
    """A session with a database of MySQL or MariaDB.

    Its streams may be read side by side: what is not yet taken of one is put on the local disk once another
    one begins. Tables of engines without transactions, such as MyISAM, are read as they are at the moment.

    Args:
        login: how to connect.
        state: None; there is no other.

    """

    parallel: ClassVar[bool] = True

    def __init__(self, login: Login, state: str | None = None) -> None:
        if state is not None:
            raise DeclarationError(
                f"{login.address} has no state {state!r}: sessions of MySQL cannot share one.",
                "Read in one session what is to be of one state.",
            )
        self._login = login
        self._connection: Connection | None = None
        self._stream: Stream | None = None
        self._has_read = False
        self._lock = RLock()

    def __enter__(self) -> Self:
        """Connect, and begin to see one state.

        Raises:
            SourceFailed: the database cannot be reached, or refuses the login.

        """
        self._connect()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connection, which ends its transaction."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.abandon()

    def fields(self, statement: str, name: str) -> tuple[Field, ...]:
        """Return the columns that a statement gives, without running it.

        Args:
            statement: a SELECT.
            name: what is read, for errors.

        Raises:
            SourceFailed: whatever the server has against it.

        """
        with self._lock, self._failing(name)():
            self._park()
            fields = self._again(lambda connection: _described(connection, statement))
        if not fields:
            raise DeclarationError(f"{name} gives no columns.", "Write a SELECT.")
        return fields

    def read(
        self,
        statement: str,
        values: Sequence[BoundValue],
        name: str,
        *,
        expected: pa.Schema | None = None,
        zero_dates_are_null: bool = False,
    ) -> pa.RecordBatchReader:
        """Stream the rows of a statement.

        A connection that is lost before the session's first row is made anew, and the statement run again.

        Args:
            statement: a SELECT with a `?` for each value.
            values: the values, which are bound by the server.
            name: what is read, for errors.
            expected: the columns that are to come, and their types where there is a choice; None for
                whatever comes.
            zero_dates_are_null: whether dates that no calendar has are read as null.

        Raises:
            SourceFailed: whatever the server has against it, at once or while it is read.
            SourceChanged: if other columns come than expected.
            DataRefused: for values that the column's type cannot hold.

        """
        failing_here = self._failing(name)
        with self._lock, failing_here():
            self._park()
            prepared, fields, blocks = self._again(
                lambda connection: _begun(connection, statement, values, name)
            )
            self._has_read = True
            try:
                schema = _agreed(fields, expected, name)
            except Exception:
                self._abandon()  # rows are on their way
                raise
            decoder = Decoder(fields, schema, zero_dates_are_null)
            stream = Stream(self._batches(prepared, decoder, blocks), schema, self._lock, failing_here)
            self._stream = stream
        return pa.RecordBatchReader.from_batches(schema, stream.batches())

    def rows(self, statement: str, values: Sequence[BoundValue], name: str) -> list[tuple[Any, ...]]:
        """Return all rows of a statement with few of them."""
        columns = self.read(statement, values, name).read_all().columns
        return list(zip(*(column.to_pylist() for column in columns), strict=True))

    def _again(self, run: Callable[[Connection], _Result]) -> _Result:
        """Run something on the connection; on a new one where it is lost, and nothing was read of it."""
        attempts = self._login.connect_attempts
        while True:
            connection = self._open_connection()
            try:
                return run(connection)
            except Exception as error:
                attempts -= 1
                if self._has_read or not is_lost(error) or not attempts:
                    raise
                connection.abandon()
                self._connect()

    def _batches(
        self, prepared: Prepared, decoder: Decoder, blocks: Iterator[Block]
    ) -> Iterator[pa.RecordBatch]:
        first_row = 0
        try:
            for block in blocks:
                batch = decoder.batch(block, first_row)
                first_row += batch.num_rows
                yield batch
        except Exception:
            self._abandon()  # rows may still be on their way
            raise
        if self._connection is not None:
            self._connection.discard(prepared)

    def _park(self) -> None:
        """Make the connection free for another statement."""
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.park()

    def _connect(self) -> None:
        connection = connected(self._login)
        with self._failing("a session")():
            for statement in _SETTINGS:
                connection.query(statement)
        self._connection = connection

    def _open_connection(self) -> Connection:
        if self._connection is None or not self._connection.open:
            raise SourceFailed(f"the session with {self._login.address} has ended.", "Run again.")
        return self._connection

    def _abandon(self) -> None:
        if self._connection is not None:
            self._connection.abandon()

    def _failing(self, name: str) -> Callable[[], AbstractContextManager[None]]:
        return lambda: failing(f"{name} cannot be read", self._login.address, self._login.user)


def _described(connection: Connection, statement: str) -> tuple[Field, ...]:
    prepared = connection.prepare(statement)
    connection.discard(prepared)
    return prepared.fields


def _begun(
    connection: Connection, statement: str, values: Sequence[BoundValue], name: str
) -> tuple[Prepared, tuple[Field, ...], Iterator[Block]]:
    """Run a statement up to its first rows."""
    prepared = connection.prepare(statement)
    try:
        _refuse_placeholders(prepared.placeholders - len(values), name)
        fields = connection.execute(prepared, values)
        blocks = connection.rows(_BLOCK_BYTES)
        first = next(blocks, None)
    except Exception:
        connection.discard(prepared)
        raise
    return prepared, fields, chain([first] if first is not None else [], blocks)


def _refuse_placeholders(number: int, name: str) -> None:
    if number:
        raise DeclarationError(
            f"{name} has {number_of(number, 'placeholder')} `?`, and no value for it.",
            "Write the value into the query, or a quoted '?'.",
        )


def _agreed(fields: Sequence[Field], expected: pa.Schema | None, name: str) -> pa.Schema:
    """Return the schema in which rows are read.

    Raises:
        SourceChanged: if it is not what is expected.

    """
    schema = schema_of(fields, {each.name: each.type for each in expected or ()})
    if expected is not None and schema != expected:
        raise SourceChanged(
            f"{name} now has the columns {_columns(schema)}, and had {_columns(expected)}.", "Run again."
        )
    return schema


def _columns(schema: pa.Schema) -> str:
    return ", ".join(f"{field.name} {field.type}" for field in schema)
