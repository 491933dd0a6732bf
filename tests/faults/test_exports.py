"""Exports are killed and cut off between any two of their steps: old rows or new ones, once after a retry."""

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import pyarrow.parquet as pq
import pytest

from practicus_assets.destinations.destination import Destination
from practicus_assets.destinations.export import Export
from practicus_assets.destinations.systems import destination_of
from practicus_assets.errors import ExportFailed
from practicus_assets.lake.delta.snapshot import Snapshot
from practicus_assets.lake.delta.table import Table
from practicus_assets.sources.files.store import Files
from practicus_assets.sources.mysql.system import MySQL
from practicus_assets.sources.postgresql.system import PostgreSQL
from tests.faults.kills import kill_at_each_syscall
from tests.faults.tally import ROUNDS, Tally
from tests.faults.wire import Cut, Wire
from tests.faults.work import Outcome, attempt
from tests.faults.writer import Writer
from tests.kit import partitions, write
from tests.servers.mariadb import MariaDB as MariaDBServer
from tests.servers.postgresql import PostgreSQL as PostgreSQLServer

Rows = list[tuple[str, int]]
Kind = Literal["postgresql", "mariadb"]
OLD: Rows = [("a", 1), ("a", 2), ("b", 3)]
NEW: Rows = [("a", 7), ("a", 8), ("a", 9), ("b", 3)]
VERSION = 2
STRIDE = 13 if ROUNDS == 1 else 1  # messages between two points


@dataclass(frozen=True)
class Login:
    """Who logs in."""

    user: str
    password: str


@dataclass(frozen=True)
class ExportPlace:
    """A table, and a database of its own that it is exported to."""

    kind: Kind
    table: Table
    database: str
    server: Any
    port: int

    @property
    def destination(self) -> Destination:
        login = {"user": self.server.user, "password": self.server.password}
        where = {"host": "127.0.0.1", "port": self.port, "database": self.database, "connect_attempts": 1}
        system = PostgreSQL if self.kind == "postgresql" else MySQL
        return destination_of(system(**where, **login), wait_s=20)  # type: ignore[arg-type] # of one class

    def __getstate__(self) -> dict[str, Any]:
        """Leave the server's process out of what another process gets."""
        return {**self.__dict__, "server": Login(self.server.user, self.server.password)}

    def __setstate__(self, values: dict[str, Any]) -> None:
        self.__dict__.update(values)

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        if self.kind == "postgresql":
            return list(self.server.execute(statement, self.database))
        return list(self.server.execute(statement, database=self.database))

    def state(self) -> Rows:
        return sorted((str(p), int(n)) for p, n in self.query("SELECT p, n FROM orders"))

    def versions(self) -> list[int]:
        """Return the versions that the markers name."""
        scopes = "scope LIKE '%\"a\"%'"
        return [int(row[0]) for row in self.query(f"SELECT version FROM practicus_exports WHERE {scopes}")]


@dataclass(frozen=True)
class ExportWork:
    """The export of one partition at a version."""

    version: int = VERSION

    def carry_out(self, place: ExportPlace) -> int:
        snapshot = Snapshot.of(place.table, self.version, partitions("a"))
        place.destination.write(Export(place.table, snapshot, "orders", run_id="r"))
        return self.version

    def after(self, before: Rows) -> Rows:
        return NEW


@pytest.fixture
def prepared(tmp_path: Path, request: pytest.FixtureRequest) -> Callable[[Kind], ExportPlace]:
    """Return a function that makes a database which has the old rows, of a table that has new ones."""
    table = Table.at(tmp_path, ["orders"])
    write(table, "a", 1, 2)
    write(table, "b", 3)
    write(table, "a", 7, 8, 9)

    def make(kind: Kind) -> ExportPlace:
        server = request.getfixturevalue(kind)
        name = f"x{uuid.uuid4().hex}"
        server.create_database(name)
        place = ExportPlace(kind, table, name, server, server.port)
        snapshot = Snapshot.of(table, 1, partitions("a", "b"))
        place.destination.write(Export(table, snapshot, "orders", create=True, run_id="r0"))
        assert place.state() == OLD
        return place

    return make


def survived(work: ExportWork, place: ExportPlace, before: Rows) -> str | None:
    """Return what is wrong after an export that did not end well, and after one more attempt."""
    found = place.state()
    if found not in (OLD, NEW):
        return f"a mix: {found}"
    if (found == NEW) != (place.versions() == [VERSION]):
        return f"the marker says {place.versions()} of {found}"
    for outcome in (attempt(work, place), attempt(work, place)):  # type: ignore[arg-type] # another kind of place
        if outcome.kind != "landed":
            return f"a retry failed: {outcome.text}"
        if place.state() != NEW or place.versions() != [VERSION]:
            return f"after a retry: {place.state()}, {place.versions()}"
    return None


@pytest.mark.slow
@pytest.mark.parametrize("cut", get_args(Cut))
@pytest.mark.parametrize("kind", get_args(Kind))
def test_an_export_that_is_cut_off_or_killed_at_any_message_leaves_old_rows_or_new_ones(
    prepared: Callable[[Kind], ExportPlace], tally: Tally, kind: Kind, cut: Cut
) -> None:
    place = prepared(kind)
    work = ExportWork()
    recovered = 0
    with Wire("127.0.0.1", place.port) as wire:
        for number in range(1, 200, STRIDE):
            _back(place)
            outcome = _through(wire, work, place, cut, number)
            hit = wire.hits
            wire.arm()
            if not hit:
                break
            found = place.state()
            problem = None
            if outcome is None:
                problem = None if cut == "kill" else "the process died"
            elif outcome.kind == "landed":
                recovered += 1
                problem = None if found == NEW else f"landed, and there is {found}"
            elif outcome.error != "ExportFailed":
                problem = f"{outcome.error}: {outcome.text}"
            elif outcome.text.endswith("Nothing was written.") and found != OLD:
                problem = f"{outcome.text} And there is {found}"
            elif place.server.password in outcome.text:
                problem = "the password is shown"
            tally.point(f"{kind}, cut {cut} {number}", problem or survived(work, place, OLD))
    tally.settle()
    assert recovered or cut != "after" or STRIDE > 1


def _through(wire: Wire, work: ExportWork, place: ExportPlace, cut: Cut, number: int) -> Outcome | None:
    """Export through a wire that is cut at a message; return how it ended, None if it was killed."""
    there: Any = replace(place, port=wire.own_port)
    if cut != "kill":
        wire.arm(cut, number)
        return attempt(work, there)
    writer = Writer(work, there)
    wire.arm(cut, number, writer.pid)
    writer.go()
    return writer.ended()


def _back(place: ExportPlace) -> None:
    """Bring the old rows back, with their markers."""
    place.query("DELETE FROM practicus_exports WHERE scope_id <> '(lock)'")
    snapshot = Snapshot.of(place.table, 1, partitions("a", "b"))
    place.destination.write(Export(place.table, snapshot, "orders", run_id="r0"))


class Killing(Export):
    """An export that kills its server when half of its rows are on their way."""

    def batches(self) -> Iterator[Any]:
        yield from super().batches()
        self.server.kill()  # type: ignore[attr-defined] # set by the test
        yield from super().batches()


@pytest.mark.slow
@pytest.mark.parametrize("kind", get_args(Kind))
def test_a_server_that_is_killed_mid_export_has_the_old_rows_when_it_is_back(
    tmp_path: Path, kind: Kind
) -> None:
    table = Table.at(tmp_path, ["orders"])
    write(table, "a", 1, 2)
    write(table, "b", 3)
    write(table, "a", 7, 8, 9)
    with PostgreSQLServer() if kind == "postgresql" else MariaDBServer() as server:
        server.create_database("x")
        place = ExportPlace(kind, table, "x", server, server.port)
        old = Snapshot.of(table, 1, partitions("a", "b"))
        place.destination.write(Export(table, old, "orders", create=True))
        export = Killing(table, Snapshot.of(table, VERSION, partitions("a")), "orders")
        object.__setattr__(export, "server", server)
        with pytest.raises(ExportFailed, match=r"went away.*Nothing was written") as raised:
            place.destination.write(export)
        assert server.password not in str(raised.value)
        server.restart()
        assert place.state() == OLD
        ExportWork().carry_out(place)
        assert place.state() == NEW


@pytest.mark.slow
def test_a_process_that_is_killed_at_any_system_call_leaves_one_whole_object(
    tmp_path: Path, tally: Tally
) -> None:
    table = Table.at(tmp_path, ["orders"])
    write(table, "a", 1)
    write(table, "a", 2)

    def fresh() -> tuple[FilePlace, FileWork]:
        place = FilePlace(table, str(tmp_path / uuid.uuid4().hex))
        FileWork(0).carry_out(place)
        return place, FileWork(1)

    def whole(work: FileWork, place: FilePlace, before: Rows) -> str | None:
        if place.state() not in ([("a", 1)], [("a", 2)]):
            return f"a mix: {place.state()}"
        work.carry_out(place)
        return None if place.state() == [("a", 2)] else f"after a retry: {place.state()}"

    kill_at_each_syscall(tally, "files", fresh, whole, syscalls=["rename", "fsync"], stride=lambda _: 1)
    tally.settle()


@dataclass(frozen=True)
class FilePlace:
    """A table, and a folder that it is exported to."""

    table: Table
    root: str

    def state(self) -> Rows:
        rows = pq.read_table(f"{self.root}/orders.parquet").to_pylist()
        return sorted((row["p"], row["n"]) for row in rows)


@dataclass(frozen=True)
class FileWork:
    """The export of a version to one file."""

    version: int

    def carry_out(self, place: FilePlace) -> int:
        snapshot = Snapshot.of(place.table, self.version)
        destination_of(Files(place.root)).write(Export(place.table, snapshot, "orders.parquet"))
        return self.version

    def after(self, before: Rows) -> Rows:
        return [("a", 2)]
