"""Relations of files: rows of all files that match a pattern."""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, Self

import pyarrow as pa

from practicus_assets.errors import DeclarationError, SchemaMismatch, SourceFailed, did_you_mean
from practicus_assets.lake.partitions.bounds import Bounds
from practicus_assets.lake.partitions.scope import Scope
from practicus_assets.lake.partitions.values import Value
from practicus_assets.lake.rows.types import stored_type
from practicus_assets.sources.files.declaration import refuse_other_choice
from practicus_assets.sources.files.failures import naming_file
from practicus_assets.sources.files.formats.compression import (
    Compression,
    compression_of,
    refuse_unknown_compression,
)
from practicus_assets.sources.files.formats.format import Format, Wanted
from practicus_assets.sources.files.formats.one_schema import one_schema
from practicus_assets.sources.files.late_rows import late_values, since_on
from practicus_assets.sources.files.listing import Listing, SourceFile
from practicus_assets.sources.files.pattern import Pattern
from practicus_assets.sources.files.scoped import RowsIn
from practicus_assets.sources.relation import NO_ROWS, Relation
from practicus_assets.sources.system import System
from practicus_assets.wording import enumerated, names_of, number_of

if TYPE_CHECKING:
    from practicus_assets.sources.files.session import FilesSession

_MOST_FOLDERS = 32  # that are listed one by one; of more partitions, the folder above is listed
_SHOWN = 3


@dataclass(frozen=True)
class FileRelation(Relation["FilesSession"]):
    """The rows of all files that match a pattern; made by `Files.files`.

    Attributes:
        store: the store that has the files.
        pattern: which files.
        format: how rows lie in them.
        columns: the declared columns; None where the files say them.
        compression: how files are compressed; None where the ends of their names say it.
        no_column: what to do with a declared column that some file lacks.
        no_files: what to do with a partition, or a whole table, that has no files.
        types: declared types of some columns; the others are as the files have them.

    """

    store: System
    pattern: Pattern
    format: Format
    columns: pa.Schema | None = field(default=None, repr=False)
    compression: Compression | Literal["none"] | None = None
    no_column: Literal["refuse", "null"] = "refuse"
    no_files: Literal["refuse", "empty"] = "refuse"
    types: pa.Schema = field(default=pa.schema([]), repr=False)

    def __post_init__(self) -> None:
        """Refuse what cannot be read."""
        refuse_unknown_compression(self.compression)
        refuse_other_choice("no_column", self.no_column, ("refuse", "null"))
        refuse_other_choice("no_files", self.no_files, ("refuse", "empty"))
        if self.columns is not None and set(self.columns.names) <= set(self.pattern.keys):
            raise DeclarationError(
                f"{self.pattern}: columns declares no column of the files, only keys of the pattern.",
                "Declare what the files hold, too.",
            )

    def typed(self, columns: Mapping[str, pa.DataType]) -> Self:
        """Return the relation with the types of some columns, or of all where files do not name them."""
        types = pa.schema([(name, stored_type(type_, name)) for name, type_ in columns.items()])
        if self.columns is None and not self.format.names_columns:
            return replace(self, columns=types)
        if self.columns is not None:
            chosen = {column.name: column.type for column in types}
            declared = [(c.name, chosen.get(c.name, c.type)) for c in self.columns]
            return replace(self, columns=pa.schema(declared))
        return replace(self, types=types)

    @property
    def system(self) -> System:
        """The store."""
        return self.store

    @property
    def name(self) -> str:
        """The pattern with its store."""
        return f"{self.store.address.rstrip('/')}/{self.pattern}"

    @property
    def _keys(self) -> pa.Schema:
        """The columns whose values are in the paths."""
        declared = {column.name: column.type for column in [*self.types, *(self.columns or ())]}
        return pa.schema(
            [(key, declared.get(key) or self.pattern.natural_type(key)) for key in self.pattern.keys]
        )

    def schema(self, session: "FilesSession") -> pa.Schema:
        """Return the declared columns, or those of all files together, and the keys of the pattern.

        Raises:
            SourceFailed: if there are no files to say it, or one cannot be read.
            SchemaMismatch: if files differ in a way that no exact type can unite.

        """
        columns = self._found(session) if self.columns is None else self.columns
        keys = self._keys
        return pa.schema([*columns, *(key for key in keys if key.name not in columns.names)])

    def _found(self, session: "FilesSession") -> pa.Schema:
        """Return the columns of all files together, with those of the pattern in the pattern's types."""

        def of_files() -> pa.Schema:
            listing = self._listing(session, self._bounds(Scope()))
            if not listing.files:
                raise SourceFailed(
                    f"there is no file {self.name}, and so no columns.",
                    "Correct the pattern, bring the files, or declare columns.",
                )
            named = zip(listing.files, session.each(listing.files, self._schema_of), strict=True)
            schemas = [(session.name_of(file.path), schema) for file, schema in named if schema is not None]
            if not schemas:
                raise SchemaMismatch(
                    f"the {number_of(len(listing.files), 'file')} of {self.name} are empty: no columns.",
                    "Declare them: columns={...}.",
                )
            types = {column.name: column.type for column in [*self.types, *self._keys]}
            return one_schema(schemas, types, together=self.no_column == "null")

        return session.remembered(self, of_files)

    def _schema_of(self, session: "FilesSession", file: SourceFile) -> pa.Schema | None:
        with session.reading(file, self._compression_of(file)) as opened:
            return self.format.schema(opened)

    def _compression_of(self, file: SourceFile) -> Compression | None:
        if self.compression == "none":
            return None
        return self.compression or compression_of(file.path)

    def read(
        self, session: "FilesSession", scope: Scope, columns: Sequence[str] | None = None
    ) -> pa.RecordBatchReader:
        """Stream the rows of a scope, file by file in the order of their paths.

        Raises:
            SourceFailed: if a partition has no files, or a file cannot be read.
            SourceChanged: if a file was written again, or deleted, since it was listed.
            DataRefused: for rows that are not of the columns.

        """
        schema = self.schema(session)
        names = list(schema.names) if columns is None else self._selected(columns, schema)
        bounds = scope.on(schema)
        files = self._files(session, scope)
        output = pa.schema([schema.field(name) for name in names])
        return pa.RecordBatchReader.from_batches(
            output, self._batches(session, files, schema, bounds, output)
        )

    def _selected(self, columns: Sequence[str], schema: pa.Schema) -> list[str]:
        unknown = [name for name in columns if name not in schema.names]
        if unknown or not columns or len(set(columns)) != len(columns):
            raise SchemaMismatch(
                f"{self.name} has no {names_of('column', unknown)}; it has {schema.names}."
                if unknown
                else f"columns={list(columns)} is no selection.",
                did_you_mean(unknown[0], schema.names) if unknown else "Name each column once.",
            )
        return list(columns)

    def _bounds(self, scope: Scope) -> Bounds:
        """Return a scope's conditions on the keys of the pattern."""
        numbers = [i for i, column in enumerate(scope.columns) if column in self.pattern.keys]
        if not numbers:
            return Bounds((), (), ())
        parts = dict.fromkeys(tuple(part[i] for i in numbers) for part in scope.parts)
        return Scope(tuple(scope.columns[i] for i in numbers), tuple(parts)).on(self._keys)

    def _listing(self, session: "FilesSession", bounds: Bounds) -> Listing:
        """Return the files in which rows of a scope can be, and others besides."""
        if self.columns is None:  # all of them are listed for the columns
            bounds = Bounds((), (), ())
        return session.listing(self.pattern, self.pattern.folders(bounds, _MOST_FOLDERS))

    def _values(self, session: "FilesSession", file: SourceFile) -> dict[str, Value | None]:
        """Return the values of the pattern's keys for a file."""
        texts = self.pattern.match(file.path) or {}
        name = session.name_of(file.path)
        return {key.name: self.pattern.value(key.name, texts[key.name], key.type, name) for key in self._keys}

    def _files(
        self, session: "FilesSession", scope: Scope
    ) -> list[tuple[SourceFile, Mapping[str, Value | None]]]:
        """Return the files in which rows of a scope can be, with the values of the pattern's keys.

        Raises:
            SourceFailed: if there are none, of some partition or at all, and that is no answer.

        """
        bounds = self._bounds(scope)
        files: list[tuple[SourceFile, Mapping[str, Value | None]]] = []
        parts: set[int] = set()
        for file in self._listing(session, bounds).files:
            values = self._values(session, file)
            part = bounds.part_of(values)
            if part is not None:
                files.append((file, values))
                parts.add(part)
        if self.no_files == "empty":
            return files
        if not files:
            of = f" of {scope}" if bounds.columns else ""
            raise SourceFailed(
                f"there is no file{of}: {self.name}.",
                'Bring it, correct the pattern, or write no_files="empty" if that is an empty partition.',
            )
        if bounds.columns and set(bounds.columns) == set(scope.columns):
            missing = [key for number, key in enumerate(scope.keys) if number not in parts]
            if missing:
                more = f" and {len(missing) - _SHOWN:,} more" if len(missing) > _SHOWN else ""
                raise SourceFailed(
                    f"there is no file of {enumerated(missing[:_SHOWN])}{more}: {self.name}.",
                    'Bring it, or write no_files="empty" if that is an empty partition.',
                )
        return files

    def _batches(
        self,
        session: "FilesSession",
        files: Sequence[tuple[SourceFile, Mapping[str, Value | None]]],
        schema: pa.Schema,
        bounds: Bounds,
        output: pa.Schema,
    ) -> Iterator[pa.RecordBatch]:
        """Yield the rows of files that are in a scope."""
        in_paths = set(self.pattern.keys)
        chosen = RowsIn(bounds) if set(bounds.columns) - in_paths else None
        needed = [
            column
            for column in schema
            if column.name not in in_paths and (column.name in output.names or column.name in bounds.columns)
        ]
        of_file = needed or [next(column for column in schema if column.name not in in_paths)]
        wanted = Wanted(pa.schema(of_file), self.no_column == "null")
        of_files = dict(files)
        for file, content in session.ahead(list(of_files)):
            name, values = session.name_of(file.path), of_files[file]
            with session.reading(file, self._compression_of(file), content) as opened, naming_file(name):
                for read in self.format.rows(opened, wanted):
                    batch = _with_constants(read, values, schema)
                    yield (chosen.of(batch) if chosen else batch).select(output.names)

    def versions(
        self,
        session: "FilesSession",
        scopes: Sequence[Scope],
        updated_at: str | None = None,  # noqa: ARG002 files tell when they were written
    ) -> list[str]:
        """Return for each scope a digest of its files: their paths, sizes and when they were written.

        A scope on columns that are not in the paths has the version of all files.
        """
        of_scopes = [self._bounds(scope) for scope in scopes]
        whole = any(not bounds.columns for bounds in of_scopes)
        parts = dict.fromkeys(part for bounds in of_scopes for part in bounds.parts)
        first = of_scopes[0] if of_scopes else Bounds((), (), ())
        together = Bounds((), (), ()) if whole else Bounds(first.columns, first.types, tuple(parts))
        listing = self._listing(session, together)
        values = [self._values(session, file) for file in listing.files]
        versions = []
        for bounds in of_scopes:
            pairs = zip(listing.files, values, strict=True)
            files = Listing.of(file for file, of_file in pairs if bounds.part_of(of_file) is not None)
            versions.append(files.digest if files.files else NO_ROWS)
        return versions

    def changed(
        self, session: "FilesSession", columns: Sequence[str], updated_at: str, since: dt.datetime
    ) -> pa.RecordBatchReader:
        """Stream the distinct values of columns in rows changed since a moment, of which all files are read.

        Raises:
            SourceFailed: if files have no such column of times or dates.

        """
        schema = self.schema(session)
        limit = since_on(self.name, schema, columns, updated_at, since)
        names = list(dict.fromkeys([*columns, updated_at]))
        return late_values(self.read(session, Scope(), names), schema, columns, updated_at, limit)


def _with_constants(
    batch: pa.RecordBatch, values: Mapping[str, Value | None], schema: pa.Schema
) -> pa.RecordBatch:
    """Return rows with the values of the pattern's keys as columns."""
    names, arrays = list(batch.schema.names), list(batch.columns)
    for key, value in values.items():
        names.append(key)
        arrays.append(pa.repeat(pa.scalar(value, schema.field(key).type), batch.num_rows))
    return pa.record_batch(arrays, names)
