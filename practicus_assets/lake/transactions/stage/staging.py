"""Staged files: Parquet beside the table's own, seen by nobody until a commit names them."""

import uuid
from collections.abc import Sequence
from functools import partial

import pyarrow as pa

from practicus_assets.lake.delta.table import Table
from practicus_assets.lake.partitions.values import folder
from practicus_assets.lake.rows.distinct import repetitive_columns
from practicus_assets.lake.rows.fingerprints.fingerprint import Fingerprint
from practicus_assets.lake.rows.fingerprints.hashes import Hashes
from practicus_assets.lake.transactions.stage.parquet_sink import FolderWriter, ParquetSink
from practicus_assets.lake.transactions.stage.staged import StagedFile, Values, delete_files
from practicus_assets.lake.transactions.stage.statistics import Statistics
from practicus_assets.lake.transactions.stage.writer_threads import WriterThreads

_BUFFERED_BYTES = 256 << 20  # over all partitions, before the largest buffer is written
_WAITING_BYTES = 64 << 20  # of batches that the writer thread has not come to
_ROW_GROUP_ROWS = 1 << 17
_ROW_GROUP_BYTES = 64 << 20
_FILE_BYTES = 256 << 20  # a file that reached this is closed and another begun
_OPEN_FILES = 64
_CLOSERS, _STORE_CLOSERS = 2, 8  # files that are closed at a time; a store takes some requests for each
_BATCH_BYTES = 1024  # what a column of a waiting batch takes besides its values
_HEAD_BYTES = 64 << 10  # of the first rows of a file, which are kept for previews
_HEADS_BYTES = 4 << 20  # of those of all files; of a partition the first file has some


class Staging:
    """Writes batches to files of their partitions, in bounded memory, and fingerprints each partition.

    The files are written by a thread of their own; those that are open in the end, such as the small ones of
    many partitions, are closed side by side. `finish` and `discard` end all threads.

    Args:
        table: where the files go.
        schema: the table's columns.
        partition_by: the columns that are written into paths and not into files.

    """

    def __init__(self, table: Table, schema: pa.Schema, partition_by: Sequence[str]) -> None:
        self.schema = schema
        self.partition_by = tuple(partition_by)
        self.files: list[StagedFile] = []
        self.fingerprints: dict[Values, Fingerprint] = {}
        # a column of type void is in no file, or polars could not read the table
        stored = [f for f in schema if f.name not in partition_by and not pa.types.is_null(f.type)]
        self._file_schema = pa.schema(stored)
        self._writer = FolderWriter(table)
        self._table = table
        self._thread = WriterThreads(_WAITING_BYTES)
        closers = _CLOSERS if table.local_path is not None else _STORE_CLOSERS
        self._closers = WriterThreads(_WAITING_BYTES, closers)
        self._open: dict[Values, _File] = {}
        self._begun: dict[Values, None] = {}  # those of them that are on the disk already, oldest first
        self._buffered = 0
        self._paths: list[str] = []
        self._with_head: set[Values] = set()
        self._heads_bytes = 0

    def add(self, batch: pa.RecordBatch, values: Values, hashes: Hashes | None = None) -> None:
        """Write rows of one partition.

        Args:
            batch: the rows, with the table's columns.
            values: the partition's values.
            hashes: the hash of each row; None where nobody needs a fingerprint.

        """
        if hashes is not None:
            self.fingerprints.setdefault(values, Fingerprint()).add(hashes)
        rows = batch.select(self._file_schema.names)
        size = rows.nbytes + _BATCH_BYTES * rows.num_columns
        measured = None
        if self._thread.is_behind:  # so this one has the time
            measured = Statistics(self._file_schema)
            measured.add(rows)
        self._thread.do(partial(self._store, rows, values, size, measured), size)

    def _store(self, rows: pa.RecordBatch, values: Values, size: int, measured: Statistics | None) -> None:
        file = self._open.get(values)
        if file is None:
            file = self._open[values] = self._begin(values)
        file.add(rows, size, measured)
        self._buffered += size
        if file.is_row_group:
            self._flush(values)
        if file.is_full and values in self._open:
            self._close(values)
        while self._buffered > _BUFFERED_BYTES:
            self._flush(max(self._open, key=lambda key: self._open[key].buffered))

    def finish(self) -> list[StagedFile]:
        """Close every file and return them all."""
        self._thread.finish()
        files = list(self._open.values())
        for file in files[:-1]:
            self._closers.do(file.close, file.buffered)
        for file in files[-1:]:  # mostly the only one, for which no thread is begun
            file.close()
        self._closers.finish()
        for values in list(self._open):
            self._take(values)
        return self.files

    def discard(self) -> None:
        """Delete every staged file; nothing refers to them."""
        self._thread.stop()
        self._closers.stop()
        for file in self._open.values():
            file.abandon()
        self._open.clear()
        self._begun.clear()
        self._buffered = 0
        delete_files(self._table, self._paths)
        self._paths.clear()
        self.files.clear()

    def _begin(self, values: Values) -> "_File":
        folders = [folder(c, v) for c, v in zip(self.partition_by, values, strict=True)]
        path = "/".join([*folders, f"part-{uuid.uuid4()}.zstd.parquet"])
        self._paths.append(path)
        return _File(path, self._writer, self._file_schema, self._table.sample_rows)

    def _flush(self, values: Values) -> None:
        file = self._open[values]
        self._buffered -= file.buffered
        file.flush()
        self._begun[values] = None
        if len(self._begun) > _OPEN_FILES:
            self._close(next(iter(self._begun)))

    def _close(self, values: Values) -> None:
        file = self._open[values]
        self._buffered -= file.buffered
        file.close()
        self._take(values)

    def _take(self, values: Values) -> None:
        """Take a file that was closed; one that failed to is still to be abandoned."""
        file = self._open.pop(values)
        self._begun.pop(values, None)
        head = self._within_bounds(file.head, values)
        statistics = file.statistics.result(file.rows)
        self.files.append(StagedFile(file.path, file.size, file.rows, values, statistics, head=head))

    def _within_bounds(self, head: pa.RecordBatch | None, values: Values) -> pa.RecordBatch | None:
        """Return the first rows of a file, if its partition has none yet and they are not too many bytes."""
        if head is None or values in self._with_head or self._heads_bytes + head.nbytes > _HEADS_BYTES:
            return None
        self._with_head.add(values)
        self._heads_bytes += head.nbytes
        return head


class _File:
    """One Parquet file: rows wait in memory for their row group; the first row group opens the file."""

    def __init__(self, path: str, writer: FolderWriter, schema: pa.Schema, head_rows: int) -> None:
        self.path = path
        self.size = 0  # until it is closed
        self.rows = 0
        self.statistics = Statistics(schema)
        self.buffered = 0
        self.head: pa.RecordBatch | None = None
        self._head_rows = head_rows
        self._writer = writer
        self._sink: ParquetSink | None = None
        self._schema = schema
        self._waiting: list[pa.RecordBatch] = []
        self._waiting_rows = 0

    def add(self, batch: pa.RecordBatch, size: int, measured: Statistics | None) -> None:
        if measured is not None:
            self.statistics.merge(measured)
        else:
            self.statistics.add(batch)
        self._waiting.append(batch)
        self._waiting_rows += batch.num_rows
        self.rows += batch.num_rows
        self.buffered += size

    @property
    def is_row_group(self) -> bool:
        return self._waiting_rows >= _ROW_GROUP_ROWS or self.buffered >= _ROW_GROUP_BYTES

    @property
    def is_full(self) -> bool:
        return self._sink is not None and self._sink.size >= _FILE_BYTES

    def flush(self) -> ParquetSink:
        rows = pa.Table.from_batches(self._waiting, self._schema)
        if self._sink is None:
            self._sink = self._writer.begin(self.path, self._schema, repetitive_columns(rows))
            self.head = _copied(rows.slice(0, self._head_rows))
        if rows.num_rows:
            self._sink.write(rows, _ROW_GROUP_ROWS)
        self._waiting, self._waiting_rows, self.buffered = [], 0, 0
        return self._sink

    def close(self) -> None:
        self.size = self.flush().close()

    def abandon(self) -> None:
        if self._sink is not None:
            self._sink.abandon()


def _copied(first: pa.Table) -> pa.RecordBatch | None:
    """Return first rows without the memory of the others; None if there is none, or they are large."""
    if not first.num_rows or first.nbytes > _HEAD_BYTES:
        return None
    [copy] = first.take(pa.array(range(first.num_rows), pa.int64())).combine_chunks().to_batches()
    return copy
