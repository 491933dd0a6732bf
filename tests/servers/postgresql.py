"""PostgreSQL: a server of one's own, from the programs that Debian's package brings."""

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import psycopg2

from tests.servers.ports import free_port
from tests.servers.server import Server

_PROGRAMS = Path("/usr/lib/postgresql")  # where Debian puts them, by major version
_USER = "tests"


class PostgreSQL(Server):
    """A server with a fresh folder and a password of its own; a context manager.

    It runs as `nobody` where the tests run as root, for PostgreSQL refuses to be root.

    Args:
        address: where it listens.

    """

    user = _USER

    def __init__(self, address: str = "127.0.0.1") -> None:
        super().__init__(address)
        self.password = secrets.token_hex(20)
        self._folder = Path()

    def start(self) -> None:
        """Start the server, and return once it answers."""
        owner = _owner()
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
        self.port = free_port(self.address)
        self._launch()

    def restart(self) -> None:
        """Start the server again, on the same port and with the same data, after `kill`."""
        self._launch()

    def kill(self) -> None:
        """End all processes of the server at once, as a crash does; its data stay."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(signal.SIGSTOP)  # or it would start others meanwhile
        children = (
            Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text(encoding="ascii").split()
        )
        for pid in (process.pid, *map(int, children)):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()
        while any(map(_runs, children)):  # a server does not start beside the rest of another one
            time.sleep(0.01)

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

    def dagster_storage(self, host: str = "", password: Any = None) -> dict[str, Any]:
        """Make a database, and return how `dagster.yaml` says that an instance is kept in it.

        Args:
            host: where the server is found, if not where it listens.
            password: what stands in place of it, e.g. `{"env": "INSTANCE_PASSWORD"}`.

        """
        name = f"d{uuid.uuid4().hex}"
        self.create_database(name)
        database = {
            "scheme": "postgresql+psycopg2",  # SQLAlchemy reads "postgresql" as psycopg 3
            "hostname": host or self.host,
            "port": self.port,
            "username": self.user,
            "password": password or self.password,
            "db_name": name,
        }
        return {"storage": {"postgres": {"postgres_db": database}}}

    def execute(self, statement: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Run one statement, and return its rows, if it has any."""
        parts = {"host": self.host, "port": self.port, "user": _USER, "password": self.password}
        with closing(psycopg2.connect(**parts, dbname=database)) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(statement)
                return cursor.fetchall() if cursor.description else []

    def _launch(self) -> None:
        run = [_program("postgres"), "-D", self._folder / "data", "-p", str(self.port), "-k", self._folder]
        run += ["-c", f"listen_addresses={self.address}", "-c", "fsync=off"]
        self._run(run, self._folder, self._folder / "log", _owner())

    def _ask(self) -> None:
        self.execute("SELECT 1")


def _owner() -> int | None:
    return pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else None


def _runs(pid: str) -> bool:
    """Return whether a process has not ended; one that nobody has waited for has."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in {"Z", "X"}


def _program(name: str) -> Path:
    found = sorted(_PROGRAMS.glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
    if not found:
        raise FileNotFoundError(f"no {name} under {_PROGRAMS}: apt install postgresql")
    return found[-1]
