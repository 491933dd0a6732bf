"""Snapshots: a table at one pinned version, which nothing can change under its reader."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from deltalake.exceptions import DeltaError

from practicus_assets.errors import (
    DeclarationError,
    OutOfScope,
    PracticusAssetsError,
    SchemaMismatch,
    StoreFailed,
    did_you_mean,
    naming,
)
from practicus_assets.lake.delta.conditions import queries, refuse_no_condition, refused_predicate
from practicus_assets.lake.delta.data_file import DataFile, by_part, row_count
from practicus_assets.lake.delta.log import opened_at
from practicus_assets.lake.delta.notebooks.answer import Answer, Select, alias_of
from practicus_assets.lake.delta.notebooks.html import snapshot_html
from practicus_assets.lake.delta.table import Table, TableVersion
from practicus_assets.lake.partitions.scope import Partition, Scope
from practicus_assets.lake.rows.casts import exact_cast
from practicus_assets.lake.rows.frames import RowSource, polars_frame, read_as
from practicus_assets.lake.rows.samples import sampling
from practicus_assets.parameters import named_parameters
from practicus_assets.wording import names_of

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

_NO_VERSION = 2**63  # the Delta protocol counts versions in 64 bits


class Snapshot(RowSource):
    """A table at one version, or some of its partitions.

    An asset gets one for an input that it annotates with `Snapshot`; other programs open one by the table's
    place:

        orders = Snapshot.open("s3://bucket/lake/orders", storage_options=options, partitions=["2024-01-01"])
        frame = orders.to_pandas(columns=["order_id", "amount"], predicate="amount > 1000")

    Whatever takes Arrow streams takes a snapshot as it is: `pl.DataFrame(orders)`, `pa.table(orders)`,
    `duckdb.sql("SELECT sum(amount) FROM orders")`.

    Attributes:
        table_uri: the place of the table.
        version: the pinned version.
        table_id: the id by which Delta knows the table.
        schema: the table's columns, as Arrow types.
        scope: the partitions that are read; by default the whole table.
        sample_rows: the number of its rows that errors show at most.

    """

    def __init__(self, at: TableVersion, scope: Scope | None = None, *, no_rows: bool = False) -> None:
        self.table_uri = at.table.uri
        self.version = at.version
        self.table_id = at.id
        self.scope = scope or Scope()
        self.sample_rows = at.table.sample_rows
        self._table = at.table
        self._at = at
        self._no_rows = no_rows

    @classmethod
    @named_parameters
    def open(
        cls,
        table_uri: str | os.PathLike[str],
        version: int | datetime | None = None,
        *,
        partitions: Iterable[Partition] | None = None,
        storage_options: Mapping[str, str] | None = None,
    ) -> "Snapshot":
        """Pin a table at its newest version, or at the given one.

            Snapshot.open("lake/orders", 7)
            Snapshot.open("lake/orders", datetime(2024, 1, 1, tzinfo=UTC))
            Snapshot.open("lake/orders", partitions=["2024-01-01", "2024-01-02"])
            Snapshot.open("lake/visits", partitions=[{"day": date(2024, 1, 1), "shop": "Ankara"}])

        Args:
            table_uri: the table's folder, or its prefix in an object store, such as
                `s3://bucket/lake/orders`.
            version: the version's number, or a moment with a time zone: then the newest version that had
                landed by then, by the store's clock.
            partitions: the partitions to read, all by default and none for an empty list. Each is a mapping
                from partition column to value, all of them with the same columns; where the table has one
                partition column, the values alone will do.
            storage_options: delta-rs's own, e.g. `AWS_REGION`.

        Raises:
            TableNotFound: if there is no table, or there was none at that moment.
            VersionGone: if the log no longer reaches that version.
            OutOfScope: for partitions that the table cannot have.
            DeclarationError: for a place, a version or partitions that are none.

        """
        table = Table.from_uri(table_uri, storage_options)
        with naming(table.name):
            return cls.of_partitions(opened(table, version), partitions)

    @classmethod
    def of(
        cls, table: Table, version: int | datetime | None = None, scope: Scope | None = None
    ) -> "Snapshot":
        """Pin a table of a lake as `open` does, with the partitions as a scope."""
        return cls(opened(table, version), scope)

    @classmethod
    def of_partitions(cls, at: TableVersion, partitions: Iterable[Partition] | None) -> "Snapshot":
        """Return partitions of a version of a table, given as `open` takes them.

        Raises:
            OutOfScope: for partitions that the table cannot have.
            DeclarationError: for partitions that are none.

        """
        if partitions is None:
            return cls(at)
        scope = Scope.of(partitions, at.partition_by)
        if scope is None:
            return cls(at, no_rows=True)
        try:
            scope.on(at.schema)
        except OutOfScope as error:
            raise OutOfScope(error.problem, "Give each partition by a value of its column.") from error
        return cls(at, scope)

    def without_rows(self) -> "Snapshot":
        """Return the same version with its columns, of which no row is read."""
        return self._alike(self.scope, no_rows=True)

    def _alike(self, scope: Scope, *, no_rows: bool = False) -> "Snapshot":
        return Snapshot(self._at, scope, no_rows=no_rows)

    def by_partition(self, *, with_rows: bool = False) -> dict[str, "Snapshot"]:
        """Return a snapshot of each partition of the scope at this version, by key.

        Args:
            with_rows: whether partitions that have no rows are left out.

        """
        if self._no_rows:
            return {}
        scopes = (
            Scope(self.scope.columns, (part,), (key,))
            for key, part in zip(self.scope.keys, self.scope.parts, strict=True)
        )
        parts = {scope.keys[0]: self._alike(scope) for scope in scopes}
        return {k: part for k, part in parts.items() if not with_rows or self.partition_rows[k] != 0}

    @property
    def schema(self) -> pa.Schema:
        """The columns, as Arrow types."""
        return self._at.schema

    @property
    def row_count(self) -> int | None:
        """How many rows `scan()` reads, by the log; None if the log does not say it of some file."""
        if self._no_rows:
            return 0
        if self.scope.is_whole_table:
            return self._at.row_count
        if not self._is_partitioned_so:
            return None
        counts = [count for count in self.partition_rows.values() if count is not None]
        return sum(counts) if len(counts) == len(self.partition_rows) else None

    @property
    def _is_partitioned_so(self) -> bool:
        """Whether each file is of one partition of the scope: a table may have its columns as others."""
        return set(self.scope.columns) <= set(self._at.partition_by)

    @property
    def table_row_count(self) -> int | None:
        """How many rows the whole table has, by the log; None if the log does not say it of some file."""
        return self._at.row_count

    @property
    def table_size(self) -> int:
        """How many bytes the data files of the whole table have."""
        return self._at.size

    @property
    def table_files(self) -> Sequence[DataFile]:
        """The data files of the whole table."""
        return self._at.files()

    @cached_property
    def partition_files(self) -> dict[str, list[DataFile]]:
        """The data files of each partition of the scope, by key."""
        if not self.scope.keys:
            return {}
        files = by_part(self._at.files, self.scope.on(self.schema))
        return {key: files.get(number, []) for number, key in enumerate(self.scope.keys)}

    @cached_property
    def partition_rows(self) -> dict[str, int | None]:
        """How many rows each partition of the scope has, by key; None if the log does not say it."""
        if not self._is_partitioned_so:
            return dict.fromkeys(self.scope.keys)
        return {key: row_count(files) for key, files in self.partition_files.items()}

    @named_parameters
    def scan(
        self, columns: Sequence[str] | None = None, predicate: str | None = None
    ) -> pa.RecordBatchReader:
        """Stream rows in an order that is the same each time.

            for batch in orders.scan(["order_id"], "amount > 1000"):
                ...

        Args:
            columns: the columns to read; all by default. No other column of a file is opened.
            predicate: a SQL condition such as `"shop = 'x' AND amount > 3"`; files that cannot hold a row
                that satisfies it are not opened.

        Raises:
            SchemaMismatch: for a column that the table does not have, or a predicate that is no SQL.
            VersionGone: if files of the pinned version were vacuumed away; raised while reading, too.

        """
        names = self._selected(columns)
        schema = pa.schema([self.schema.field(name) for name in names])
        refuse_no_condition(predicate)
        streams = self._streams(names, predicate)
        try:
            first = next(streams)
        except StoreFailed as failed:
            if predicate is None or not isinstance(failed.__cause__, DeltaError):
                raise
            with naming(self._table.name):
                raise refused_predicate(predicate, self.schema.names, failed.__cause__) from failed.__cause__
        return pa.RecordBatchReader.from_batches(schema, self._batches(chain([first], streams), schema))

    def _streams(self, names: Sequence[str], predicate: str | None) -> Iterator[pa.RecordBatchReader]:
        """Return streams of these columns of the rows, in an order that is the same each time."""
        bounds = self.scope.on(self.schema) if not self._no_rows else None
        return self._at.select(names, bounds, predicate)

    def _selected(self, columns: Any) -> list[str]:
        """Return the names of the columns to read."""
        if columns is None:
            return list(self.schema.names)
        if isinstance(columns, str) or not isinstance(columns, Iterable):
            raise DeclarationError(f"columns={columns!r} is no list.", f"Write columns=[{columns!r}].")
        names = list(columns)
        if not names or len(set(map(str, names))) != len(names):
            raise SchemaMismatch(
                f"columns={names} is no selection.", "Name each column that is needed, once."
            )
        unknown = [name for name in names if name not in self.schema.names]
        if unknown:
            raise SchemaMismatch(
                f"{self._table.name} has no {names_of('column', unknown)}; it has {self.schema.names}.",
                did_you_mean(unknown[0], self.schema.names, "Fix the list of columns."),
            )
        return names

    @named_parameters
    def to_arrow(self, columns: Sequence[str] | None = None, predicate: str | None = None) -> pa.Table:
        """Return rows as an Arrow table; arguments and errors are those of `scan`."""
        return self.scan(columns, predicate).read_all()

    @named_parameters
    def to_pandas(self, columns: Sequence[str] | None = None, predicate: str | None = None) -> "pd.DataFrame":
        """Return rows as a pandas DataFrame, as an asset's input has them; see `scan` for the arguments.

        Every column keeps its values and its type: an integer column with nulls is `Int64`, not floats.
        """
        frame: pd.DataFrame = read_as(self.scan(columns, predicate), None)
        return frame

    @named_parameters
    def to_polars(self, columns: Sequence[str] | None = None, predicate: str | None = None) -> "pl.DataFrame":
        """Return rows as a polars DataFrame; arguments and errors are those of `scan`.

        Raises:
            DeclarationError: if polars is not installed.

        """
        frame: pl.DataFrame = polars_frame(self.scan(columns, predicate))
        return frame

    def sql(self, query: str) -> Answer:
        """Return what a SQL query answers, in which these rows have the name of the table.

            orders.sql("SELECT shop, sum(amount) AS total FROM orders GROUP BY shop").to_pandas()

        Args:
            query: one SELECT, or WITH and a SELECT, in the SQL of DataFusion, which comes with delta-rs. It
                reads the columns and files that it needs, when the answer is asked for.

        Raises:
            SchemaMismatch: if it is no query, or names a table or a column that is not there.

        """
        return Answer(query, self._table, self.schema.names, self._selects())

    def _selects(self) -> list[Select]:
        """Return the SELECTs that together read the rows."""
        bounds = self.scope.on(self.schema) if not self._no_rows else None
        at, alias = self._at, alias_of(0)
        read = queries(self.schema.names, bounds, None, at.partition_by, at.present_values, alias=alias)
        return [(at, alias, read)]

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Give all rows to whoever takes Arrow streams (the Arrow PyCapsule interface).

        The table is not read before the first batch is asked for: DuckDB takes streams only for their schema.
        """
        reader = pa.RecordBatchReader.from_batches(self.schema, self._rows())
        return reader.__arrow_c_stream__(requested_schema)

    def _rows(self) -> Iterator[pa.RecordBatch]:
        yield from self.scan()

    def _batches(
        self, streams: Iterable[pa.RecordBatchReader], schema: pa.Schema
    ) -> Iterator[pa.RecordBatch]:
        with self._table.reading(version=self.version), sampling(self.sample_rows):
            for batch in chain.from_iterable(streams):
                yield pa.record_batch(
                    [exact_cast(c, f.type, f.name) for c, f in zip(batch.columns, schema, strict=True)],
                    schema=schema,
                )

    def _repr_html_(self) -> str:
        return snapshot_html(self._table.name, repr(self), self.schema)

    def __repr__(self) -> str:
        parts = [repr(self.table_uri), f"version={self.version}"]
        if not self.scope.is_whole_table:
            parts.append(f"partitions=[{self.scope}]")
        try:
            rows = self.row_count
        except PracticusAssetsError:  # a repr is asked for where errors are shown
            rows = None
        return f"Snapshot({', '.join(parts)}, rows={'unknown' if rows is None else rows})"


def opened(table: Table, version: int | datetime | None) -> TableVersion:
    """Open the newest version, the given one, or the newest that had landed at a moment; see `open`."""
    if isinstance(version, datetime):
        return opened_at(table, version)
    if version is not None and (type(version) is not int or not 0 <= version < _NO_VERSION):
        raise DeclarationError(
            f"version={version!r} is no version.", "Give its number, from 0, or a datetime with a time zone."
        )
    return table.open(version)
