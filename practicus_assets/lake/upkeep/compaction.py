"""Compaction: rewrites a partition's files into few large ones, with the same rows, beside writers.

delta-rs's own `optimize` commits on top of commits that it has not seen; here the commit is a compare-and-set
and lands only while every file that it replaces is still part of the table.
"""

import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from deltalake import CommitProperties

from practicus_assets.errors import CommitStateUnknown, PracticusAssetsError, SchemaMismatch, UnsupportedTable
from practicus_assets.lake.delta.data_file import DataFile, stored_path
from practicus_assets.lake.delta.failures import CommitUnsettled, in_one_line
from practicus_assets.lake.delta.files import read_file
from practicus_assets.lake.delta.log import entries
from practicus_assets.lake.delta.protocol import refuse_unsupported
from practicus_assets.lake.delta.record import UPKEEP, UpkeepRecord
from practicus_assets.lake.delta.table import Table, TableVersion
from practicus_assets.lake.partitions.values import is_null
from practicus_assets.lake.transactions.pauses import pauses
from practicus_assets.lake.transactions.stage.staging import Staging
from practicus_assets.lake.transactions.swap import removal
from practicus_assets.lake.upkeep.progress import Progress, unseen
from practicus_assets.wording import names_of, number_of, readable_row

TARGET_BYTES = 128 << 20
_COMMIT_BYTES = 1 << 30
_COMMIT_PARTITIONS = 100
_BATCH_ROWS = 1 << 17
_CURVE_BITS = 64


@dataclass(frozen=True)
class Compaction:
    """What was rewritten, or would be.

    Attributes:
        partitions: how many.
        files_before, files_after: of these partitions; `files_after` is None if nothing was written.
        bytes: of the files that were replaced.
        overtaken: partitions that a writer replaced meanwhile, which were left alone.

    """

    partitions: int
    files_before: int
    files_after: int | None
    bytes: int
    overtaken: int = 0


def compact(
    table: Table,
    *,
    order_by: Sequence[str] = (),
    target_bytes: int = TARGET_BYTES,
    run_id: str = "",
    dry_run: bool = False,
    progress: Progress = unseen,
) -> Compaction:
    """Rewrite the partitions that have several files below half the target, many of them in one commit.

    Args:
        table: the table.
        order_by: sort the rows of each partition along a Z-order curve of these columns, so that files and
            row groups hold little of each; then each partition is rewritten, in memory, unless it is in that
            order already.
        target_bytes: files that are at least half as large are left alone, but for `order_by`.
        run_id: who does it, for the history.
        dry_run: only count.
        progress: the callback that gets how many partitions are done, of how many.

    Raises:
        UnsupportedTable: for tables to which staged files must not be committed.
        CommitStateUnknown: if the store did not say whether a commit landed.

    """
    handle = table.open()
    partition_by = handle.partition_by
    refuse_unsupported(handle, partition_by)
    schema = handle.schema
    odd = [c for c in order_by if c not in schema.names or c in partition_by]
    if odd:
        raise SchemaMismatch(
            f"{table.name} has no {names_of('column', odd)} to order by.", "Name columns of its files."
        )
    operation = f"z-order by {', '.join(order_by)}" if order_by else "compact"
    groups = _groups(table, handle, target_bytes, operation if order_by else "")
    before = sum(map(len, groups))
    size = sum(file.size for group in groups for file in group)
    if dry_run:
        return Compaction(len(groups), before, None, size)
    after = overtaken = done = 0
    for batch in _batches(groups):
        record = UpkeepRecord(operation, run_id, str(uuid.uuid4()))
        rewrite = _Rewrite(table, schema, partition_by, order_by, record)
        try:
            for group in batch:
                progress(done, len(groups))
                rewrite.stage(group)
                done += 1
            written, lost = rewrite.land()
        except BaseException:
            rewrite.discard()
            raise
        after += written
        overtaken += lost
    progress(len(groups), len(groups))
    return Compaction(len(groups) - overtaken, before, after, size, overtaken)


def _batches(groups: Sequence[list[DataFile]]) -> Iterator[list[list[DataFile]]]:
    """Yield partitions that are rewritten in one commit: not so many that a commit takes long to prepare."""
    batch: list[list[DataFile]] = []
    for group in groups:
        batch.append(group)
        if (
            sum(file.size for files in batch for file in files) >= _COMMIT_BYTES
            or len(batch) >= _COMMIT_PARTITIONS
        ):
            yield batch
            batch = []
    if batch:
        yield batch


def _groups(table: Table, handle: TableVersion, target_bytes: int, ordered: str) -> list[list[DataFile]]:
    """Return the files to rewrite, by partition."""
    by_values: dict[tuple[object, ...], list[DataFile]] = {}
    for file in handle.files():
        if not any(is_null(value) for value in file.values.values()):  # others wrote these: left alone
            by_values.setdefault(tuple(file.values.values()), []).append(file)
    if not ordered:
        small = [[f for f in files if 2 * f.size < target_bytes] for files in by_values.values()]
        return [files for files in small if len(files) > 1]
    in_order = {
        stored_path(action["path"])
        for entry in entries(table, handle.version)
        if entry.upkeep is not None and entry.upkeep.operation == ordered
        for action in entry.added
    }
    return [files for files in by_values.values() if any(file.path not in in_order for file in files)]


class _Rewrite:
    """One commit that replaces files of some partitions by others with the same rows."""

    def __init__(
        self,
        table: Table,
        schema: pa.Schema,
        partition_by: Sequence[str],
        order_by: Sequence[str],
        record: UpkeepRecord,
    ) -> None:
        self._table = table
        self._schema = schema
        self._partition_by = partition_by
        self._order_by = order_by
        self._record = record
        self._staged: list[tuple[Sequence[DataFile], Staging]] = []
        self._in_doubt = False  # whether the staged files may belong to the table already

    def stage(self, files: Sequence[DataFile]) -> None:
        """Write the rows of one partition's files to new files."""
        stored = {name for file in files for name in _columns(self._table, file)}
        # a column that came later stays out of files that never had it
        schema = pa.schema([f for f in self._schema if f.name in stored or f.name in self._partition_by])
        staging = Staging(self._table, schema, self._partition_by)
        self._staged.append((files, staging))
        values: Any = tuple(files[0].values[column] for column in self._partition_by)
        for batch in self._rows(files, schema):
            staging.add(batch, values)
        staging.finish()
        rows = sum(file.rows for file in staging.files)
        recorded = [file.rows for file in files]
        if None not in recorded and rows != sum(count or 0 for count in recorded):
            raise UnsupportedTable(
                f"the files of {readable_row(files[0].values)} have {number_of(rows, 'row')}, and the log "
                f"says {recorded}.",
                f"Nothing was written. Look at it with practicus-assets verify {self._table.name}.",
            )

    def land(self) -> tuple[int, int]:
        """Commit; return the number of new files, and of partitions that a writer replaced meanwhile."""
        overtaken, waits = 0, pauses()
        while True:
            handle = self._table.open()
            overtaken += self._drop_overtaken(handle)
            written = sum(len(staging.files) for _, staging in self._staged)
            if not written:
                return 0, overtaken
            self._in_doubt = True
            try:
                self._commit(handle)
            except CommitUnsettled as error:
                if self._landed(handle.version, error):
                    return written, overtaken
            else:
                return written, overtaken
            self._in_doubt = False
            time.sleep(next(waits))

    def discard(self) -> None:
        """Delete the staged files, unless a commit may have named them."""
        if not self._in_doubt:
            for _, staging in self._staged:
                staging.discard()

    def _rows(self, files: Sequence[DataFile], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        batches = (batch for file in files for batch in read_file(self._table, file, schema))
        if not self._order_by:
            yield from batches
            return
        rows = pa.Table.from_batches(batches, schema)
        yield from rows.take(pa.array(_curve(rows, self._order_by))).combine_chunks().to_batches(_BATCH_ROWS)

    def _drop_overtaken(self, handle: TableVersion) -> int:
        """Discard what was staged of partitions whose old files are no longer part of the table."""
        refuse_unsupported(handle, self._partition_by)
        current = {file.path for file in handle.files()}
        left = [pair for pair in self._staged if {file.path for file in pair[0]} <= current]
        gone = [pair for pair in self._staged if pair not in left]
        for _, staging in gone:
            staging.discard()
        self._staged = left
        return len(gone)

    def _commit(self, handle: TableVersion) -> None:
        adds = [
            file.action(self._partition_by, new_rows=False)
            for _, staging in self._staged
            for file in staging.files
        ]
        removes = [
            removal(file, self._partition_by, loses_rows=False) for files, _ in self._staged for file in files
        ]
        properties = CommitProperties(custom_metadata={UPKEEP: self._record.to_json()}, max_commit_retries=0)
        handle.commit([*adds, *removes], handle.schema, properties)

    def _landed(self, before: int, error: CommitUnsettled) -> bool:
        """Return whether the commit landed that ended with an error; raise if nobody can know."""
        try:
            newest = self._table.open().version
            since = list(entries(self._table, newest, before + 1))
        except PracticusAssetsError:
            newest, since = before, []
        cause = error.__cause__ or error
        if newest == before or len(since) < newest - before:
            raise CommitStateUnknown(
                f"a compaction of {self._table.name} ended with {type(cause).__name__}: "
                f"{in_one_line(cause)}.",
                "Staged files are kept. Run it again.",
            ) from cause
        ids = {entry.upkeep.attempt_id for entry in since if entry.upkeep is not None}
        return self._record.attempt_id in ids


def _columns(table: Table, file: DataFile) -> list[str]:
    with table.parquet(file.path) as parquet:
        return list(parquet.schema_arrow.names)


def _curve(rows: pa.Table, columns: Sequence[str]) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    """Return the positions of rows along a Z-order curve: the bits of the columns' ranks, interleaved."""
    bits = min(_CURVE_BITS // len(columns), 16)
    code = np.zeros(rows.num_rows, dtype=np.uint64)
    for offset, column in enumerate(columns):
        ranks = pc.rank(rows[column], tiebreaker="dense").to_numpy().astype(np.float64) - 1
        scaled = (ranks * ((1 << bits) - 1) / max(1.0, ranks.max(initial=0))).astype(np.uint64)
        for bit in range(bits):
            lifted = (scaled >> np.uint64(bit)) & np.uint64(1)
            code |= lifted << np.uint64(bit * len(columns) + offset)
    return np.argsort(code, kind="stable")
