"""A database of MariaDB with the words that tests of the source share."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from practicus_assets import MySQL
from practicus_assets.lake.partitions.scope import Scope
from practicus_assets.sources.mysql.relation import MySQLRelation
from tests.servers.mariadb import MariaDB


@dataclass(frozen=True)
class Shop:
    """A database on a server.

    Attributes:
        server: the server.
        database: the database's name.

    """

    server: MariaDB
    database: str

    def system(self, **further: Any) -> MySQL:
        """Return the database as a source."""
        login = {"host": self.server.host, "port": self.server.port, "database": self.database}
        login |= {"user": self.server.user, "password": self.server.password, "connect_attempts": 1}
        return MySQL(**{**login, **further})

    def run(self, *statements: str, parameters: Sequence[Any] | None = None) -> list[tuple[Any, ...]]:
        """Run statements, and return the rows of the last one."""
        rows: list[tuple[Any, ...]] = []
        for statement in statements:
            rows = self.server.execute(statement, parameters, self.database)
        return rows


def read(
    relation: MySQLRelation, scope: Scope | None = None, columns: Sequence[str] | None = None
) -> pa.Table:
    """Return the rows of a relation, read in a session of their own."""
    assert isinstance(relation.system, MySQL)
    with relation.system.session() as session:
        return relation.read(session, scope or Scope(), columns).read_all()
