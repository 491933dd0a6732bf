"""Unions: several relations of one system with the same columns, as one."""

import datetime as dt
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import pyarrow as pa

from practicus_assets.errors import SchemaMismatch
from practicus_assets.lake.partitions.scope import Scope
from practicus_assets.sources.relation import NO_ROWS, Relation
from practicus_assets.sources.system import Session, System


@dataclass(frozen=True)
class Union(Relation[Session]):
    """The rows of several relations, one after the other.

    Attributes:
        relations: at least one relation; all are in one system.

    """

    relations: tuple[Relation[Any], ...]

    @property
    def system(self) -> System:
        """The system of the relations."""
        return self.relations[0].system

    @property
    def name(self) -> str:
        """The names of the relations."""
        return ", ".join(relation.name for relation in self.relations)

    def typed(self, columns: Mapping[str, pa.DataType]) -> Self:
        """Return the union with the types that its author declares; see `Relation.typed`."""
        return replace(self, relations=tuple(relation.typed(columns) for relation in self.relations))

    def schema(self, session: Session) -> pa.Schema:
        """Return the columns that all have.

        Raises:
            SchemaMismatch: if one has others, or of other types.

        """
        first, *others = self.relations
        schema = first.schema(session)
        for other in others:
            found = other.schema(session)
            if {field.name: field.type for field in found} != {field.name: field.type for field in schema}:
                raise SchemaMismatch(
                    f"{other.name} has the columns {_written(found)}, and {first.name} {_written(schema)}.",
                    "Declare their types, or read them as sources of their own.",
                )
        return schema

    def read(
        self, session: Session, scope: Scope, columns: Sequence[str] | None = None
    ) -> pa.RecordBatchReader:
        """Stream the rows of a scope; see `Relation.read`."""
        schema = self.schema(session)
        names = list(schema.names if columns is None else columns)

        def stream() -> Iterator[pa.RecordBatch]:
            for relation in self.relations:
                yield from relation.read(session, scope, names)

        return pa.RecordBatchReader.from_batches(pa.schema([schema.field(name) for name in names]), stream())

    def versions(self, session: Session, scopes: Sequence[Scope], updated_at: str | None = None) -> list[str]:
        """Return the data version of each scope: a hash of those of the relations."""
        found = [relation.versions(session, scopes, updated_at) for relation in self.relations]
        return [_together(versions) for versions in zip(*found, strict=True)]

    def changed(
        self, session: Session, columns: Sequence[str], updated_at: str, since: dt.datetime
    ) -> pa.RecordBatchReader:
        """Stream the partition values of changed rows; see `Relation.changed`."""
        readers = [relation.changed(session, columns, updated_at, since) for relation in self.relations]
        return pa.RecordBatchReader.from_batches(
            readers[0].schema, (batch for reader in readers for batch in reader)
        )


def _together(versions: Sequence[str]) -> str:
    if all(version == NO_ROWS for version in versions):
        return NO_ROWS
    return hashlib.sha256("\n".join(versions).encode()).hexdigest()[:32]


def _written(schema: pa.Schema) -> str:
    return ", ".join(f"{field.name} ({field.type})" for field in schema)
