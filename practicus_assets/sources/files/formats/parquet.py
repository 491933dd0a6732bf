"""Parquet files."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import pyarrow as pa
import pyarrow.parquet as pq

from practicus_assets.lake.rows.chunks import BATCH_ROWS
from practicus_assets.sources.files.formats.format import Format, Wanted
from practicus_assets.sources.files.formats.one_schema import refuse_doubled
from practicus_assets.sources.files.formats.open_file import OpenFile


@dataclass(frozen=True)
class Parquet(Format):
    """Parquet, whose files say their columns and types in their footers."""

    name: ClassVar[str] = "parquet"

    def schema(self, file: OpenFile) -> pa.Schema | None:
        """Return the columns that the footer names."""
        with pq.ParquetFile(file.random()) as parquet:
            return _plain(parquet.schema_arrow)

    def rows(self, file: OpenFile, wanted: Wanted) -> Iterator[pa.RecordBatch]:
        """Stream the rows; no other column than those that are wanted is read."""
        with pq.ParquetFile(file.random(), pre_buffer=True) as parquet:
            names = parquet.schema_arrow.names
            refuse_doubled(file.name, names)
            present = wanted.present(file.name, names)
            row = 0
            for batch in parquet.iter_batches(BATCH_ROWS, columns=present, use_threads=False):
                yield wanted.fitted(batch, row)
                row += batch.num_rows


def _plain(schema: pa.Schema) -> pa.Schema:
    return pa.schema([pa.field(field.name, field.type) for field in schema])
