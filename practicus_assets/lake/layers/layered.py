"""Layered snapshots: a table of an own root over that of its base, each at one pinned version."""

from collections.abc import Iterator, Sequence
from functools import cached_property

import pyarrow as pa

from practicus_assets.errors import SchemaMismatch
from practicus_assets.lake.delta.conditions import queries
from practicus_assets.lake.delta.data_file import DataFile, row_count
from practicus_assets.lake.delta.notebooks.answer import Select, alias_of
from practicus_assets.lake.delta.snapshot import Snapshot
from practicus_assets.lake.delta.table import TableVersion
from practicus_assets.lake.layers.claims import Claims
from practicus_assets.lake.partitions.bounds import Bounds
from practicus_assets.lake.partitions.scope import Scope
from practicus_assets.lake.rows.casts import exact_batch
from practicus_assets.wording import names_of


class LayeredSnapshot(Snapshot):
    """The rows of an own table, and those of its base in the scopes that the own table has not.

    Its `version`, `table_uri` and `table_id` are those of the own table.

    Args:
        own: the own table at its version.
        base: the base's table at its pinned version.
        claims: the scopes that the own table has.
        scope: the partitions to read; by default the whole table.
        no_rows: whether no row is read.

    Raises:
        SchemaMismatch: if the two have a column with different types.

    """

    def __init__(
        self,
        own: TableVersion,
        base: TableVersion,
        claims: Claims,
        scope: Scope | None = None,
        *,
        no_rows: bool = False,
    ) -> None:
        super().__init__(own, scope, no_rows=no_rows)
        self._base = base
        self._claims = claims
        self._schema = _merged(own, base)

    def _alike(self, scope: Scope, *, no_rows: bool = False) -> Snapshot:
        return LayeredSnapshot(self._at, self._base, self._claims, scope, no_rows=no_rows)

    @property
    def schema(self) -> pa.Schema:
        """The columns of both, as Arrow types; what one of them lacks is null there."""
        return self._schema

    @property
    def row_count(self) -> int | None:
        """How many rows `scan()` reads, by the two logs; None if they do not say it."""
        if self.scope.is_whole_table and not self._no_rows:
            return self.table_row_count
        return super().row_count

    @property
    def table_row_count(self) -> int | None:
        """How many rows the whole table has, by the two logs; None if they do not say it."""
        own, kept = self._at.row_count, self._kept_files
        below = row_count(kept) if kept is not None else None
        return None if own is None or below is None else own + below

    @property
    def table_size(self) -> int:
        """How many bytes the data files of the whole table have in both folders."""
        kept = self._kept_files
        return self._at.size + (self._base.size if kept is None else sum(file.size for file in kept))

    @property
    def _is_partitioned_so(self) -> bool:
        columns = set(self.scope.columns)
        return self._kept_files is not None and all(columns <= set(at.partition_by) for at in self._layers)

    @cached_property
    def partition_files(self) -> dict[str, list[DataFile]]:
        """The data files of each partition of the scope in both folders, by key."""
        files: dict[str, list[DataFile]] = {key: [] for key in self.scope.keys}
        for at, of_layer in ((self._at, self._at.files()), (self._base, self._kept_files or ())):
            bounds = self.scope.on(at.schema)
            for file in of_layer if files else ():
                part = bounds.part_of(file.values)
                if part is not None:
                    files[self.scope.keys[part]].append(file)
        return files

    @cached_property
    def _kept_files(self) -> Sequence[DataFile] | None:
        """The base's files whose rows are read; None if files alone do not tell."""
        claimed = self._claims.bounds(self._base.schema)
        if any(not set(each.columns) <= set(self._base.partition_by) for each in claimed):
            return None
        return [f for f in self._base.files() if all(each.part_of(f.values) is None for each in claimed)]

    @property
    def _layers(self) -> tuple[TableVersion, TableVersion]:
        return self._base, self._at

    def _streams(self, names: Sequence[str], predicate: str | None) -> Iterator[pa.RecordBatchReader]:
        for at in self._layers:
            without = self._claims.bounds(at.schema) if at is self._base else []
            yield from self._of_layer(at, names, predicate, without)

    def _selects(self) -> list[Select]:
        """Return the SELECTs that together read the rows of both."""
        found: list[Select] = []
        for number, at in enumerate(self._layers):
            read = queries(
                self._schema.names,
                self.scope.on(at.schema) if not self._no_rows else None,
                None,
                at.partition_by,
                at.present_values,
                without=self._claims.bounds(at.schema) if at is self._base else [],
                absent=[name for name in self._schema.names if name not in at.schema.names],
                alias=alias_of(number),
            )
            found.append((at, alias_of(number), read))
        return found

    def _of_layer(
        self, at: TableVersion, names: Sequence[str], predicate: str | None, without: Sequence[Bounds]
    ) -> Iterator[pa.RecordBatchReader]:
        present = [name for name in names if name in at.schema.names]
        plan = queries(
            present or at.schema.names[:1],
            self.scope.on(at.schema) if not self._no_rows else None,
            predicate,
            at.partition_by,
            at.present_values,
            without=without,
            absent=[name for name in self._schema.names if name not in at.schema.names],
        )
        schema = pa.schema([self._schema.field(name) for name in names])
        for sql in plan:
            yield pa.RecordBatchReader.from_batches(schema, _filled(at, at.query(sql), schema))

    def __repr__(self) -> str:
        base = f"base={self._base.table.uri!r}, base_version={self._base.version}"
        return super().__repr__().replace(f"version={self.version}", f"version={self.version}, {base}", 1)


def layers_of(
    own: TableVersion | None, base: TableVersion | None, scope: Scope
) -> tuple[Snapshot, tuple[TableVersion, ...]]:
    """Return the snapshot of a table that an own root, its base or both have; and the versions it reads.

    Args:
        own: the table in the own root; None if it has none.
        base: the table in the base; None if that has none, and then there is the other.
        scope: the partitions to read.

    Raises:
        SchemaMismatch: if the two have a column with different types.
        VersionGone: if the own table's log does not say what the own root has.

    """
    claims = Claims.of(own) if own is not None and base is not None else None
    if base is None or (claims is not None and claims.is_whole_table):
        assert own is not None, "there is a table"
        return Snapshot(own, scope), (own,)
    if own is None or claims is None or not claims.scopes:
        return Snapshot(base, scope), (base,)
    snapshot = LayeredSnapshot(own, base, claims, scope)
    bounds = scope.on(snapshot.schema)
    parts = [bounds.one(number) for number in range(len(bounds.parts))]
    reads_own = not parts or any(map(claims.touch, parts))
    reads_base = not parts or not all(map(claims.cover, parts))
    return snapshot, tuple(at for at, is_read in ((own, reads_own), (base, reads_base)) if is_read)


def _merged(own: TableVersion, base: TableVersion) -> pa.Schema:
    """Return the own table's columns, and after them those that only the base has."""
    changed = [
        f.name for f in own.schema if f.name in base.schema.names and base.schema.field(f.name).type != f.type
    ]
    if changed:
        types = ", ".join(
            f"{name} is {own.schema.field(name).type} in {own.table.uri} and "
            f"{base.schema.field(name).type} in the base"
            for name in changed
        )
        raise SchemaMismatch(
            f"the {names_of('column', changed)} of {own.table.name} differ between the own root and version "
            f"{base.version} of the base: {types}.",
            "Materialize every partition in the own root; or delete the table's folder there, to read the "
            "base alone.",
        )
    fields = [*own.schema, *(f for f in base.schema if f.name not in own.schema.names)]
    return pa.schema([f.with_nullable(_is_nullable(f, own, base)) for f in fields])


def _is_nullable(field: pa.Field, own: TableVersion, base: TableVersion) -> bool:
    return any(
        field.name not in at.schema.names or at.schema.field(field.name).nullable for at in (own, base)
    )


def _filled(at: TableVersion, rows: pa.RecordBatchReader, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Yield rows with nulls in the columns that a layer lacks."""
    with at.table.reading(version=at.version):
        for batch in rows:
            yield exact_batch(batch, schema)
