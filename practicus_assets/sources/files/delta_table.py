"""Delta tables of others, read at one version."""

import datetime as dt
import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import pyarrow as pa

from practicus_assets.errors import (
    DeclarationError,
    SourceChanged,
    SourceFailed,
    StoreFailed,
    TableNotFound,
    VersionGone,
)
from practicus_assets.lake.delta.snapshot import Snapshot
from practicus_assets.lake.delta.table import TableVersion
from practicus_assets.lake.partitions.scope import Scope
from practicus_assets.lake.partitions.values import identifier, literal
from practicus_assets.sources.files.late_rows import late_values, since_on
from practicus_assets.sources.files.listing import RUN_AGAIN
from practicus_assets.sources.files.session import FilesSession
from practicus_assets.sources.relation import NO_ROWS, Relation
from practicus_assets.sources.system import System

_SHORT = 32


@dataclass(frozen=True)
class DeltaRelation(Relation[FilesSession]):
    """The rows of a Delta table that others write; made by `Files.delta`.

    Attributes:
        store: the store that has the table.
        path: the table's folder below the store's root; empty for the root itself.
        version: the version to read, or a moment; None for the newest.

    """

    store: System
    path: str
    version: int | dt.datetime | None = None

    def __post_init__(self) -> None:
        """Refuse a path that leaves the root."""
        if not isinstance(self.path, str) or {"..", "."} & set(self.path.split("/")) or "://" in self.path:
            raise DeclarationError(
                f"{self.path!r} is no folder of {self.store.address}.",
                "Name the table's folder below the root, e.g. 'sales/orders'.",
            )

    @property
    def system(self) -> System:
        """The store."""
        return self.store

    @property
    def name(self) -> str:
        """The table's folder with its store."""
        return f"{self.store.address.rstrip('/')}/{self.path.strip('/')}".rstrip("/")

    def schema(self, session: FilesSession) -> pa.Schema:
        """Return the table's columns.

        Raises:
            SourceFailed: if there is no table, or it cannot be read.
            UnsupportedTable: if it uses a feature of Delta that delta-rs does not know.

        """
        with self._failing():
            return self._at(session).schema

    def read(
        self, session: FilesSession, scope: Scope, columns: Sequence[str] | None = None
    ) -> pa.RecordBatchReader:
        """Stream the rows of a scope at the session's version; files of other partitions are not opened.

        Raises:
            SourceFailed: if they cannot be read.
            SourceChanged: if files of the version were vacuumed away meanwhile.

        """
        with self._failing():
            reader = Snapshot(self._at(session), scope).scan(columns)

        def stream() -> Iterator[pa.RecordBatch]:
            with self._failing():
                yield from reader

        return pa.RecordBatchReader.from_batches(reader.schema, stream())

    def versions(
        self,
        session: FilesSession,
        scopes: Sequence[Scope],
        updated_at: str | None = None,  # noqa: ARG002 the log tells what changed
    ) -> list[str]:
        """Return for each scope of partitions a digest of its files; else the table's id and version."""
        with self._failing():
            return [_version_of(self._at(session), scope) for scope in scopes]

    def changed(
        self, session: FilesSession, columns: Sequence[str], updated_at: str, since: dt.datetime
    ) -> pa.RecordBatchReader:
        """Stream the distinct values of columns in rows changed since a moment.

        Raises:
            SourceFailed: if the table has no such column of times or dates, or cannot be read.

        """
        with self._failing():
            snapshot = Snapshot(self._at(session))
            limit = since_on(self.name, snapshot.schema, columns, updated_at, since)
            predicate = f"{identifier(updated_at)} >= {literal(limit.as_py(), limit.type)}"
            names = list(dict.fromkeys([*columns, updated_at]))
            return late_values(snapshot.scan(names, predicate), snapshot.schema, columns, updated_at, limit)

    def _at(self, session: FilesSession) -> TableVersion:
        """Return the table at the version that the session's run reads."""

        def opened() -> TableVersion:
            table, key = session.table(self.path), f"delta:{self.path}:{self.version}"
            record = session.record_of(key)
            if record is None:
                pinned = Snapshot.of(table, self.version)
                record = [pinned.version, pinned.table_id]
                session.record(key, record)
            at = table.open(int(record[0]))
            if at.id != record[1]:
                raise SourceChanged(f"{self.name} was replaced by another table.", RUN_AGAIN)
            return at

        return session.remembered(self, opened)

    @contextmanager
    def _failing(self) -> Iterator[None]:
        """Raise the errors of sources for those of the lake."""
        try:
            yield
        except TableNotFound as error:
            raise SourceFailed(error.problem, "Correct the place.") from None
        except VersionGone as error:
            if self.version is not None:
                raise SourceFailed(error.problem, "Read a later version.") from None
            raise SourceChanged(f"{self.name}: {error.problem}", RUN_AGAIN) from None
        except StoreFailed as error:
            raise SourceFailed(error.problem, error.advice) from None


def _version_of(at: TableVersion, scope: Scope) -> str:
    """Return a digest of the files that rows of a scope can be in; of the whole table, its version."""
    if scope.is_whole_table or not set(scope.columns) <= set(at.partition_by):
        return f"{at.id} {at.version}" if at.files() else NO_ROWS
    bounds = scope.on(at.schema)
    files = [f"{f.path} {f.size} {f.deleted}" for f in at.files() if bounds.part_of(f.values) is not None]
    return hashlib.sha256("\n".join(sorted(files)).encode()).hexdigest()[:_SHORT] if files else NO_ROWS
