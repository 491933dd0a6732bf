"""Diffs: what changed between two versions of a table, down to its rows."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from practicus_assets.lake.delta.data_file import DataFile
from practicus_assets.lake.delta.files import read_file
from practicus_assets.lake.delta.protocol import refuse_unsupported
from practicus_assets.lake.delta.table import Table, TableVersion
from practicus_assets.lake.partitions.recorded import RecordedScope
from practicus_assets.lake.partitions.values import serialized
from practicus_assets.lake.rows.fingerprints.hashes import Hashes, hash_rows
from practicus_assets.lake.rows.samples import shown
from practicus_assets.lake.upkeep.progress import Progress, unseen

_Values = tuple[tuple[str, Any], ...]


@dataclass(frozen=True)
class Side:
    """One of the two versions: its columns with their types, and what it holds."""

    version: int
    columns: Mapping[str, str]
    rows: int
    files: int
    bytes: int


@dataclass(frozen=True)
class PartitionDiff:
    """A partition whose rows differ.

    Attributes:
        partition: the values of its columns; empty for a table without partitions.
        rows_before, rows_after: how many it has.
        lost, gained: how many rows of the one version the other does not have.

    """

    partition: Mapping[str, Any]
    rows_before: int
    rows_after: int
    lost: int
    gained: int


@dataclass(frozen=True)
class Diff:
    """What changed from one version to another.

    Attributes:
        before, after: the two versions.
        compared: the columns that rows were compared by: those that both have with the same type.
        partitions: those whose rows differ.
        rewritten: how many partitions have other files and the same rows, as after a compaction.
        lost, gained: some rows that only one of them has.

    """

    before: Side
    after: Side
    compared: tuple[str, ...]
    partitions: tuple[PartitionDiff, ...]
    rewritten: int
    lost: tuple[Mapping[str, Any], ...]
    gained: tuple[Mapping[str, Any], ...]


def diff_versions(
    table: Table,
    before: int,
    after: int,
    *,
    samples: int = 5,
    within: RecordedScope | None = None,
    progress: Progress = unseen,
) -> Diff:
    """Compare two versions. Only files that one of them has and the other has not are read.

    Args:
        table: the table.
        before: the version to compare with.
        after: the version to compare.
        samples: how many lost and gained rows to return at most; never more than the table's `sample_rows`.
        within: the partitions to compare; all by default.
        progress: the callback that gets how many partitions are done, of how many.

    Raises:
        VersionGone: if a version, or one of its files, was vacuumed away.
        UnsupportedTable: for features that files alone do not tell, such as deletion vectors.

    """
    samples = min(samples, table.sample_rows)
    handles = [table.open(version) for version in (before, after)]
    for handle in handles:
        refuse_unsupported(handle, handle.partition_by)
    sides = [_side(handle) for handle in handles]
    schemas = [handle.schema for handle in handles]
    compared = comparable(*schemas)
    files = [_by_partition(handle, within) for handle in handles]
    changed = sorted({*files[0], *files[1]}, key=repr)
    partitions: list[PartitionDiff] = []
    rewritten = 0
    lost: list[Mapping[str, Any]] = []
    gained: list[Mapping[str, Any]] = []
    for done, values in enumerate(changed):
        progress(done, len(changed))
        old, new = (each.get(values, {}) for each in files)
        only_old = [old[path] for path in old.keys() - new.keys()]
        only_new = [new[path] for path in new.keys() - old.keys()]
        if not only_old and not only_new:
            continue
        pair = Pair((table, table), schemas, compared, (only_old, only_new))
        if not len(pair.lost) and not len(pair.gained):
            rewritten += 1
            continue
        was, now = (sum(file.rows or 0 for file in each.values()) for each in (old, new))
        partitions.append(PartitionDiff(dict(values), was, now, len(pair.lost), len(pair.gained)))
        lost += pair.sample(0, samples - len(lost))
        gained += pair.sample(1, samples - len(gained))
    progress(len(changed), len(changed))
    return Diff(sides[0], sides[1], tuple(compared), tuple(partitions), rewritten, tuple(lost), tuple(gained))


def comparable(before: pa.Schema, after: pa.Schema) -> list[str]:
    """Return the columns that two schemas have with the same type."""
    return [f.name for f in after if f.name in before.names and before.field(f.name).equals(f)]


def _side(handle: TableVersion) -> Side:
    files = handle.files()
    return Side(
        handle.version,
        {f.name: str(f.type) for f in handle.schema},
        sum(file.rows or 0 for file in files),
        len(files),
        sum(file.size for file in files),
    )


def _by_partition(handle: TableVersion, within: RecordedScope | None) -> dict[_Values, dict[str, DataFile]]:
    files: dict[_Values, dict[str, DataFile]] = {}
    for file in handle.files():
        if within is not None and not _is_inside(file, within):
            continue
        files.setdefault(tuple(file.values.items()), {})[file.path] = file
    return files


def _is_inside(file: DataFile, scope: RecordedScope) -> bool:
    """Return whether a file may hold rows of a scope."""
    if any(column not in file.values for column in scope.columns):
        return True  # the table is partitioned by other columns now
    values = [file.values[column] for column in scope.columns]
    texts = tuple(serialized(value) for value in values if value is not None)
    return len(texts) == len(values) and scope.overlaps(RecordedScope(scope.columns, (texts,)))


class Pair:
    """The rows of two sets of files, compared as multisets of hashes.

    Args:
        tables: the table of each set.
        schemas: the columns of each.
        columns: the names of the columns by which rows are compared.
        files: the two sets.

    Attributes:
        lost, gained: the hashes that only the first, or only the second set has, each as often as that.

    """

    def __init__(
        self,
        tables: tuple[Table, Table],
        schemas: Sequence[pa.Schema],
        columns: Sequence[str],
        files: tuple[Sequence[DataFile], Sequence[DataFile]],
    ) -> None:
        self._tables = tables
        self._schemas = schemas
        self._columns = columns
        self._files = files
        first, second = (self._hashes(side) for side in (0, 1))
        self.lost, self.gained = _without(first, second), _without(second, first)

    def sample(self, side: int, count: int) -> Iterator[Mapping[str, Any]]:
        """Yield some rows that only one side has."""
        left = Counter((self.gained if side else self.lost).tolist())
        for batch in self._batches(side) if left else ():
            hashes = hash_rows(batch, self._columns)
            for position in np.flatnonzero(np.isin(hashes, np.array(list(left), dtype=np.uint64))):
                if count <= 0:
                    return
                if left[int(hashes[position])]:
                    left[int(hashes[position])] -= 1
                    count -= 1
                    yield from shown(batch.slice(position, 1))

    def _hashes(self, side: int) -> Hashes:
        hashes = [hash_rows(batch, self._columns) for batch in self._batches(side)]
        return np.concatenate(hashes) if hashes else np.zeros(0, dtype=np.uint64)

    def _batches(self, side: int) -> Iterator[pa.RecordBatch]:
        for file in self._files[side]:
            yield from read_file(self._tables[side], file, self._schemas[side], self._columns)


def _without(these: Hashes, those: Hashes) -> Hashes:
    """Return the elements of the one that the other lacks, counting repetitions."""
    values, counts = np.unique(these, return_counts=True)
    other, other_counts = np.unique(those, return_counts=True)
    at = np.searchsorted(other, values)
    inside = at < len(other)
    same = np.zeros(len(values), dtype=bool)
    same[inside] = other[at[inside]] == values[inside]
    left = counts.copy()
    left[same] -= other_counts[at[same]]
    return np.repeat(values, np.maximum(left, 0))
