"""Arrow IPC: files (also called Feather) and streams."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

import pyarrow as pa
import pyarrow.ipc

from practicus_assets.lake.rows.chunks import BATCH_ROWS
from practicus_assets.sources.files.formats.format import Format, Wanted
from practicus_assets.sources.files.formats.one_schema import refuse_doubled
from practicus_assets.sources.files.formats.open_file import OpenFile

_FILE_BEGINS = b"ARROW1"


@dataclass(frozen=True)
class Arrow(Format):
    """Arrow IPC; which of both forms a file has is seen by its first bytes."""

    name: ClassVar[str] = "arrow"

    def schema(self, file: OpenFile) -> pa.Schema | None:
        """Return the columns that the file begins with."""
        with _opened(file) as (schema, _):
            return pa.schema([pa.field(field.name, field.type) for field in schema])

    def rows(self, file: OpenFile, wanted: Wanted) -> Iterator[pa.RecordBatch]:
        """Stream the rows."""
        with _opened(file) as (schema, batches):
            refuse_doubled(file.name, schema.names)
            present = wanted.present(file.name, schema.names)
            row = 0
            for whole in batches:
                for start in range(0, whole.num_rows, BATCH_ROWS):
                    batch = whole.slice(start, BATCH_ROWS).select(present)
                    yield wanted.fitted(batch, row)
                    row += batch.num_rows


@contextmanager
def _opened(file: OpenFile) -> Iterator[tuple[pa.Schema, Iterator[pa.RecordBatch]]]:
    """Yield the columns of a file and its batches."""
    if file.compression is None:
        handle = file.random()
        begin = handle.read(len(_FILE_BEGINS))
        handle.seek(0)
        if begin == _FILE_BEGINS:
            with pa.ipc.open_file(handle) as reader:
                yield reader.schema, (reader.get_batch(i) for i in range(reader.num_record_batches))
            return
    with file.stream() as stream, pa.ipc.open_stream(stream) as reader:
        yield reader.schema, reader
