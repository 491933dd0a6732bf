"""MariaDB: a server of one's own, from the programs that Debian's package brings."""

import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pymysql

from tests.servers.ports import free_port
from tests.servers.server import Server

_USER = "tests"


class MariaDB(Server):
    """A server with a fresh folder, one user who may do all, and a password of its own; a context manager.

    It runs as `nobody` where the tests run as root, and reads none of the machine's option files.

    Args:
        address: where it listens.
        certificate: the file of a certificate, beside which is its `key.pem`; with it, the server encrypts.

    """

    user = _USER

    def __init__(self, address: str = "127.0.0.1", certificate: Path | None = None) -> None:
        super().__init__(address)
        self.password = secrets.token_hex(20)
        self._certificate = certificate
        self._folder = Path()
        self._data = Path()

    def start(self) -> None:
        """Make a folder, start the server in it, and return once it answers."""
        owner = _owner()
        self._folder = Path(tempfile.mkdtemp(prefix="mariadb."))  # pytest's folders are closed to others
        self._data = self._folder / "data"
        self._temporary.mkdir()
        users = self._folder / "users.sql"
        users.write_text(
            f"CREATE USER '{_USER}'@'%' IDENTIFIED BY '{self.password}';\n"
            f"GRANT ALL PRIVILEGES ON *.* TO '{_USER}'@'%' WITH GRANT OPTION;\n",
            encoding="utf-8",
        )
        users.chmod(0o600)
        if self._certificate is not None:
            shutil.copy(self._certificate, self._folder / "certificate")
            shutil.copy(self._certificate.with_name("key.pem"), self._folder / "key")
        if owner is not None:
            for path in (self._folder, *self._folder.iterdir()):
                os.chown(path, owner, -1)
        initialize: list[str | Path] = [_program("mariadb-install-db"), "--no-defaults"]
        initialize += [f"--datadir={self._data}", f"--tmpdir={self._temporary}"]
        initialize += ["--skip-test-db", "--skip-name-resolve"]
        subprocess.run(initialize, user=owner, cwd=self._folder, check=True, capture_output=True)
        self.port = free_port(self.address)
        self._launch(f"--init-file={users}")

    @property
    def _temporary(self) -> Path:
        """Where its temporary tables lie: a server that starts deletes all that lie where its own do."""
        return self._folder / "temporary"

    def restart(self) -> None:
        """Start the server again, on the same port and with the same data, after `kill`."""
        self._launch()

    def kill(self) -> None:
        """End the server as a crash does; its data stay."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()

    def stop(self) -> None:
        """Stop the server, and remove its folder."""
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            process.wait()
        if self._folder.name:
            shutil.rmtree(self._folder, ignore_errors=True)

    def create_database(self, name: str) -> None:
        """Make an empty database."""
        self.execute(f"CREATE DATABASE `{name}`")

    def execute(
        self, statement: str, parameters: Sequence[Any] | None = None, database: str | None = None
    ) -> list[tuple[Any, ...]]:
        """Run one statement, and return its rows, if it has any."""
        with closing(self._connect(database)) as connection, connection.cursor() as cursor:
            cursor.execute(statement, parameters)
            return list(cursor.fetchall())

    def execute_many(self, statement: str, rows: Sequence[Sequence[Any]], database: str) -> None:
        """Run an INSERT for many rows."""
        with closing(self._connect(database)) as connection, connection.cursor() as cursor:
            cursor.executemany(statement, rows)

    def _connect(self, database: str | None) -> "pymysql.connections.Connection[Any]":
        return pymysql.connect(
            host=self.host,
            port=self.port,
            user=_USER,
            password=self.password,
            database=database,
            autocommit=True,
        )

    def _launch(self, *options: str) -> None:
        run: list[str | Path] = [_program("mariadbd"), "--no-defaults", f"--datadir={self._data}"]
        run += [
            f"--tmpdir={self._temporary}",
            f"--bind-address={self.address}",
            f"--port={self.port}",
            f"--socket={self._folder / 'socket'}",
        ]
        run += ["--skip-name-resolve", "--innodb-flush-log-at-trx-commit=2", "--innodb-buffer-pool-size=32M"]
        if self._certificate is not None:
            run += [f"--ssl-cert={self._folder / 'certificate'}", f"--ssl-key={self._folder / 'key'}"]
        run += options
        self._run(run, self._folder, self._folder / "log", _owner())

    def _ask(self) -> None:
        self.execute("SELECT 1")


def _owner() -> int | None:
    return pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else None


def _program(name: str) -> str:
    program = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    if program is None:
        raise FileNotFoundError(f"no {name}: apt install mariadb-server")
    return program
