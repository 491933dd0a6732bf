"""Compaction: rewrites a partition's files into few large ones, with the same rows, beside writers.

delta-rs's own `optimize` commits on top of commits that it has not seen; here the commit is a compare-and-set,
and lands only while every file that it replaces is still part of the table.
"""

import json
import random
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake import CommitProperties, DeltaTable
from deltalake.exceptions import DeltaError
from deltalake.transaction import RemoveAction

from practicus_assets.errors import CommitStateUnknown, SchemaMismatch, UnsupportedTable
from practicus_assets.lake.files import DataFile, data_files, read_file, stored_path
from practicus_assets.lake.fingerprint import hash_rows
from practicus_assets.lake.log import UPKEEP, entries
from practicus_assets.lake.partition_values import is_null
from practicus_assets.lake.protocol import refuse_unsupported
from practicus_assets.lake.snapshot import arrow_schema
from practicus_assets.lake.staging import Staging
from practicus_assets.lake.storage import Table

TARGET_BYTES = 128 << 20
_BATCH_ROWS = 1 << 17
_LONGEST_PAUSE_S = 1.0
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
    watch: Callable[[int, int], None] = lambda _done, _total: None,
) -> Compaction:
    """Rewrite the partitions that have several files below half the target, in one commit each.

    Args:
        table: the table.
        order_by: sort the rows of each partition along a Z-order curve of these columns, so that files and
            row groups hold little of each; then each partition is rewritten, in memory, unless it is in that
            order already.
        target_bytes: files that are at least half as large are left alone, but for `order_by`.
        run_id: who does it, for the history.
        dry_run: only count.
        watch: is told how many of how many partitions are done.

    Raises:
        UnsupportedTable: for tables to which staged files must not be committed.
        CommitStateUnknown: if the store did not say whether a commit landed.

    """
    handle = table.open()
    partition_by = handle.metadata().partition_columns
    refuse_unsupported(handle, partition_by)
    schema = arrow_schema(handle)
    odd = [c for c in order_by if c not in schema.names or c in partition_by]
    if odd:
        raise SchemaMismatch(f"{table.name} has no columns {odd} to order by.", "Name columns of its files.")
    operation = f"z-order by {', '.join(order_by)}" if order_by else "compact"
    groups = _groups(table, handle, target_bytes, operation if order_by else "")
    before = sum(map(len, groups))
    size = sum(file.size for group in groups for file in group)
    if dry_run:
        return Compaction(len(groups), before, None, size)
    after = overtaken = 0
    for done, group in enumerate(groups):
        watch(done, len(groups))
        written = _Rewrite(table, schema, partition_by, group, order_by, operation, run_id).land()
        overtaken += written is None
        after += len(group) if written is None else written
    watch(len(groups), len(groups))
    return Compaction(len(groups) - overtaken, before, after, size, overtaken)


def _groups(table: Table, handle: DeltaTable, target_bytes: int, ordered: str) -> list[list[DataFile]]:
    """Return the files to rewrite, by partition."""
    by_values: dict[tuple[object, ...], list[DataFile]] = {}
    for file in data_files(handle):
        if not any(is_null(value) for value in file.values.values()):  # others wrote these: left alone
            by_values.setdefault(tuple(file.values.values()), []).append(file)
    if not ordered:
        small = [[f for f in files if 2 * f.size < target_bytes] for files in by_values.values()]
        return [files for files in small if len(files) > 1]
    in_order = {
        stored_path(action["path"])
        for entry in entries(table, handle.version())
        if (entry.upkeep or {}).get("operation") == ordered
        for action in entry.added
    }
    return [files for files in by_values.values() if any(file.path not in in_order for file in files)]


class _Rewrite:
    """One commit that replaces files of one partition by others with the same rows."""

    def __init__(
        self,
        table: Table,
        schema: pa.Schema,
        partition_by: Sequence[str],
        files: Sequence[DataFile],
        order_by: Sequence[str],
        operation: str,
        run_id: str,
    ) -> None:
        self._table = table
        self._partition_by = partition_by
        self._files = files
        self._order_by = order_by
        self._attempt = str(uuid.uuid4())
        self._record = {"operation": operation, "run_id": run_id, "attempt_id": self._attempt}
        stored = {name for file in files for name in _columns(table, file)}
        # a column that came later stays out of files that never had it
        self._schema = pa.schema([f for f in schema if f.name in stored or f.name in partition_by])

    def land(self) -> int | None:
        """Stage and commit; return the number of new files, or None if a writer replaced the old ones."""
        staging = Staging(self._table, self._schema, self._partition_by)
        in_doubt = False
        try:
            self._stage(staging)
            pause = 0.02
            while True:
                handle = self._table.open()
                if not self._still_there(handle):
                    staging.discard()
                    return None
                in_doubt = True
                try:
                    self._commit(handle, staging)
                except (DeltaError, OSError) as error:
                    if self._landed(handle.version(), error):
                        return len(staging.files)
                else:
                    return len(staging.files)
                in_doubt = False
                time.sleep(random.uniform(0, pause))  # noqa: S311 not cryptographic
                pause = min(2 * pause, _LONGEST_PAUSE_S)
        except BaseException:
            if not in_doubt:
                staging.discard()
            raise

    def _stage(self, staging: Staging) -> None:
        values = tuple(self._files[0].values[c] for c in self._partition_by)
        for batch in self._rows():
            staging.add(batch, values, hash_rows(batch, batch.schema.names))  # type: ignore[arg-type]
        staging.finish()
        rows = sum(file.rows for file in staging.files)
        told = [file.rows for file in self._files]
        if None not in told and rows != sum(count or 0 for count in told):
            raise UnsupportedTable(
                f"the files of {dict(self._files[0].values)} have {rows:,} rows, and the log says {told}.",
                f"Nothing was written. Look at it with practicus-assets verify {self._table.name}.",
            )

    def _rows(self) -> Iterator[pa.RecordBatch]:
        batches = (b for file in self._files for b in read_file(self._table, file, self._schema))
        if not self._order_by:
            yield from batches
            return
        rows = pa.Table.from_batches(batches, self._schema)
        yield from rows.take(pa.array(_curve(rows, self._order_by))).combine_chunks().to_batches(_BATCH_ROWS)

    def _still_there(self, handle: DeltaTable) -> bool:
        refuse_unsupported(handle, self._partition_by)
        return {file.path for file in self._files} <= {file.path for file in data_files(handle)}

    def _commit(self, handle: DeltaTable, staging: Staging) -> None:
        now_ms = int(time.time() * 1000)
        adds = [file.action(self._partition_by, new_rows=False) for file in staging.files]
        removes = [RemoveAction(file.path, False, now_ms) for file in self._files]  # noqa: FBT003 dataChange
        properties = CommitProperties(custom_metadata={UPKEEP: json.dumps(self._record)}, max_commit_retries=0)
        with self._table.redacted():
            handle.create_write_transaction(
                [*adds, *removes],
                "append",
                arrow_schema(handle),
                list(self._partition_by),
                commit_properties=properties,
            )

    def _landed(self, before: int, error: Exception) -> bool:
        """Return whether the commit landed that ended with an error; raise if nobody can know."""
        try:
            newest = self._table.open().version()
            found = list(entries(self._table, newest, before + 1))
        except (DeltaError, OSError):
            newest, found = before, []
        if newest == before or len(found) < newest - before:
            raise CommitStateUnknown(
                f"a compaction of {self._table.name} ended with {type(error).__name__}: {error}.",
                "Staged files are kept. Run it again.",
            ) from error
        return any((entry.upkeep or {}).get("attempt_id") == self._attempt for entry in found)


def _columns(table: Table, file: DataFile) -> list[str]:
    with table.redacted(), pq.ParquetFile(file.path, filesystem=table.filesystem()) as parquet:
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

