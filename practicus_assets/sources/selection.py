"""Selections: some columns of a relation."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import pyarrow as pa

from practicus_assets.errors import SchemaMismatch, did_you_mean
from practicus_assets.lake.partitions.scope import Scope
from practicus_assets.sources.relation import Relation
from practicus_assets.sources.system import Session, System
from practicus_assets.wording import names_of


@dataclass(frozen=True)
class Selection(Relation[Session]):
    """Some columns of a relation; its scopes may be on the others, too.

    Attributes:
        relation: the relation.
        columns: the names of the columns, in their order.

    """

    relation: Relation[Any]
    columns: tuple[str, ...]

    @property
    def system(self) -> System:
        """The system of the relation."""
        return self.relation.system

    @property
    def name(self) -> str:
        """The name of the relation."""
        return self.relation.name

    def typed(self, columns: Mapping[str, pa.DataType]) -> Self:
        """Return the selection with the types that its author declares; see `Relation.typed`."""
        return replace(self, relation=self.relation.typed(columns))

    def schema(self, session: Session) -> pa.Schema:
        """Return the selected columns with their types.

        Raises:
            SchemaMismatch: if the relation lacks one.

        """
        schema = self.relation.schema(session)
        missing = [name for name in self.columns if name not in schema.names]
        if missing:
            raise SchemaMismatch(
                f"{self.name} has no {names_of('column', missing)}, to be selected from it.",
                did_you_mean(missing[0], schema.names, f"It has {', '.join(schema.names)}."),
            )
        return pa.schema([schema.field(name) for name in self.columns])

    def read(
        self, session: Session, scope: Scope, columns: Sequence[str] | None = None
    ) -> pa.RecordBatchReader:
        """Stream the selected columns of a scope's rows; see `Relation.read`."""
        return self.relation.read(session, scope, self.columns if columns is None else columns)

    def versions(self, session: Session, scopes: Sequence[Scope], updated_at: str | None = None) -> list[str]:
        """Return the data versions of the whole rows: more than the selection may have changed."""
        return self.relation.versions(session, scopes, updated_at)

    def changed(
        self, session: Session, columns: Sequence[str], updated_at: str, since: dt.datetime
    ) -> pa.RecordBatchReader:
        """Stream the partition values of changed rows; see `Relation.changed`."""
        return self.relation.changed(session, columns, updated_at, since)
