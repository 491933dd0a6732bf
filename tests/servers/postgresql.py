"""PostgreSQL: a server of one's own, from the programs that Debian's package brings."""

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psycopg2

_PROGRAMS = Path("/usr/lib/postgresql")  # where Debian puts them, by major version
_START_S = 60
_USER = "tests"


class PostgreSQL:
    """A server with a fresh folder and a password of its own; a context manager.

    It runs as `nobody` where the tests run as root, for PostgreSQL refuses to be root.

    Args:
        address: where it listens.

    """

    user = _USER

    def __init__(self, address: str = "127.0.0.1") -> None:
        self.address = address
        self.password = secrets.token_hex(20)
        self.port = 0
        self._folder = Path()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the server, and return once it answers."""
        owner = pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else None
        self._folder = Path(tempfile.mkdtemp(prefix="postgresql."))  # pytest's folders are closed to others
        password = self._folder / "password"
        password.write_text(self.password, encoding="utf-8")
        if owner is not None:
            for path in (self._folder, password):
                os.chown(path, owner, -1)
        data = self._folder / "data"
        initialize = [_program("initdb"), f"--pgdata={data}", f"--username={_USER}", f"--pwfile={password}"]
        initialize += ["--auth=scram-sha-256", "--encoding=UTF8", "--no-locale", "--no-sync"]
        subprocess.run(initialize, user=owner, cwd=self._folder, check=True, capture_output=True)
        with (data / "pg_hba.conf").open("a") as access:
            access.write("host all all all scram-sha-256\n")
        with socket.socket() as probe:
            probe.bind((self.address, 0))
            self.port = int(probe.getsockname()[1])
        run = [_program("postgres"), "-D", data, "-p", str(self.port), "-k", self._folder]
        run += ["-c", f"listen_addresses={self.address}", "-c", "fsync=off"]
        with (self._folder / "log").open("wb") as log:
            self._process = subprocess.Popen(run, user=owner, cwd=self._folder, stdout=log, stderr=log)
        try:
            self._wait_until_ready(self._process)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop the server, and remove its folder."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGINT)  # a fast shutdown: clients are cut off
            process.wait()
            shutil.rmtree(self._folder)

    def create_database(self, name: str) -> None:
        """Make an empty database."""
        self.execute(f'CREATE DATABASE "{name}"')

    def execute(self, statement: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Run one statement, and return its rows, if it has any."""
        host = "127.0.0.1" if self.address == "0.0.0.0" else self.address  # noqa: S104
        parts = {"host": host, "port": self.port, "user": _USER, "password": self.password}
        with closing(psycopg2.connect(**parts, dbname=database)) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(statement)
                return cursor.fetchall() if cursor.description else []

    def _wait_until_ready(self, process: "subprocess.Popen[bytes]") -> None:
        deadline = time.monotonic() + _START_S
        while True:
            try:
                self.execute("SELECT 1")
            except psycopg2.OperationalError as error:
                if process.poll() is not None or time.monotonic() > deadline:
                    log = (self._folder / "log").read_text(errors="replace")[-2000:]
                    raise RuntimeError(f"PostgreSQL did not start: {log}") from error
                time.sleep(0.1)
            else:
                return

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _program(name: str) -> Path:
    found = sorted(_PROGRAMS.glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
    if not found:
        raise FileNotFoundError(f"no {name} under {_PROGRAMS}: apt install postgresql")
    return found[-1]
