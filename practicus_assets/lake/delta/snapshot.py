"""Snapshots: a table at one pinned version, which nothing can change under its reader."""

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable, QueryBuilder
from deltalake.exceptions import DeltaError

from practicus_assets.errors import SchemaMismatch, StoreFailed, TableNotFound, VersionGone
from practicus_assets.lake.delta.log import entries, landed_ms
from practicus_assets.lake.delta.table import Table
from practicus_assets.lake.partitions.scope import Scope
from practicus_assets.lake.partitions.values import identifier

_ALIAS = "snapshot"
_QUOTED = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*|/\*(?:(?!/\*).)*?\*/""", re.DOTALL)
_IN_ORDER = {"datafusion.execution.target_partitions": "1"}  # more would mix the order of rows


class Snapshot:
    """A table at one version, or the partitions of it that an asset depends on.

    Attributes:
        table_uri: where the table lives.
        version: the pinned version.
        table_id: the id by which Delta knows the table.
        schema: its columns, as Arrow types.
        scope: the partitions that `scan` reads; by default the whole table.

    """

    def __init__(self, table: Table, handle: DeltaTable, scope: Scope | None = None) -> None:
        self.table_uri = table.uri
        self.version = handle.version()
        self.table_id = str(handle.metadata().id)
        self.scope = scope or Scope()
        self._table = table
        self._handle = handle

    @classmethod
    def open(cls, table: Table, version: int | None = None, scope: Scope | None = None) -> "Snapshot":
        """Pin the newest version of a table, or the given one.

        Raises:
            TableNotFound: if there is no table.
            VersionGone: if the log no longer reaches that version.

        """
        return cls(table, table.open(version), scope)

    @classmethod
    def at(cls, table: Table, moment: datetime, scope: Scope | None = None) -> "Snapshot":
        """Pin the newest version that was committed at or before a moment.

        Raises:
            TableNotFound: if there is no table, or there was none then.

        """
        newest = table.open()
        limit_ms = moment.timestamp() * 1000
        oldest_seen = newest.version() + 1
        for entry in entries(table, newest.version()):
            if landed_ms(table, entry) <= limit_ms:
                return cls(
                    table, newest if entry.version == newest.version() else table.open(entry.version), scope
                )
            oldest_seen = entry.version
        if oldest_seen == 0:
            raise TableNotFound(
                f"the Delta table at {table.uri} was first committed after {moment.isoformat()}.",
                "Run again, to read what is there now.",
            )
        # the log before was cleaned up, so it is older
        return cls(table, table.open(oldest_seen - 1), scope)

    @cached_property
    def schema(self) -> pa.Schema:
        """The columns, as Arrow types."""
        return arrow_schema(self._handle)

    @cached_property
    def row_count(self) -> int | None:
        """How many rows the whole table has, by its files' statistics; None if some file has none."""
        actions = pa.table(self._handle.get_add_actions(flatten=True))
        if "num_records" not in actions.column_names or actions["num_records"].null_count:
            return None if actions.num_rows else 0
        return int(pc.sum(actions["num_records"]).as_py() or 0)

    @cached_property
    def partition_rows(self) -> dict[str, int | None]:
        """How many rows each partition of the scope has, by key; None if some file has no statistics."""
        bounds = self.scope.on(self.schema)
        found: dict[str, int | None] = dict.fromkeys(self.scope.keys, 0)
        for row in pa.table(self._handle.get_add_actions(flatten=True)).to_pylist():
            part = bounds.part_of([row[f"partition.{column}"] for column in bounds.columns])
            if part is not None and found:
                before, more = found[self.scope.keys[part]], row.get("num_records")
                found[self.scope.keys[part]] = None if before is None or more is None else before + more
        return found

    def scan(
        self, columns: Sequence[str] | None = None, predicate: str | None = None
    ) -> pa.RecordBatchReader:
        """Stream rows in an order that is the same each time.

        Args:
            columns: the columns to read; all by default. Only these are opened.
            predicate: a SQL condition such as `"shop = 'x' AND amount > 3"`; files that cannot hold a row
                that satisfies it are not opened.

        Raises:
            SchemaMismatch: for a column that the table does not have, or a predicate that is no SQL.
            VersionGone: if files of the pinned version were vacuumed away; raised while reading, too.

        """
        names = list(columns) if columns is not None else self.schema.names
        if not names or len(set(names)) != len(names):
            raise SchemaMismatch(
                f"columns={names} is no selection.", "Name each column that is needed, once."
            )
        unknown = [name for name in names if name not in self.schema.names]
        if unknown:
            raise SchemaMismatch(
                f"{self._table.name} has no columns {unknown}; it has {self.schema.names}.",
                "Mend the list of columns.",
            )
        schema = pa.schema([self.schema.field(name) for name in names])
        scope = self.scope.on(self.schema).predicate()
        source = f"(SELECT * FROM {_ALIAS} WHERE {scope})" if scope else _ALIAS  # noqa: S608 values are literals
        sql = f"SELECT {', '.join(map(identifier, names))} FROM {source}"  # noqa: S608 names are quoted
        if predicate:
            if not _is_one_condition(predicate):
                raise SchemaMismatch(f"{predicate!r} is not one SQL condition.", "Mend the predicate.")
            sql += f" WHERE ({predicate}\n)"  # whatever it says, it stays inside of the scope
        query = QueryBuilder(_IN_ORDER).register(_ALIAS, self._handle)
        try:
            with self._table.reaching("a query"):
                stream = query.execute(sql)
        except StoreFailed as failed:
            if predicate is None or not isinstance(failed.__cause__, DeltaError):
                raise
            raise SchemaMismatch(
                f"{self._table.name} cannot be asked for {predicate!r}: {failed.__cause__}.",
                "Mend the predicate.",
            ) from failed.__cause__
        return pa.RecordBatchReader.from_batches(schema, self._batches(stream, schema))

    def _batches(self, stream: Any, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        try:
            with self._table.reaching("a data file"):
                for batch in pa.RecordBatchReader.from_stream(stream):
                    yield pa.record_batch(
                        [column.cast(f.type) for column, f in zip(batch.columns, schema, strict=True)],
                        schema=schema,
                    )
        except (StoreFailed, pa.ArrowException) as error:
            text = str(error)
            if "not found" in text.lower() or "no such file" in text.lower():
                raise VersionGone(
                    f"version {self.version} of {self._table.name} names a file that is gone: {text[:300]}",
                    "It was vacuumed away. Run again to read the newest version, or keep files for longer.",
                ) from error
            if isinstance(error, StoreFailed):
                raise
            with self._table.reaching("a data file"):  # what delta-rs meets while it streams
                raise DeltaError(text) from error

    def __repr__(self) -> str:
        return f"Snapshot({self.table_uri!r}, version={self.version})"


def _is_one_condition(predicate: str) -> bool:
    """Return whether a predicate cannot leave the parentheses that it is put in."""
    bare = _QUOTED.sub("", predicate)
    depth = 0
    for character in bare:
        depth += (character == "(") - (character == ")")
        if depth < 0 or character in "'\"`$\\;":  # quotes that do not end, or of another dialect
            return False
    return depth == 0


def arrow_schema(handle: DeltaTable) -> pa.Schema:
    """Return a Delta table's columns as plain Arrow types."""
    return pa.schema(handle.schema().to_arrow())
