"""Connections: PyMySQL's, with prepared statements, whose rows are handed over as they come.

PyMySQL speaks for the login, encryption and simple statements. Rows are read by the binary protocol instead,
which has exact floating-point numbers, binds values on the server, and is decoded by column.
"""

import io
import random
import struct
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pymysql
from pymysql.constants import COMMAND, CR
from pymysql.protocol import FieldDescriptorPacket

from practicus_assets.sources.mysql.blocks import Block, blocks
from practicus_assets.sources.mysql.bound_values import BoundValue, encoded
from practicus_assets.sources.mysql.failures import failing, is_lost, may_connect_later
from practicus_assets.sources.mysql.fields import Field
from practicus_assets.sources.mysql.login import Login

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.25, 8.0  # between attempts to connect, each twice the one before


@dataclass(frozen=True)
class Prepared:
    """A statement that the server has parsed.

    Attributes:
        number: its number on the connection.
        fields: the columns of its result.
        placeholders: how many values it takes.

    """

    number: int
    fields: tuple[Field, ...]
    placeholders: int


class Connection(pymysql.connections.Connection):  # type: ignore[misc] # PyMySQL has no types
    """A connection that can prepare statements."""

    def prepare(self, statement: str) -> Prepared:
        """Let the server parse a statement, which executes nothing.

        Raises:
            pymysql.err.MySQLError: whatever the server has against it.

        """
        self._execute_command(COMMAND.COM_STMT_PREPARE, statement)
        head = self._read_packet().get_all_data()
        number, fields, placeholders = struct.unpack_from("<xIHH", head)
        if placeholders:
            self._read_fields(placeholders)
        return Prepared(number, self._read_fields(fields) if fields else (), placeholders)

    def execute(self, prepared: Prepared, values: Sequence[BoundValue]) -> tuple[Field, ...]:
        """Run a prepared statement, and return the columns of its result; `rows` has their rows.

        Raises:
            pymysql.err.MySQLError: whatever the server has against it.

        """
        self._execute_command(
            COMMAND.COM_STMT_EXECUTE, struct.pack("<IBI", prepared.number, 0, 1) + encoded(values)
        )
        fields = self._read_packet().read_length_encoded_integer()
        return self._read_fields(fields) if fields else ()

    def rows(self, size: int) -> Iterator[Block]:
        """Yield the rows of what was executed last, all of which are to be taken, as they come.

        Args:
            size: about how many bytes a block has.

        Raises:
            pymysql.err.MySQLError: if the server ends the statement, or the connection is lost.

        """
        try:
            begin = self._rfile.read1(io.DEFAULT_BUFFER_SIZE)  # no less than PyMySQL may have read ahead
            yield from blocks(begin, self._sock, size)
        except (OSError, ValueError) as error:  # ValueError, if the session was closed meanwhile
            self._force_close()
            raise pymysql.err.OperationalError(
                CR.CR_SERVER_LOST, f"the connection is lost: {error}"
            ) from error
        except pymysql.err.OperationalError as error:
            if is_lost(error):
                self._force_close()
            raise

    def discard(self, prepared: Prepared) -> None:
        """Let the server forget a prepared statement, if the connection is still there."""
        with suppress(pymysql.err.MySQLError):
            self._execute_command(COMMAND.COM_STMT_CLOSE, struct.pack("<I", prepared.number))

    def abandon(self) -> None:
        """Close the connection, whatever is still on its way."""
        self._closed = True
        self._force_close()

    def _read_fields(self, number: int) -> tuple[Field, ...]:
        packets = [self._read_packet(FieldDescriptorPacket) for _ in range(number)]
        self._read_packet()  # says that these were all
        return tuple(Field.of(packet) for packet in packets)


def connected(login: Login, **further: Any) -> Connection:
    """Return a new connection, and try again for a while where the server is not there.

    Args:
        login: how.
        further: further arguments of PyMySQL's `Connection`.

    Raises:
        SourceFailed: the system cannot be reached, or refuses the login.
        DeclarationError: the password or a certificate cannot be read.

    """
    arguments = {"auth_plugin_map": _IN_CLEAR_TEXT, **login.arguments(), **further}
    with failing("no connection", login.address, login.user):
        for attempt in range(1, login.connect_attempts):
            try:
                return Connection(**arguments)
            except (pymysql.err.MySQLError, OSError) as error:
                if not may_connect_later(error):
                    raise
            time.sleep(min(_FIRST_PAUSE_S * 2**attempt, _LONGEST_PAUSE_S) * random.uniform(0.5, 1))  # noqa: S311 not cryptographic
        return Connection(**arguments)


class _EncryptedOnly:
    """Answers a server that asks for the password itself, if nobody else can read the answer."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def authenticate(self, _: Any) -> Any:
        """Send the password, and return what the server says to it."""
        connection = self._connection
        if not connection._secure:  # noqa: SLF001 PyMySQL hands the connection to its plugins
            raise pymysql.err.OperationalError(
                CR.CR_AUTH_PLUGIN_ERR, "the server asks for the password in clear text, without encryption"
            )
        connection.write_packet(connection.password + b"\0")
        answer = connection._read_packet()  # noqa: SLF001 the same
        answer.check_error()
        return answer


_IN_CLEAR_TEXT = {b"mysql_clear_password": _EncryptedOnly, b"dialog": _EncryptedOnly}
