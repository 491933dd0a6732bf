"""Shares: the rows of a pinned snapshot that one split reads; those of all splits are each row, once."""

from collections.abc import Iterator, Sequence
from functools import cached_property

import numpy as np
import pyarrow as pa

from practicus_assets.engines.splits import Split
from practicus_assets.errors import DeclarationError
from practicus_assets.lake.delta.data_file import DataFile
from practicus_assets.lake.delta.files import read_file
from practicus_assets.lake.delta.notebooks.answer import Select
from practicus_assets.lake.delta.snapshot import Snapshot
from practicus_assets.lake.rows.fingerprints.hashes import hash_rows

_UNREAD = {"columnMapping", "deletionVectors", "typeWidening", "typeWidening-preview"}


class SnapshotShare(Snapshot):
    """The rows of a snapshot that one split reads.

    Without a column to divide by, the rows are cut in the order of the version's files, so that each split
    reads its own files or parts of files alone. Where that cannot be (a table over a base, deletion vectors,
    nested columns, a predicate of the input), each split reads all rows, and keeps those whose hash is its
    own. By a column, a split keeps the rows whose value has a hash of its own; where the table is partitioned
    by the column, it opens no other files.

    Args:
        whole: the snapshot.
        split: the split.
        by: the column to divide by; None for none.
        has_predicate: whether the input has one.

    """

    def __init__(
        self,
        whole: Snapshot,
        split: Split,
        by: str | None = None,
        *,
        has_predicate: bool = False,
    ) -> None:
        super().__init__(whole._at, whole.scope)  # noqa: SLF001 of the same class
        self._whole = whole
        self._split = split
        self._by = by
        self._has_predicate = has_predicate

    @property
    def schema(self) -> pa.Schema:
        """The columns, as Arrow types."""
        return self._whole.schema

    @property
    def row_count(self) -> int | None:
        """How many rows `scan()` reads, by the log; None where only reading tells it."""
        if self._by is not None or self._has_predicate or self._files is None:
            return None
        return sum(last - first for _, first, last in self._ranges(self._files))

    @property
    def table_row_count(self) -> int | None:
        """How many rows the whole table has, by the log; None if the log does not say it of some file."""
        return self._whole.table_row_count

    @cached_property
    def partition_files(self) -> dict[str, list[DataFile]]:
        """The data files of each partition of the scope, by key; the other splits read of them, too."""
        return self._whole.partition_files

    @cached_property
    def partition_rows(self) -> dict[str, int | None]:
        """How many rows each partition of the scope has in all splits, by key; None if nobody says it."""
        return self._whole.partition_rows

    def without_rows(self) -> Snapshot:
        """Return the same version with its columns, of which no row is read."""
        return self._whole.without_rows()

    def by_partition(self, *, with_rows: bool = False) -> dict[str, Snapshot]:
        """Return this split's share of each partition of the scope, by key.

        Args:
            with_rows: whether partitions that have no rows in any split are left out.

        """
        parts = self._whole.by_partition(with_rows=with_rows)
        return {
            key: SnapshotShare(part, self._split, self._by, has_predicate=self._has_predicate)
            for key, part in parts.items()
        }

    def _streams(self, names: Sequence[str], predicate: str | None) -> Iterator[pa.RecordBatchReader]:
        schema = pa.schema([self.schema.field(name) for name in names])
        return iter([pa.RecordBatchReader.from_batches(schema, self._read(names, predicate))])

    def _read(self, names: Sequence[str], predicate: str | None) -> Iterator[pa.RecordBatch]:
        files = self._files if not self._has_predicate else None
        if self._by is None and files is not None:
            if predicate is not None:
                raise DeclarationError(
                    f"the predicate {predicate!r} is for a snapshot that splits divide by its files.",
                    "Filter the rows in the function, or write the predicate into the input's metadata: "
                    '{"delta/predicate": …}.',
                )
            yield from self._read_files(names, self._ranges(files))
        elif self._by in self._at.partition_by and files is not None and predicate is None:
            own = [file for file in files if self._has(file)]
            yield from self._read_files(names, [(file, 0, file.rows or 0) for file in own])
        else:
            yield from self._hashed(names, predicate)

    def _read_files(
        self, names: Sequence[str], ranges: Sequence[tuple[DataFile, int, int]]
    ) -> Iterator[pa.RecordBatch]:
        for file, first, last in ranges:
            yield from read_file(self._at.table, file, self.schema, names, rows=(first, last))

    def _hashed(self, names: Sequence[str], predicate: str | None) -> Iterator[pa.RecordBatch]:
        """Read all rows, and keep those whose hash is this split's."""
        keys = [self._by] if self._by is not None else self.schema.names
        read = [*names, *(key for key in keys if key not in names)]
        for batch in self._whole.scan(read, predicate):
            own = hash_rows(batch, keys) % np.uint64(self._split.count) == self._split.index
            yield batch.filter(pa.array(own)).select(list(names))

    def _has(self, file: DataFile) -> bool:
        """Return whether the rows of a file of a partition are this split's."""
        assert self._by is not None, "files are told apart by a column"
        value = pa.array([file.values[self._by]], self.schema.field(self._by).type)
        hashes = hash_rows(pa.record_batch([value], [self._by]), [self._by])
        return bool(hashes[0] % np.uint64(self._split.count) == self._split.index)

    def _ranges(self, files: Sequence[DataFile]) -> list[tuple[DataFile, int, int]]:
        """Return this split's files, each with its first row, and the one behind its last."""
        counts = [file.rows or 0 for file in files]
        total, index, count = sum(counts), self._split.index, self._split.count
        low, high = total * index // count, total * (index + 1) // count
        ranges, begin = [], 0
        for file, rows in zip(files, counts, strict=True):
            first, last = max(low - begin, 0), min(high - begin, rows)
            if first < last:
                ranges.append((file, first, last))
            begin += rows
        return ranges

    @cached_property
    def _files(self) -> list[DataFile] | None:
        """The files of the scope in one order; None where their rows are not to be read from them alone."""
        whole, at = self._whole, self._at
        is_plain = (
            type(whole) is Snapshot
            and not at.features & _UNREAD
            and at.configuration.get("delta.columnMapping.mode", "none") == "none"
            and not any(pa.types.is_nested(field.type) for field in self.schema)
            and set(self.scope.columns) <= set(at.partition_by)
        )
        if not is_plain or whole.row_count is None:
            return None
        if whole.row_count == 0:  # also of a snapshot without rows
            return []
        parts = whole.partition_files.values() if self.scope.keys else [at.files()]
        files = sorted((file for part in parts for file in part), key=lambda file: file.path)
        return None if any(file.deleted or file.rows is None for file in files) else files

    def _selects(self) -> list[Select]:
        """Refuse SQL, which would read the rows of the other splits, too."""
        raise DeclarationError(
            "a snapshot that splits divide is no table for SQL.",
            "Read it, with scan or to_arrow, and query what you have read.",
        )

    def __repr__(self) -> str:
        return f"{self._whole!r} ({self._split})"
