"""Facts about PyMySQL and MySQL's protocol that the source relies on."""

import inspect
from contextlib import closing
from typing import Any

import pymysql
import pytest
from pymysql.constants import COMMAND, CR, ER
from pymysql.cursors import SSCursor
from pymysql.protocol import FieldDescriptorPacket, MysqlPacket

from tests.servers.mariadb import MariaDB


@pytest.fixture
def connection(mariadb: MariaDB) -> Any:
    login: dict[str, Any] = {"host": mariadb.host, "port": mariadb.port, "user": mariadb.user}
    with closing(pymysql.connect(**login, password=mariadb.password)) as connection:
        yield connection


def test_the_text_protocol_cuts_floats_and_the_binary_one_does_not(connection: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE mysql.floats (f float)")
        cursor.execute("INSERT INTO mysql.floats VALUES (16777217), (0.123456789)")
        cursor.execute("SELECT f FROM mysql.floats")
        assert cursor.fetchall() == ((16777200.0,), (0.123457,))
        cursor.execute("SELECT f + 0e0 FROM mysql.floats")
        assert cursor.fetchall() == ((16777216.0,), (0.12345679104328156,))


def test_values_are_written_into_statements_by_pymysql_itself(connection: Any) -> None:
    with connection.cursor() as cursor:
        assert cursor.mogrify("SELECT %s", ["a'b"]) == "SELECT 'a\\'b'"


def test_what_the_source_extends_is_there(connection: Any) -> None:
    for name in ("_execute_command", "_read_packet", "_force_close", "write_packet"):
        assert callable(getattr(connection, name))
    assert list(inspect.signature(connection._execute_command).parameters) == ["command", "sql"]
    assert list(inspect.signature(connection._read_packet).parameters) == ["packet_type"]
    assert connection._secure is False
    assert connection._closed is False
    assert (COMMAND.COM_STMT_PREPARE, COMMAND.COM_STMT_EXECUTE, COMMAND.COM_STMT_CLOSE) == (0x16, 0x17, 0x19)
    assert (CR.CR_SERVER_LOST, ER.NO_SUCH_TABLE) == (2013, 1146)
    assert callable(MysqlPacket.read_length_encoded_integer)
    source = inspect.getsource(FieldDescriptorPacket)
    for name in ("name", "charsetnr", "length", "type_code", "flags", "scale"):
        assert f"self.{name}" in source


def test_what_pymysql_has_read_ahead_is_taken_at_once(connection: Any) -> None:
    with connection.cursor(SSCursor) as cursor:
        cursor.execute("SELECT 1 UNION SELECT 2")
        ahead = connection._rfile.read1(8192)
        assert len(ahead) == 2 * 6 + 9  # two rows, and the end
        connection._result.unbuffered_active = False  # PyMySQL knows nothing of it
