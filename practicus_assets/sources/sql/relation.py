"""Relations of databases: tables and queries, with the types that their author declares."""

import datetime as dt
from abc import ABC
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Self

import pyarrow as pa

from practicus_assets.errors import DeclarationError, SchemaMismatch, did_you_mean
from practicus_assets.lake.contracts.declared_types import as_type
from practicus_assets.sources.relation import Relation, SessionT
from practicus_assets.sources.sql.conditions import OperandT, Parameters
from practicus_assets.sources.sql.names import parts_of, quoted
from practicus_assets.sources.system import System
from practicus_assets.wording import in_short, names_of

_LONGEST_NAME = 60


@dataclass(frozen=True, repr=False)
class DatabaseRelation(Relation[SessionT], ABC):
    """A table or a query of a database.

    Attributes:
        database: the system that has it.
        label: its name for people.
        parts: the parts of a table's name; none for a query.
        text: the query; empty for a table.
        declared: the types that the author declares.
        quote: the character around names there.
        namespace: what a table's name may begin with: a schema or a database.
        alias: the name of a query in statements.
        times: the types that say when a row was changed.

    """

    quote: ClassVar[str]
    namespace: ClassVar[str]
    alias: ClassVar[str]
    times: ClassVar[str]

    database: System
    label: str
    parts: tuple[str, ...] = ()
    text: str = ""
    declared: Mapping[str, pa.DataType] = field(default_factory=dict, hash=False)

    @classmethod
    def of_table(cls, database: System, name: str, columns: Mapping[str, pa.DataType | str]) -> Self:
        """Return a table.

        Args:
            database: the system that has it.
            name: its name, with or without a namespace.
            columns: the declared types.

        Raises:
            DeclarationError: for a name that is none, or a type that does not exist.

        """
        parts = parts_of(name, cls.quote)
        if len(parts) > 2:  # noqa: PLR2004 a namespace and a table
            raise DeclarationError(
                f"{name!r} has more parts than a {cls.namespace} and a table.",
                f"Write {cls.namespace}.table.",
            )
        return cls(database, name, parts=parts, declared=_types(columns))

    @classmethod
    def of_query(
        cls, database: System, text: str, columns: Mapping[str, pa.DataType | str], name: str | None
    ) -> Self:
        """Return a query.

        Args:
            database: the system that answers it.
            text: a SELECT.
            columns: the declared types.
            name: its name for people; None for its beginning.

        Raises:
            DeclarationError: for an empty query, or a type that does not exist.

        """
        bare = text.strip().removesuffix(";").rstrip()
        if not bare:
            raise DeclarationError("the query is empty.", "Write a SELECT.")
        return cls(database, name or in_short(bare, _LONGEST_NAME), text=bare, declared=_types(columns))

    def __repr__(self) -> str:
        return f"{self.database!r}.{'table' if self.parts else 'query'}({self.label!r})"

    @property
    def system(self) -> System:
        """The database."""
        return self.database

    @property
    def name(self) -> str:
        """The table's name, or the query's."""
        return self.label

    @property
    def source(self) -> str:
        """What stands after FROM."""
        if self.parts:
            return ".".join(quoted(part, self.quote) for part in self.parts)
        return f"(\n{self.text}\n) AS {self.alias}"

    def typed(self, columns: Mapping[str, pa.DataType]) -> Self:
        """Return the relation with further declared types; see `Relation.typed`."""
        return replace(self, declared={**self.declared, **columns})

    def refuse_unknown_types(self, known: Collection[str]) -> None:
        """Refuse declared types of columns that the relation does not have.

        Raises:
            DeclarationError: naming them.

        """
        unknown = [column for column in self.declared if column not in known]
        if unknown:
            raise DeclarationError(
                f"{self.label} has no {names_of('column', unknown)}, whose type is declared.",
                did_you_mean(unknown[0], known, f"It has {', '.join(known)}."),
            )

    def wanted(self, known: Collection[str], columns: Sequence[str] | None) -> list[str]:
        """Return the columns to read, in their order; None are all.

        Raises:
            SchemaMismatch: for those that the relation does not have.

        """
        unknown = [column for column in columns or () if column not in known]
        if unknown:
            raise SchemaMismatch(
                f"{self.label} has no {names_of('column', unknown)}.",
                did_you_mean(unknown[0], known, f"It has {', '.join(known)}."),
            )
        return list(known if columns is None else columns)

    def changed_since(
        self,
        since: dt.datetime,
        updated_at: str,
        moment: OperandT,
        operands: Mapping[str, OperandT],
        parameters: Parameters[OperandT],
    ) -> str:
        """Return the condition of rows that changed since a moment and have a value in each column.

        Args:
            since: the moment, with its time zone.
            updated_at: the column that says when a row was changed.
            moment: what that column is in the database.
            operands: what each column of the scope is there.
            parameters: the statement's, to which the moment is added.

        Raises:
            DeclarationError: for a column that holds no time.

        """
        utc = since.astimezone(dt.UTC)
        start: dt.date = utc if getattr(moment.type_, "tz", None) else utc.replace(tzinfo=None)
        if pa.types.is_date(moment.type_):
            start = utc.date()
        elif not pa.types.is_timestamp(moment.type_):
            found = moment.native or moment.type_
            raise DeclarationError(
                f"{updated_at!r} of {self.label} is of type {found}, which is no time.",
                f"Name {self.times}.",
            )
        terms = [f"{moment.text} >= {parameters.one(start, moment)}"]
        terms += [f"{each.text} IS NOT NULL" for each in operands.values()]
        return " AND ".join(terms)


def _types(columns: Mapping[str, pa.DataType | str]) -> dict[str, pa.DataType]:
    return {name: as_type(declared) for name, declared in columns.items()}
