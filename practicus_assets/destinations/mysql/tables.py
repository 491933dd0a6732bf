"""Tables of MySQL: what its catalogue says of a target, its creation, and the table of markers."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from practicus_assets.destinations.cells import TargetColumn
from practicus_assets.destinations.destination import MARKERS
from practicus_assets.destinations.export import Export
from practicus_assets.destinations.marker import Marker, Standing
from practicus_assets.destinations.mysql.types import created_type
from practicus_assets.errors import ExportFailed
from practicus_assets.lake.partitions.recorded import RecordedScope

LOCK = "(lock)"  # the id of the row by which exports to a target wait for each other
_SOME = 500  # of one statement
_MARKER_COLUMNS = (
    "target varchar(255) NOT NULL, scope_id varchar(64) NOT NULL, scope longtext, layout text, "
    "table_name text, table_id varchar(64), version bigint, data_version varchar(64), row_count bigint, "
    "run_id varchar(64), exported_at timestamp(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6), "
    "PRIMARY KEY (target, scope_id)"
)
_FIELDS = "scope, layout, table_name, table_id, version, data_version, row_count, run_id"
_GENERATED = re.compile(r"\b(virtual|stored|persistent)\b", re.IGNORECASE)
_END = "ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"


@dataclass(frozen=True)
class Place:
    """A table of a database; as text, quoted for SQL."""

    database: str
    table: str

    def __str__(self) -> str:
        return f"{quoted(self.database)}.{quoted(self.table)}"

    @property
    def escaped(self) -> str:
        """The table, quoted for SQL in which PyMySQL looks for `%s`."""
        return str(self).replace("%", "%%")

    @property
    def markers(self) -> str:
        """The table of markers beside it, quoted as `escaped` is."""
        return f"{quoted(self.database)}.{quoted(MARKERS)}".replace("%", "%%")


def quoted(name: str) -> str:
    """Return a name quoted for SQL."""
    return "`" + name.replace("`", "``") + "`"


def columns_of(cursor: Any, place: Place) -> dict[str, TargetColumn] | None:
    """Return the columns of a table by name; None if there is no table.

    Raises:
        ExportFailed: if it is no table, or of an engine without transactions.

    """
    cursor.execute(
        "SELECT table_type, engine FROM information_schema.tables "
        "WHERE table_schema = %s AND table_name = %s",
        (place.database, place.table),
    )
    tables = cursor.fetchall()
    if not tables:
        return None
    [(kind, engine)] = tables
    if kind != "BASE TABLE":
        raise ExportFailed(f"{place} is a {str(kind).lower()}.", "Export to a table.")
    if str(engine).lower() != "innodb":
        raise ExportFailed(
            f"{place} is of the engine {engine}, which has no transactions: readers would see half of it.",
            f"Run there: ALTER TABLE {place} ENGINE=InnoDB.",
        )
    cursor.execute(
        "SELECT column_name, column_type, is_nullable, column_default, extra "
        "FROM information_schema.columns WHERE table_schema = %s AND table_name = %s "
        "ORDER BY ordinal_position",
        (place.database, place.table),
    )
    columns = {}
    for name, type_, nullable, default, extra in cursor.fetchall():
        text = type_.decode() if isinstance(type_, bytes) else type_
        is_nullable = nullable == "YES"
        fills = is_nullable or default is not None or "auto_increment" in extra.lower()
        generated = bool(_GENERATED.search(extra))
        columns[name] = TargetColumn(name, text, is_nullable, fills or generated, generated)
    return columns


def create_statement(export: Export, place: Place) -> str:
    """Return the statement that makes a target.

    Raises:
        ExportFailed: if the export does not say that it makes one.

    """
    required = {export.names[name] for name in (*export.required, *export.key) if name in export.names}
    key = [export.names[name] for name in export.key]
    indexed = {*key, *export.bounds.columns}
    lines = []
    for field in export.schema:
        needed = field.name in required or not field.nullable
        type_ = created_type(field.type, field.name, indexed=field.name in indexed)
        null = "NOT NULL" if needed else "NULL"
        comment = (field.metadata or {}).get(b"comment", b"").decode()[:1000]
        if pa.types.is_timestamp(field.type) and field.type.tz:
            comment = f"{comment} (UTC)".strip()
        text = comment.replace("\\", "\\\\").replace("'", "''").replace("\0", "")
        lines.append(f"{quoted(field.name)} {type_} {null} COMMENT '{text}'")
    if key:
        lines.append(f"PRIMARY KEY ({', '.join(map(quoted, key))})")
    partition_columns = export.bounds.columns
    if partition_columns and key[:1] != [partition_columns[0]]:
        lines.append(f"INDEX ({', '.join(map(quoted, partition_columns))})")
    if not export.create:
        raise ExportFailed(
            f"there is no table {place}, or the user of the connection may not see it.",
            "Create it, or let the export do it with create=True: "
            f"CREATE TABLE {place} ({', '.join(lines)}) {_END}.",
        )
    return f"CREATE TABLE IF NOT EXISTS {place} ({', '.join(lines)}) {_END}"


def markers_statement(place: Place) -> str:
    """Return the statement that makes the table of markers."""
    return f"CREATE TABLE IF NOT EXISTS {place.markers.replace('%%', '%')} ({_MARKER_COLUMNS}) {_END}"


def read_markers(cursor: Any, place: Place) -> list[Marker]:
    """Return the markers of a target."""
    cursor.execute(
        f"SELECT {_FIELDS} FROM {place.markers} WHERE target = %s AND scope_id <> %s",  # noqa: S608 values are bound
        (place.table, LOCK),
    )
    return [Marker(RecordedScope.from_json(json.loads(scope)), *rest) for scope, *rest in cursor.fetchall()]


def write_markers(cursor: Any, place: Place, markers: Sequence[Marker], stands: Standing) -> None:
    """Replace the markers of an export's partitions, and take back what others said of its rows."""
    for begin, scope_ids in (
        (f"DELETE FROM {place.markers}", stands.replaced),  # noqa: S608 values are bound
        (f"UPDATE {place.markers} SET data_version = ''", stands.broken),  # noqa: S608 values are bound
    ):
        for start in range(0, len(scope_ids), _SOME):
            some = list(scope_ids[start : start + _SOME])
            among = ", ".join(["%s"] * len(some))
            cursor.execute(f"{begin} WHERE target = %s AND scope_id IN ({among})", [place.table, *some])
    cursor.executemany(
        f"INSERT INTO {place.markers} (target, scope_id, {_FIELDS}) "  # noqa: S608 values are bound
        "VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        [
            (
                place.table,
                marker.scope_id,
                marker.scope_json,
                marker.layout,
                marker.table_name,
                marker.table_id,
                marker.version,
                marker.data_version,
                marker.rows,
                marker.run_id,
            )
            for marker in markers
        ],
    )
