"""MySQL as a source that cannot be reached, goes away, or is not who it says."""

import re
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pymysql
import pytest

from practicus_assets import MySQL
from practicus_assets.errors import DeclarationError, SourceFailed
from practicus_assets.lake.partitions.scope import Scope
from tests.servers.mariadb import MariaDB
from tests.servers.mariadb_shop import Shop, read


@pytest.fixture(scope="module")
def shop(mariadb: MariaDB) -> Iterator[Shop]:
    mariadb.create_database("failures")
    shop = Shop(mariadb, "failures")
    shop.run(
        "CREATE TABLE wide (id int PRIMARY KEY, note varchar(2000))",
        "INSERT INTO wide SELECT seq, REPEAT('x', 2000) FROM seq_1_to_20000",
    )
    yield shop
    mariadb.execute("DROP DATABASE failures")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of `localhost` that nobody else has signed, with its key beside it."""
    folder = tmp_path_factory.mktemp("certificate")
    made = folder / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-out", str(made)]
    command += ["-keyout", str(folder / "key.pem"), "-subj", "/CN=localhost"]
    subprocess.run([*command, "-addext", "subjectAltName=DNS:localhost"], check=True, capture_output=True)
    return made


@pytest.fixture(scope="module")
def encrypting(certificate: Path) -> Iterator[Shop]:
    """A server of its own, which may be killed, and encrypts."""
    with MariaDB(certificate=certificate) as server:
        server.create_database("failures")
        shop = Shop(server, "failures")
        shop.run(
            "CREATE TABLE wide (id int PRIMARY KEY, note varchar(2000))",
            "INSERT INTO wide SELECT seq, REPEAT('x', 2000) FROM seq_1_to_20000",
        )
        yield shop


def test_a_wrong_password_is_clear_and_shown_nowhere(shop: Shop) -> None:
    system = shop.system(password="not-the-pässword", connect_attempts=9)  # noqa: S106 a wrong one
    with pytest.raises(SourceFailed, match="Check the password of user 'tests'") as refused:
        read(system.table("wide"))
    texts = [repr(system), repr(system.login), repr(system.table("wide"))]
    error: BaseException | None = refused.value
    while error is not None:
        texts += [str(error), repr(error)]
        error = error.__cause__ or error.__context__
    assert not [text for text in texts if "not-the" in text]
    assert "Access denied for user 'tests'" in str(refused.value)


def test_a_server_that_is_not_there_is_tried_again_for_a_while(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("practicus_assets.sources.mysql.connection.time.sleep", pauses.append)
    with closing(socket.socket()) as unused:
        unused.bind(("127.0.0.1", 0))
        system = shop.system(port=unused.getsockname()[1], connect_attempts=4)
        with pytest.raises(SourceFailed, match="Check the host, the port, and whether the server is up"):
            read(system.table("wide"))
    assert len(pauses) == 3
    assert pauses == sorted(pauses)


def test_a_server_that_does_not_answer_is_not_waited_for_without_end(shop: Shop) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        system = shop.system(port=silent.getsockname()[1], read_timeout_s=0.2)
        with pytest.raises(SourceFailed, match=r"Lost connection .*timed out"):
            read(system.table("wide"))


def test_a_query_that_gives_nothing_for_too_long_is_ended(shop: Shop) -> None:
    with pytest.raises(SourceFailed, match="timed out"):
        read(shop.system(read_timeout_s=0.2).query("SELECT SLEEP(3) AS nothing"))


def test_a_database_that_is_not_there_is_named(shop: Shop) -> None:
    with pytest.raises(SourceFailed, match=r"Unknown database 'failure' .*SHOW DATABASES"):
        read(shop.system(database="failure").table("wide"))


def test_a_connection_that_is_killed_while_it_is_read_ends_the_stream(shop: Shop) -> None:
    relation = shop.system(connect_attempts=5).table("wide")
    with relation.system.session() as session:
        stream = relation.read(session, Scope())
        rows = next(stream).num_rows
        _kill(shop)
        with pytest.raises(SourceFailed, match=r"wide cannot be read from mysql://.*run again"):
            rows += sum(batch.num_rows for batch in stream)
        assert 0 < rows < 20_000
        with pytest.raises(SourceFailed, match="has ended"):
            relation.schema(session)


def test_a_stream_that_fails_while_it_is_parked_says_so_and_is_not_cut_short(shop: Shop) -> None:
    relation = shop.system().table("wide")
    with relation.system.session() as session:
        stream = relation.read(session, Scope())
        next(stream)
        _kill(shop)
        with pytest.raises(SourceFailed):
            relation.read(session, Scope())
        with pytest.raises(SourceFailed):
            list(stream)


def test_a_stream_ends_with_its_session(shop: Shop) -> None:
    relation = shop.system().table("wide")
    with relation.system.session() as session:
        stream = relation.read(session, Scope())
        next(stream)
    with pytest.raises(SourceFailed, match="wide cannot be read"):
        list(stream)


def test_a_connection_that_is_lost_before_the_first_row_is_made_anew(shop: Shop) -> None:
    relation = shop.system(connect_attempts=5).table("wide")
    with relation.system.session() as session:
        _kill(shop)
        assert relation.read(session, Scope()).read_all().num_rows == 20_000
        _kill(shop)
        with pytest.raises(SourceFailed):  # another state would be read
            relation.read(session, Scope())


def _kill(shop: Shop) -> None:
    """End all connections that read, and return once the server knows."""
    others = "FROM information_schema.processlist WHERE db = DATABASE() AND id != CONNECTION_ID()"
    for (number,) in shop.run(f"SELECT id {others}"):
        with suppress(pymysql.err.OperationalError):  # it ends by itself
            shop.run(f"KILL CONNECTION {number}")
    while shop.run(f"SELECT id {others}"):
        threading.Event().wait(0.01)


def test_a_server_that_crashes_while_it_is_read_ends_the_stream(encrypting: Shop) -> None:
    relation = encrypting.system(ssl_mode="REQUIRED", connect_attempts=2).table("wide")
    session = relation.system.session()
    with session:
        stream = relation.read(session, Scope())
        next(stream)
        encrypting.server.kill()
        try:
            with pytest.raises(SourceFailed, match="wide cannot be read"):
                list(stream)
        finally:
            encrypting.server.restart()
    assert read(relation).num_rows == 20_000


def test_a_connection_is_encrypted_as_far_as_it_is_asked_for(
    encrypting: Shop, shop: Shop, certificate: Path
) -> None:
    cipher = "SHOW SESSION STATUS LIKE 'Ssl_cipher'"

    def ciphers(system: MySQL) -> list[str]:
        with system.session() as session:
            return [value for _, value in session.rows(cipher, [], "status")]

    assert ciphers(encrypting.system()) != [""]  # PREFERRED
    assert ciphers(encrypting.system(ssl_mode="DISABLED")) == [""]
    named = {"host": "localhost", "ssl_ca": certificate}
    assert ciphers(encrypting.system(ssl_mode="VERIFY_IDENTITY", **named)) != [""]
    assert ciphers(encrypting.system(ssl_mode="VERIFY_CA", ssl_ca=certificate)) != [""]
    for doubtful in (
        encrypting.system(ssl_mode="VERIFY_IDENTITY", ssl_ca=certificate),
        encrypting.system(ssl_mode="VERIFY_IDENTITY", host="localhost"),
    ):
        with pytest.raises(SourceFailed, match=re.escape("ssl_ca")):
            ciphers(doubtful)
    assert ciphers(shop.system()) == [""]  # that server cannot
    with pytest.raises(SourceFailed, match="SSL is required"):
        ciphers(shop.system(ssl_mode="REQUIRED"))


def test_a_password_is_sent_in_clear_text_only_where_nobody_else_can_read_it(shop: Shop) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        heard: list[bytes] = []
        thread = threading.Thread(target=_ask_in_clear_text, args=(listening, heard))
        thread.start()
        system = shop.system(port=listening.getsockname()[1], password="for-nobody-else")  # noqa: S106
        with pytest.raises(SourceFailed, match="clear text"):
            read(system.table("wide"))
        thread.join()
    assert heard
    assert not [text for text in heard if b"for-nobody-else" in text]


def _ask_in_clear_text(listening: socket.socket, heard: list[bytes]) -> None:
    """Play a server without encryption that wants the password itself."""
    connection, _ = listening.accept()
    with connection:
        capabilities = 0x000FA201  # protocol 4.1, secure connection, plugins of logins
        greeting = b"\x0a5.7.0\0" + bytes(4) + b"12345678\0" + capabilities.to_bytes(4, "little")[:2]
        greeting += b"\x2d\x02\x00" + capabilities.to_bytes(4, "little")[2:] + b"\x15" + bytes(10)
        greeting += b"123456789012\0mysql_native_password\0"
        connection.sendall(len(greeting).to_bytes(3, "little") + b"\0" + greeting)
        heard.append(connection.recv(4096))
        switch = b"\xfemysql_clear_password\0"
        connection.sendall(len(switch).to_bytes(3, "little") + b"\x02" + switch)
        heard.append(connection.recv(4096))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"ssl_mode": "VERIFY"}, "Did you mean VERIFY_CA"),
        ({"ssl_ca": "ca.pem"}, "checks no certificate"),
        ({"ssl_cert": "cert.pem"}, "may not encrypt"),
        ({"read_timeout_s": 0}, "read_timeout_s is 0"),
        ({"connect_attempts": 0}, "connect_attempts is 0"),
        ({"passwort": "x"}, "Did you mean password"),
        (
            {"ssl_mode": "VERIFY_CA", "ssl_ca": "/nowhere.pem"},
            "certificates of mysql://db:3306/shop cannot be read",
        ),
        ({"password": Path("/nowhere")}, "password of mysql://db:3306/shop cannot be read"),
    ],
    ids=str,
)
def test_a_declaration_that_cannot_be_meant_is_refused(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(DeclarationError, match=message):
        MySQL(**{"host": "db", "database": "shop", "user": "u", **arguments}).session().__enter__()  # type: ignore[arg-type] # wrong ones
