"""Exports that lose their connection at the COMMIT find out what became of it, or say that nobody knows."""

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pytest

from practicus_assets.destinations.destination import Destination
from practicus_assets.destinations.export import Export, Exported
from practicus_assets.destinations.systems import destination_of
from practicus_assets.errors import ExportFailed
from practicus_assets.lake.delta.snapshot import Snapshot
from practicus_assets.lake.delta.table import Table
from practicus_assets.sources.mysql.system import MySQL
from practicus_assets.sources.postgresql.system import PostgreSQL
from tests.faults.wire import Wire
from tests.kit import partitions, write

OLD = [("a", 1), ("a", 2), ("b", 3)]
NEW = [("a", 7), ("a", 8), ("a", 9), ("b", 3)]
COMMIT = b"COMMIT"


class Armed(Export):
    """An export that does something when its last row is on its way: what follows is its own COMMIT."""

    def batches(self) -> Iterator[pa.RecordBatch]:
        yield from super().batches()
        self.before_commit()  # type: ignore[attr-defined] # set by `to_be_exported`


@dataclass(frozen=True)
class Shop:
    """A database that has the old rows of a table, behind a wire."""

    kind: Literal["postgresql", "mariadb"]
    table: Table
    name: str
    server: Any
    wire: Wire

    @property
    def to(self) -> Destination:
        login = {"user": self.server.user, "password": self.server.password}
        where = {
            "host": "127.0.0.1",
            "port": self.wire.own_port,
            "database": self.name,
            "connect_attempts": 1,
        }
        system = PostgreSQL if self.kind == "postgresql" else MySQL
        return destination_of(system(**where, **login), wait_s=20)  # type: ignore[arg-type] # of one class

    def export(self, before_commit: Callable[[], object] = lambda: None) -> Exported:
        """Export the new rows of the partition `a`."""
        export = Armed(self.table, Snapshot.of(self.table, 2, partitions("a")), "orders", run_id="r")
        object.__setattr__(export, "before_commit", before_commit)
        return self.to.write(export)

    def sql(self, statement: str) -> list[tuple[Any, ...]]:
        return list(self.server.execute(statement, database=self.name))

    def end_sessions(self) -> None:
        """End all others of this database, as an administrator or a shutdown does."""
        if self.kind == "postgresql":
            self.sql(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            return
        for (number,) in self.sql(
            "SELECT id FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()"
        ):
            self.sql(f"KILL CONNECTION {number}")

    def rows(self) -> list[tuple[Any, ...]]:
        return self.sql("SELECT p, n FROM orders ORDER BY p, n")

    def versions(self) -> list[tuple[Any, ...]]:
        """Return the version that the marker of `a` names."""
        return self.sql("SELECT version FROM practicus_exports WHERE scope LIKE '%\"a\"%'")


@pytest.fixture(params=["postgresql", "mariadb"])
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shop]:
    table = Table.at(tmp_path, ["orders"])
    write(table, "a", 1, 2)
    write(table, "b", 3)
    write(table, "a", 7, 8, 9)
    server, name = request.getfixturevalue(request.param), f"x{uuid.uuid4().hex}"
    server.create_database(name)
    with Wire(server.host, server.port) as wire:
        shop = Shop(request.param, table, name, server, wire)
        old = Export(table, Snapshot.of(table, 1, partitions("a", "b")), "orders", create=True, run_id="r0")
        assert shop.to.write(old) == Exported("exported", 3)
        yield shop


def test_a_lost_answer_to_the_commit_is_found_out_over_a_second_connection(shop: Shop) -> None:
    ended = shop.export(lambda: shop.wire.arm("after", COMMIT))
    assert shop.wire.hits == 1
    assert ended == Exported("exported", 3, recovered=True)
    assert (shop.rows(), shop.versions()) == (NEW, [(2,)])
    assert shop.export() == Exported("already there", 3)
    assert shop.rows() == NEW


def test_a_commit_that_never_arrives_wrote_nothing_and_the_next_attempt_exports_once(shop: Shop) -> None:
    with pytest.raises(ExportFailed, match=r"went away.*Nothing was written\.$") as raised:
        shop.export(lambda: shop.wire.arm("before", COMMIT))
    assert shop.wire.hits == 1
    assert raised.value.nothing_written
    assert shop.server.password not in str(raised.value)
    assert (shop.rows(), shop.versions()) == (OLD, [(1,)])
    assert shop.export() == Exported("exported", 3)
    assert (shop.rows(), shop.versions()) == (NEW, [(2,)])


def test_a_session_that_the_server_ends_wrote_nothing_and_the_next_attempt_exports_once(shop: Shop) -> None:
    with pytest.raises(ExportFailed, match=r"went away.*then run again\. Nothing was written\.$") as raised:
        shop.export(shop.end_sessions)
    assert shop.server.password not in str(raised.value)
    assert (shop.rows(), shop.versions()) == (OLD, [(1,)])
    assert shop.export() == Exported("exported", 3)
    assert (shop.rows(), shop.versions()) == (NEW, [(2,)])


@pytest.mark.parametrize("cut", ["before", "after"])
def test_where_nobody_can_ask_again_nobody_knows_and_the_next_attempt_finds_out(
    shop: Shop, cut: Literal["before", "after"]
) -> None:
    with pytest.raises(ExportFailed, match=r"nobody knows whether .*Run again: the next attempt") as raised:
        shop.export(lambda: shop.wire.arm(cut, COMMIT, for_good=True))
    assert shop.wire.hits == 1
    assert not raised.value.nothing_written
    assert "Nothing was written" not in str(raised.value)
    assert shop.server.password not in str(raised.value)
    landed = cut == "after"
    assert (shop.rows(), shop.versions()) == ((NEW, [(2,)]) if landed else (OLD, [(1,)]))
    shop.wire.arm()
    assert shop.export() == Exported("already there" if landed else "exported", 3)
    assert (shop.rows(), shop.versions()) == (NEW, [(2,)])
