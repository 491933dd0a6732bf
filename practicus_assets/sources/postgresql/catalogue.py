"""The catalogue: which tables there are, and of which types columns and expressions are."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from practicus_assets.sources.postgresql.session import PostgreSQLSession
from practicus_assets.sources.postgresql.types import Native
from practicus_assets.sources.sql.names import quoted

READABLE = ("r", "v", "m", "f", "p")  # relkinds: tables, views, materialized, foreign and partitioned ones
_MOST_NAMES = 2000

_TABLE = """
SELECT c.oid::int8, n.nspname::text, c.relname::text, c.relkind::text
FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.oid = pg_catalog.to_regclass($1::text)
"""
_COLUMNS = """
SELECT attname::text, atttypid::int8, atttypmod FROM pg_catalog.pg_attribute
WHERE attrelid = $1::text::oid AND attnum > 0 AND NOT attisdropped ORDER BY attnum
"""
_NAMES = f"""
SELECT n.nspname::text, c.relname::text
FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN {READABLE} AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
ORDER BY 1, 2 LIMIT {_MOST_NAMES}
"""
_TYPES = """
WITH RECURSIVE used AS (
    SELECT t.* FROM pg_catalog.pg_type AS t WHERE t.oid = ANY ($1::text::oid[])
    UNION ALL
    SELECT t.* FROM pg_catalog.pg_type AS t JOIN used ON t.oid = CASE
        WHEN used.typtype = 'd' THEN used.typbasetype WHEN used.typcategory = 'A' THEN used.typelem END
)
SELECT DISTINCT oid::int8, typname::text, pg_catalog.format_type(oid, -1), typtype::text, typtypmod,
    CASE WHEN typtype = 'd' THEN typbasetype WHEN typcategory = 'A' THEN typelem ELSE 0 END::int8
FROM used
"""


@dataclass(frozen=True)
class Table:
    """A table as the catalogue has it.

    Attributes:
        oid: its number.
        schema, name: its name.
        kind: its relkind.

    """

    oid: int
    schema: str
    name: str
    kind: str


@dataclass(frozen=True)
class _Type:
    """One row of `pg_type`; `part` is the base type of a domain, and the element of an array."""

    name: str
    spelled: str
    kind: str
    typmod: int
    part: int


def table(session: PostgreSQLSession, parts: Sequence[str]) -> Table | None:
    """Return a table; None if there is none."""
    found = session.rows(_TABLE, ".".join(quoted(part, '"') for part in parts))
    return Table(*found[0]) if found else None


def table_names(session: PostgreSQLSession) -> list[str]:
    """Return the names of the tables that are there, with their schemas."""
    return [f"{schema}.{name}" for schema, name in session.rows(_NAMES)]


def columns_of(session: PostgreSQLSession, oid: int) -> dict[str, Native]:
    """Return the columns of a table in their order, with their types."""
    rows = session.rows(_COLUMNS, str(oid))
    types = _types(session, [type_ for _, type_, _ in rows])
    return {name: _native(type_, typmod, types) for name, type_, typmod in rows}


def types_of(session: PostgreSQLSession, relation: str, expressions: Sequence[str]) -> list[Native]:
    """Return the types of expressions on a relation, which is not read for it.

    Args:
        session: an open session.
        relation: what stands after FROM.
        expressions: the expressions.

    """
    if not expressions:
        return []
    wanted = ", ".join(f"pg_catalog.pg_typeof({each})::oid::int8" for each in expressions)
    [row] = session.rows(f"SELECT {wanted} FROM (VALUES (1)) AS one (one) LEFT JOIN {relation} ON false")
    types = _types(session, row)
    return [_native(oid, -1, types) for oid in row]


def columns_of_query(session: PostgreSQLSession, query: str) -> list[tuple[str, Native]]:
    """Return the columns of a query, which is not run for it; names may come twice."""
    described = session.described(query)
    if not len(described):
        return []
    aliases = [f"c{number}" for number in range(len(described))]
    natives = types_of(session, f"(\n{query}\n) AS query ({', '.join(aliases)})", aliases)
    columns = []
    for field, native in zip(described, natives, strict=True):
        typmod = int((field.metadata or {}).get(b"POSTGRESQL:typmod", b"-1"))
        columns.append((field.name, replace(native, typmod=typmod) if native.typmod < 0 else native))
    return columns


def _types(session: PostgreSQLSession, oids: Sequence[int]) -> dict[int, _Type]:
    wanted = "{" + ",".join(str(oid) for oid in sorted(set(oids))) + "}"
    return {oid: _Type(*row) for oid, *row in session.rows(_TYPES, wanted)}


def _native(oid: int, typmod: int, types: dict[int, _Type]) -> Native:
    found = types[oid]
    if found.kind == "d":
        return _native(found.part, found.typmod if typmod < 0 else typmod, types)
    if not found.part:
        return Native(found.name, found.spelled, found.kind, typmod)
    element = _native(found.part, typmod, types)
    is_wrapped = types[found.part].kind == "d"
    return Native(found.name, found.spelled, found.kind, typmod, element, is_wrapped)
