"""Snapshots: a table at one pinned version, which nothing can change under its reader."""

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from functools import cached_property
from itertools import chain

import pyarrow as pa
from deltalake.exceptions import DeltaError

from practicus_assets.errors import SchemaMismatch, StoreFailed, TableNotFound
from practicus_assets.lake.delta.conditions import conditions
from practicus_assets.lake.delta.log import entries, landed_ms
from practicus_assets.lake.delta.table import Table, TableVersion
from practicus_assets.lake.partitions.scope import Scope
from practicus_assets.lake.partitions.values import identifier
from practicus_assets.lake.rows.casts import exact_cast
from practicus_assets.lake.rows.samples import sampling

_ALIAS = "snapshot"
_QUOTED = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*|/\*(?:(?!/\*).)*?\*/""", re.DOTALL)


class Snapshot:
    """A table at one version, or the partitions of it that an asset depends on.

    Attributes:
        table_uri: where the table lives.
        version: the pinned version.
        table_id: the id by which Delta knows the table.
        schema: its columns, as Arrow types.
        scope: the partitions that `scan` reads; by default the whole table.
        sample_rows: the number of its rows that people may be shown at most.

    """

    def __init__(self, at: TableVersion, scope: Scope | None = None) -> None:
        self.table_uri = at.table.uri
        self.version = at.version
        self.table_id = at.id
        self.scope = scope or Scope()
        self.sample_rows = at.table.sample_rows
        self._table = at.table
        self._at = at

    @classmethod
    def open(cls, table: Table, version: int | None = None, scope: Scope | None = None) -> "Snapshot":
        """Pin the newest version of a table, or the given one.

        Raises:
            TableNotFound: if there is no table.
            VersionGone: if the log no longer reaches that version.

        """
        return cls(table.open(version), scope)

    @classmethod
    def at(cls, table: Table, moment: datetime, scope: Scope | None = None) -> "Snapshot":
        """Pin the newest version that was committed at or before a moment.

        Raises:
            TableNotFound: if there is no table, or there was none then.

        """
        newest = table.open()
        limit_ms = moment.timestamp() * 1000
        oldest_seen = newest.version + 1
        for entry in entries(table, newest.version):
            if landed_ms(table, entry) <= limit_ms:
                return cls(newest if entry.version == newest.version else table.open(entry.version), scope)
            oldest_seen = entry.version
        if oldest_seen == 0:
            raise TableNotFound(
                f"the Delta table at {table.uri} was first committed after {moment.isoformat()}.",
                "Run again, to read what is there now.",
            )
        # the log before was cleaned up, so it is older
        return cls(table.open(oldest_seen - 1), scope)

    @property
    def schema(self) -> pa.Schema:
        """The columns, as Arrow types."""
        return self._at.schema

    @property
    def row_count(self) -> int | None:
        """How many rows the whole table has, by its files' statistics; None if some file has none."""
        return self._at.row_count

    @cached_property
    def partition_rows(self) -> dict[str, int | None]:
        """How many rows each partition of the scope has, by key; None if some file has no statistics."""
        bounds = self.scope.on(self.schema)
        counts: dict[str, int | None] = dict.fromkeys(self.scope.keys, 0)
        for file in self._at.files() if counts else ():
            part = bounds.part_of(file.values)
            if part is not None:
                before = counts[self.scope.keys[part]]
                counts[self.scope.keys[part]] = (
                    None if before is None or file.rows is None else before + file.rows
                )
        return counts

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
                "Fix the list of columns.",
            )
        schema = pa.schema([self.schema.field(name) for name in names])
        if predicate and not _is_one_condition(predicate):
            raise SchemaMismatch(f"{predicate!r} is not one SQL condition.", "Fix the predicate.")
        queries = [
            _sql(names, scope, predicate) for scope in conditions(self.scope.on(self.schema), self._at)
        ]
        streams = (self._at.query(sql, _ALIAS) for sql in queries)
        try:
            first = next(streams)
        except StoreFailed as failed:
            if predicate is None or not isinstance(failed.__cause__, DeltaError):
                raise
            raise SchemaMismatch(
                f"{self._table.name} cannot be asked for {predicate!r}: {failed.__cause__}.",
                "Fix the predicate.",
            ) from failed.__cause__
        return pa.RecordBatchReader.from_batches(schema, self._batches(chain([first], streams), schema))

    def _batches(
        self, streams: Iterable[pa.RecordBatchReader], schema: pa.Schema
    ) -> Iterator[pa.RecordBatch]:
        with self._table.reading(version=self.version), sampling(self.sample_rows):
            for batch in chain.from_iterable(streams):
                yield pa.record_batch(
                    [exact_cast(c, f.type, f.name) for c, f in zip(batch.columns, schema, strict=True)],
                    schema=schema,
                )

    def __repr__(self) -> str:
        return f"Snapshot({self.table_uri!r}, version={self.version})"


def _sql(names: Sequence[str], scope: str | None, predicate: str | None) -> str:
    """Return a query in which the predicate, whatever it says, stays inside of the scope."""
    source = f"(SELECT * FROM {_ALIAS} WHERE {scope})" if scope else _ALIAS  # noqa: S608 values are literals
    sql = f"SELECT {', '.join(map(identifier, names))} FROM {source}"  # noqa: S608 names are quoted
    return f"{sql} WHERE ({predicate}\n)" if predicate else sql


def _is_one_condition(predicate: str) -> bool:
    """Return whether a predicate cannot leave the parentheses that it is put in."""
    bare = _QUOTED.sub("", predicate)
    depth = 0
    for character in bare:
        depth += (character == "(") - (character == ")")
        if depth < 0 or character in "'\"`$\\;":  # quotes that do not end, or of another dialect
            return False
    return depth == 0
