"""Formats: how rows lie in a file."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import pyarrow as pa

from practicus_assets.errors import SchemaMismatch, did_you_mean
from practicus_assets.lake.rows.casts import exact_batch
from practicus_assets.sources.files.formats.open_file import OpenFile
from practicus_assets.wording import names_of


@dataclass(frozen=True)
class Wanted:
    """Which columns of a file are read, as which types.

    Attributes:
        schema: the columns, of Delta's types.
        null_where_lacking: whether a file may lack some, which are null then.

    """

    schema: pa.Schema
    null_where_lacking: bool = False

    def present(self, file: str, names: Sequence[str]) -> list[str]:
        """Return those of the columns that a file has.

        Raises:
            SchemaMismatch: if it lacks one that it may not lack.

        """
        lacking = [name for name in self.schema.names if name not in names]
        if lacking and not self.null_where_lacking:
            raise SchemaMismatch(
                f"{file} has no {names_of('column', lacking)}; it has {list(names)}.",
                did_you_mean(
                    lacking[0],
                    names,
                    'Correct columns, or write no_column="null" for files that are older than a column.',
                ),
            )
        return [name for name in self.schema.names if name in names]

    def fitted(self, batch: pa.RecordBatch, first_row: int) -> pa.RecordBatch:
        """Return rows as these columns, each value unchanged.

        Raises:
            LossyValues: for values that a type cannot hold.

        """
        return exact_batch(batch, self.schema, first_row)


class Format(ABC):
    """How rows lie in a file."""

    name: ClassVar[str]
    """The format's name, as users and Dagster's UI write it."""

    @property
    def names_columns(self) -> bool:
        """Whether files say the names of their columns."""
        return True

    @abstractmethod
    def schema(self, file: OpenFile) -> pa.Schema | None:
        """Return the columns of a file; None if it has not even columns.

        Raises:
            SchemaMismatch: if the format does not say of itself what its columns are.

        """

    @abstractmethod
    def rows(self, file: OpenFile, wanted: Wanted) -> Iterator[pa.RecordBatch]:
        """Stream the rows of a file, in its order, with the columns that are wanted.

        Raises:
            DataRefused: for rows that are not of these columns and types; the error names the file.

        """
