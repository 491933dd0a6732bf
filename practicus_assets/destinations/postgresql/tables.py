"""Tables of PostgreSQL: what the catalogue says of a target, its creation, and the table of markers."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from practicus_assets.destinations.cells import TargetColumn
from practicus_assets.destinations.destination import MARKERS
from practicus_assets.destinations.export import Export
from practicus_assets.destinations.marker import Marker, Standing
from practicus_assets.destinations.postgresql.types import created_type
from practicus_assets.errors import ExportFailed
from practicus_assets.lake.partitions.recorded import RecordedScope
from practicus_assets.lake.partitions.values import identifier

_MARKER_COLUMNS = (
    "target text NOT NULL, scope_id text NOT NULL, scope text NOT NULL, layout text NOT NULL, "
    "table_name text NOT NULL, table_id text NOT NULL, version bigint NOT NULL, data_version text NOT NULL, "
    "row_count bigint NOT NULL, run_id text NOT NULL, exported_at timestamptz NOT NULL DEFAULT now(), "
    "PRIMARY KEY (target, scope_id)"
)
_TABLE = (
    "SELECT c.oid::bigint, c.relkind::text, has_table_privilege(c.oid, 'SELECT'), "
    "has_table_privilege(c.oid, 'INSERT'), has_table_privilege(c.oid, 'DELETE') "
    "FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
    "WHERE n.nspname = $1 AND c.relname = $2"
)
_COLUMNS = (
    "SELECT a.attname::text, "
    "CASE t.typtype WHEN 'd' THEN format_type(t.typbasetype, t.typtypmod) "
    "ELSE format_type(a.atttypid, a.atttypmod) END, "
    "CASE WHEN coalesce(b.typtype, t.typtype) = 'e' THEN 'enum' "
    "ELSE format_type(coalesce(b.oid, t.oid), NULL) END, "
    "a.attnotnull OR t.typnotnull, "
    "a.atthasdef OR a.attidentity <> '' OR t.typdefault IS NOT NULL, "
    "a.attidentity = 'a' OR a.attgenerated <> '' "
    "FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid "
    "LEFT JOIN pg_catalog.pg_type b ON b.oid = t.typbasetype AND t.typtype = 'd' "
    "WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum"
)
_KINDS = {
    "v": "a view",
    "m": "a materialized view",
    "f": "a foreign table",
    "S": "a sequence",
    "i": "an index",
}


@dataclass(frozen=True)
class Place:
    """A table of a schema; as text, quoted for SQL."""

    schema: str
    table: str

    def __str__(self) -> str:
        return f"{identifier(self.schema)}.{identifier(self.table)}"

    @property
    def markers(self) -> str:
        """The table of markers beside it, quoted for SQL."""
        return f"{identifier(self.schema)}.{identifier(MARKERS)}"


def columns_of(cursor: Any, place: Place) -> tuple[dict[str, TargetColumn], dict[str, str]] | None:
    """Return the columns of a table by name, and the kinds of their types; None if there is no table.

    Raises:
        ExportFailed: if it is no table, or may not be written.

    """
    cursor.execute(_TABLE, (place.schema, place.table))
    tables = cursor.fetchall()
    if not tables:
        return None
    [(oid, kind, *rights)] = tables
    if kind not in {"r", "p"}:
        raise ExportFailed(f"{place} is {_KINDS.get(kind, 'no table')}.", "Export to a table.")
    missing = [name for name, has in zip(("SELECT", "INSERT", "DELETE"), rights, strict=True) if not has]
    if missing:
        raise ExportFailed(
            f"the user of the connection may not {' and '.join(missing)} on {place}.",
            f"Run there: GRANT SELECT, INSERT, DELETE ON {place} TO its user.",
        )
    cursor.execute(_COLUMNS, (oid,))
    columns, kinds = {}, {}
    for name, type_, base, required, filled, generated in cursor.fetchall():
        columns[name] = TargetColumn(name, type_, not required, filled or not required, generated)
        kinds[name] = base.rpartition(".")[2]
    return columns, kinds


def create_table(cursor: Any, export: Export, place: Place) -> None:
    """Make a target that is not there.

    Raises:
        ExportFailed: if the export does not say so.

    """
    names = ", ".join(
        f"{identifier(f.name)} {created_type(f.type, f.name)}{_not_null(export, f)}" for f in export.schema
    )
    if not export.create:
        raise ExportFailed(
            f"there is no table {place}.",
            f"Create it, or let the export do it with create=True: CREATE TABLE {place} ({names}).",
        )
    key = ", ".join(identifier(export.names[name]) for name in export.key)
    cursor.execute(f"CREATE TABLE {place} ({names}{f', PRIMARY KEY ({key})' if key else ''})")
    partition_columns = export.bounds.columns
    if partition_columns and [export.names[name] for name in export.key[:1]] != [partition_columns[0]]:
        cursor.execute(f"CREATE INDEX ON {place} ({', '.join(map(identifier, partition_columns))})")
    for field in export.schema:
        comment = (field.metadata or {}).get(b"comment", b"").decode()
        if comment:
            text = comment.replace("'", "''").replace("\0", "")
            cursor.execute(f"COMMENT ON COLUMN {place}.{identifier(field.name)} IS '{text}'")


def _not_null(export: Export, field: pa.Field) -> str:
    required = {export.names[name] for name in (*export.required, *export.key) if name in export.names}
    return " NOT NULL" if field.name in required or not field.nullable else ""


def has_markers(cursor: Any, place: Place) -> bool:
    """Return whether the schema has its table of markers."""
    cursor.execute(_TABLE, (place.schema, MARKERS))
    return bool(cursor.fetchall())


def markers_statement(place: Place) -> str:
    """Return the statement that makes the table of markers."""
    return f"CREATE TABLE IF NOT EXISTS {place.markers} ({_MARKER_COLUMNS})"


def read_markers(cursor: Any, place: Place) -> list[Marker]:
    """Return the markers of a target."""
    cursor.execute(
        "SELECT scope, layout, table_name, table_id, version, data_version, row_count, run_id "  # noqa: S608 a name
        f"FROM {place.markers} WHERE target = $1",
        (place.table,),
    )
    return [Marker(RecordedScope.from_json(json.loads(scope)), *rest) for scope, *rest in cursor.fetchall()]


def write_markers(cursor: Any, place: Place, markers: Sequence[Marker], stands: Standing) -> None:
    """Replace the markers of an export's partitions, and take back what others said of its rows."""
    among = "scope_id IN (SELECT jsonb_array_elements_text($2::jsonb))"
    if stands.replaced:
        cursor.execute(
            f"DELETE FROM {place.markers} WHERE target = $1 AND {among}",  # noqa: S608 values are bound
            (place.table, json.dumps(stands.replaced)),
        )
    if stands.broken:
        cursor.execute(
            f"UPDATE {place.markers} SET data_version = '' WHERE target = $1 AND {among}",  # noqa: S608 values are bound
            (place.table, json.dumps(stands.broken)),
        )
    rows = {
        "target": [place.table] * len(markers),
        "scope_id": [marker.scope_id for marker in markers],
        "scope": [marker.scope_json for marker in markers],
        "layout": [marker.layout for marker in markers],
        "table_name": [marker.table_name for marker in markers],
        "table_id": [marker.table_id for marker in markers],
        "version": [marker.version for marker in markers],
        "data_version": [marker.data_version for marker in markers],
        "row_count": [marker.rows for marker in markers],
        "run_id": [marker.run_id for marker in markers],
    }
    cursor.adbc_ingest(MARKERS, pa.table(rows), mode="append", db_schema_name=place.schema)
