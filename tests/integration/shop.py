"""A database that tests of sources read, and short words for reading it."""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from practicus_assets.lake.partitions.scope import Scope
from practicus_assets.sources.postgresql.relation import PostgreSQLRelation
from practicus_assets.sources.postgresql.system import PostgreSQL
from tests.servers.postgresql import PostgreSQL as Server

WHOLE = Scope()


def system(server: Server, **settings: Any) -> PostgreSQL:
    """Return a server's database as a system."""
    login: dict[str, Any] = {
        "host": server.host,
        "port": server.port,
        "database": "postgres",
        "user": server.user,
        "password": server.password,
    }
    return PostgreSQL(**{**login, **settings})


def table_of(
    relation: PostgreSQLRelation, scope: Scope = WHOLE, columns: Sequence[str] | None = None
) -> pa.Table:
    """Return the rows of a relation, read in a session of its own; they have the types that it promises."""
    with relation.system.session() as session:
        schema = relation.schema(session)
        found = relation.read(session, scope, columns).read_all()
    assert found.schema == (
        schema if columns is None else pa.schema([schema.field(name) for name in columns])
    )
    return found


def values(relation: PostgreSQLRelation, scope: Scope = WHOLE) -> list[Any]:
    """Return the values of a relation's first column."""
    return table_of(relation, scope).column(0).to_pylist()
