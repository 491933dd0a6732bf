"""Relations: rows of another system that have one schema."""

import datetime as dt
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Generic, Self, TypeVar

import pyarrow as pa

from practicus_assets.lake.partitions.scope import Scope
from practicus_assets.sources.system import Session, System

NO_ROWS = "0 rows"  # the data version of a scope that has none

SessionT = TypeVar("SessionT", bound=Session)


class Relation(ABC, Generic[SessionT]):
    """A table, a query, or files of another system.

    Where a scope has columns, they are names of columns of the relation, or expressions in the system's own
    language; the scope's conditions are pushed down to the system, by values that are bound and never pasted.
    """

    @property
    @abstractmethod
    def system(self) -> System:
        """The system that has it; its sessions are those that the methods take."""

    @property
    @abstractmethod
    def name(self) -> str:
        """What is read, as errors and pages name it, without credentials: `public.flights`."""

    def typed(self, columns: Mapping[str, pa.DataType]) -> Self:  # noqa: ARG002 for those that can choose
        """Return the relation with the types that its author declares, where the system leaves a choice.

        What it gives is cast to these types all the same, exactly or not at all. A relation overrides this
        where it reads otherwise by a declaration: a query's `numeric`, the columns of CSV files.

        Args:
            columns: the declared types by column; further columns are as they come.

        """
        return self

    @abstractmethod
    def schema(self, session: SessionT) -> pa.Schema:
        """Return the columns and types that `read` will give, whatever rows there are.

        Raises:
            SourceFailed: the relation is not there, or may not be read.
            SchemaMismatch: a column's type has no counterpart in Delta Lake.

        """

    @abstractmethod
    def read(
        self, session: SessionT, scope: Scope, columns: Sequence[str] | None = None
    ) -> pa.RecordBatchReader:
        """Stream the rows of a scope, in batches of bounded size.

        Args:
            session: an open session of the relation's system; the stream ends with it.
            scope: the partitions to read; the empty scope is all rows.
            columns: the columns to read, in their order; None for all.

        Raises:
            SourceFailed: when the relation cannot be read, or its system goes away half-way.
            SourceChanged: when what is read changes meanwhile.
            DataRefused: for values that Delta Lake cannot hold, by name.

        """

    @abstractmethod
    def versions(
        self, session: SessionT, scopes: Sequence[Scope], updated_at: str | None = None
    ) -> list[str]:
        """Return the data version of each scope: a short text that changes when its rows change.

        That of a scope without rows is `NO_ROWS`, so that a partition which has not come yet can be told.

        Args:
            session: an open session of the relation's system.
            scopes: one for each partition that is asked for; one empty scope for all rows.
            updated_at: the column that holds when a row was last changed; without it, and where the system
                knows nothing cheaper, a checksum of all rows in scope.

        """

    @abstractmethod
    def changed(
        self, session: SessionT, columns: Sequence[str], updated_at: str, since: dt.datetime
    ) -> pa.RecordBatchReader:
        """Stream the distinct values of partition columns that rows changed since a moment hold.

        Which partitions late rows are of follows from them; rows that were deleted leave no trace here. The
        stream's columns are those asked for, in their order; rows with a null in one of them do not count.

        Args:
            session: an open session of the relation's system; the stream ends with it.
            columns: the scope's columns: names, or expressions in the system's own language.
            updated_at: the column that holds when a row was last changed: a timestamp or a date. One
                without a time zone is taken as UTC.
            since: the moment, with its time zone; rows of just this moment are among the changed ones.

        Raises:
            SourceFailed: as for `read`, and where the system keeps no such column (files).

        """
