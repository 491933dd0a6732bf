"""The reader of files that an engine wrote: opens each, and blames the engine for what is none."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pyarrow as pa
import pyarrow.parquet as pq

from practicus_assets.errors import DataRefused, StoreFailed
from practicus_assets.lake.delta.table import Table
from practicus_assets.lake.rows.chunks import BATCH_ROWS
from practicus_assets.lake.transactions.engine_files.found_files import FoundFile
from practicus_assets.wording import number_of

AGAIN = "Let the engine end, and nothing else write there, before the function returns."
BATCH_BYTES = 64 << 20
SMALL_BYTES = 1 << 20  # a file of at most so many is read in one piece, and parsed in memory
_ENCODED_BYTES = 3  # per row, below which a column of texts holds each of them once: plain ones have 4 more


class FileReader:
    """Opens the files of one attempt; several threads can do so at once.

    Args:
        table: the table below whose folder they lie.

    Raises:
        StoreFailed: if the table's options do not name a store.

    """

    def __init__(self, table: Table) -> None:
        self._table = table
        self._filesystem = table.reader()  # one for all files: in a store, each has connections of its own
        self._texts: list[str] | None = None  # of small files, by the first that has rows

    @contextmanager
    def opened(self, file: FoundFile) -> Iterator[pq.ParquetFile]:
        """Open a file; what is raised meanwhile names it, and is the engine's fault if it is no Parquet.

        Texts that the file holds once for many rows come so, as Arrow's dictionaries. Of small files the
        first one decides that for all that have these columns, for to ask each would be to open it twice.
        """
        path, files = file.path, self._filesystem
        failures = self._table.reaching(f"staged file {path}")
        with naming_files([file]), failures, files.open_input_file(path) as stored:
            is_small = file.size <= SMALL_BYTES
            source = pa.BufferReader(stored.read_buffer()) if is_small else stored
            texts = self._texts if is_small else None
            try:
                parquet = pq.ParquetFile(source, read_dictionary=texts)
            except KeyError:  # it lacks one of these columns
                texts, parquet = None, pq.ParquetFile(source)
            if texts is None and parquet.metadata.num_rows:
                texts = _repeated_texts(parquet.metadata)
                if is_small:
                    self._texts = texts
                elif texts:
                    parquet = pq.ParquetFile(source, metadata=parquet.metadata, read_dictionary=texts)
            yield parquet


def batch_rows(metadata: pq.FileMetaData) -> int:
    """Return how many rows of a file are read at once, so that they are not too large in memory."""
    every = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
    sizes = [(group.num_rows, group.total_byte_size) for group in every if group.num_rows]
    fitting = max(1, min([BATCH_ROWS, *(BATCH_BYTES * rows // max(size, 1) for rows, size in sizes)]))
    groups = sizes[0][0] if sizes else 0
    return groups if fitting // 2 < groups <= fitting else fitting  # a batch of two groups is read in pieces


@contextmanager
def naming_files(files: Sequence[FoundFile]) -> Iterator[None]:
    """Say of which file an error is; one that is no Parquet, or is gone, is the engine's fault.

    Args:
        files: the file, or that of each piece of rows that are looked at together.

    """
    first, last = files[0], files[-1]
    name = f"the file {first.name}"
    if first is not last:
        count = len({file.path for file in files})
        name = f"one of the {number_of(count, 'file')} from {first.name} to {last.name}"
    try:
        yield
    except DataRefused as error:
        if not any(file.name in error.problem for file in files):
            error.problem = f"{name}: {error.problem}"
        raise
    except StoreFailed as error:
        cause = error.__cause__
        if isinstance(cause, FileNotFoundError):
            raise DataRefused(f"{name} is not there any more.", AGAIN) from cause
        if isinstance(cause, pa.ArrowException):
            raise DataRefused(
                f"{name} cannot be read as Parquet.", AGAIN, f"pyarrow says: {cause}"
            ) from cause
        raise


def _repeated_texts(metadata: pq.FileMetaData) -> list[str]:
    """Return the columns of texts, and of bytes, that the first row group holds once for many rows."""
    group = metadata.row_group(0)
    return [
        chunk.path_in_schema
        for chunk in map(group.column, range(group.num_columns))
        if chunk.physical_type == "BYTE_ARRAY"
        and "." not in chunk.path_in_schema
        and chunk.has_dictionary_page
        and chunk.total_uncompressed_size < _ENCODED_BYTES * group.num_rows
    ]
