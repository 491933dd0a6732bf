"""Unique keys: how many rows have a key that another one has, and which keys these are."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from practicus_assets.lake.contracts.breaches import AuditedPartitions, Breaches, add
from practicus_assets.lake.rows.chunks import BATCH_ROWS
from practicus_assets.lake.rows.distinct import Counts
from practicus_assets.lake.rows.fingerprints.hashes import Hashes, hash_rows
from practicus_assets.lake.rows.key_hashes import KeyHashes
from practicus_assets.lake.rows.samples import shown

_AT_ONCE = 1 << 21  # keys that are counted while the rows are read once more

Rescan = Callable[[Sequence[str] | None], pa.RecordBatchReader]


class Doubled(NamedTuple):
    """Rows whose key another row has.

    Attributes:
        surplus: how many rows are too many.
        sample: some of the keys.
        breaches: the rows that are too many, by partition; None where there are none, or nobody tells.

    """

    surplus: int
    sample: list[dict[str, Any]]
    breaches: Breaches | None


def doubled(
    columns: Sequence[str],
    hashes: KeyHashes,
    rescans: Sequence[Rescan],
    partitions: AuditedPartitions | None,
    sample_rows: int,
) -> Doubled:
    """Find the keys that several rows have.

    Hashes that come twice say which keys may be so. Only where there are any, the keys themselves are
    counted, for which the rows are read once more for each two millions of them.

    Args:
        columns: the columns of the key.
        hashes: the hash of each row's key.
        rescans: stream the rows once more, only the given columns.
        partitions: the partitions that are told apart.
        sample_rows: how many keys to return at most, and in each partition.

    Raises:
        StoreFailed: if the disk that has the hashes, or the store that has the rows, is failing.

    """
    surplus, sample, breaches = 0, list[dict[str, Any]](), Breaches()
    told = partitions  # None once the keys do not tell partitions apart
    for suspects in _collected(hashes.twice()):
        counts = _counted(columns, suspects, rescans)
        twice = counts.filter(pc.greater(counts.columns[-1], 1))
        keys = twice.select(range(len(columns))).rename_columns(list(columns))
        further = twice.columns[-1].to_numpy() - 1
        surplus += int(further.sum())
        sample += shown(keys.slice(0, sample_rows - len(sample)))
        for rows in _repeated(keys, further):
            found = told.breaches(rows, sample_rows) if told is not None else None
            if found is None:
                told = None
                break
            add(breaches, found, sample_rows)
    return Doubled(surplus, sample, breaches if surplus and told is not None else None)


def _collected(pieces: Iterator[Hashes]) -> Iterator[Hashes]:
    """Yield sorted hashes in pieces that are about as long as they may be; none that is empty."""
    waiting: list[Hashes] = []
    for piece in pieces:
        for start in range(0, len(piece), _AT_ONCE):
            part = piece[start : start + _AT_ONCE]
            if waiting and sum(map(len, waiting)) + len(part) > _AT_ONCE:
                yield np.concatenate(waiting)
                waiting = []
            waiting.append(part)
    if waiting:
        yield np.concatenate(waiting)


def _counted(columns: Sequence[str], suspects: Hashes, rescans: Sequence[Rescan]) -> pa.Table:
    """Return the keys that have one of these hashes, with how many rows have them as the last column."""
    counts = Counts()
    for rescan in rescans:
        for batch in rescan(columns):
            hashes = hash_rows(batch, columns)
            at = np.minimum(np.searchsorted(suspects, hashes), len(suspects) - 1)
            keys = pa.table(batch.filter(pa.array(suspects[at] == hashes)))
            if any(pa.types.is_nested(field.type) for field in keys.schema):
                texts = [pa.array(map(repr, column.to_pylist()), pa.string()) for column in keys.columns]
                keys = pa.table(texts, names=keys.column_names)
            counts.add(keys)
    return counts.result()


def _repeated(keys: pa.Table, times: "np.ndarray[Any, np.dtype[np.int64]]") -> Iterator[pa.Table]:
    """Yield each key so many times, in their order, and not too many rows at once."""
    ends = np.cumsum(times)
    for start in range(0, int(ends[-1]) if len(ends) else 0, BATCH_ROWS):
        rows = np.arange(start, min(start + BATCH_ROWS, int(ends[-1])))
        yield keys.take(pa.array(np.searchsorted(ends, rows, side="right")))
