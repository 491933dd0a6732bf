"""Rows of one file that an engine wrote: read once, audited, fingerprinted and measured."""

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from practicus_assets.errors import DataRefused, OutOfScope, StoreFailed
from practicus_assets.lake.contracts.audit import Audit
from practicus_assets.lake.contracts.breaches import AuditedPartitions
from practicus_assets.lake.partitions.bounds import Bounds
from practicus_assets.lake.partitions.values import Value, can_partition, is_null, parsed, serialized
from practicus_assets.lake.rows.fingerprints.fingerprint import Fingerprint
from practicus_assets.lake.rows.fingerprints.hashes import hash_rows
from practicus_assets.lake.rows.frames import BATCH_ROWS
from practicus_assets.lake.rows.schema import conformed
from practicus_assets.lake.transactions.attempt import Attempt
from practicus_assets.lake.transactions.engine_files.file_columns import (
    refuse_lacking,
    refuse_other_columns,
)
from practicus_assets.lake.transactions.engine_files.found_files import FoundFile
from practicus_assets.lake.transactions.merge import Merge
from practicus_assets.lake.transactions.stage.staged import Staged, StagedFile
from practicus_assets.lake.transactions.stage.statistics import Statistics
from practicus_assets.wording import names_of, number_of, readable

_BATCH_BYTES = 64 << 20


@dataclass(frozen=True)
class FileRows:
    """Reads files of one attempt; several threads can read at once, each a file.

    Attributes:
        attempt: the attempt.
        schema: the table's columns after the commit.
        bounds: the attempt's scope on these columns.
        lock: held while rules run that are an author's functions, which need not be made for threads.
        fitting: the columns of folders and inside of files that were found to fit the table.

    """

    attempt: Attempt
    schema: pa.Schema
    bounds: Bounds
    lock: Lock = field(default_factory=Lock)
    fitting: list[tuple[AbstractSet[str], pa.Schema]] = field(default_factory=list)

    def staged(self, file: FoundFile) -> Staged | None:
        """Return a file as a part of the attempt's rows; None if it has no row.

        Raises:
            DataRefused: if it is no Parquet file, is gone, has other columns than the table, or rows of
                another partition.
            StoreFailed: if it cannot be read.

        """
        attempt = self.attempt
        partition_by = attempt.options.partition_by
        contract = attempt.contract
        partitions = AuditedPartitions.of(attempt.written, self.schema)
        audit = Audit(contract.checks, attempt.table.sample_rows, partitions=partitions)
        own_rules = any(check.kind == "row" for check in contract.checks)
        merge = Merge(attempt.options.merge_keys) if attempt.options.mode == "merge" else None
        stored = [f for f in self.schema if f.name not in partition_by and not pa.types.is_null(f.type)]
        statistics, fingerprint = Statistics(pa.schema(stored)), Fingerprint()
        values: dict[str, Value] = {}
        rows = 0
        with self.opened(attempt, file) as parquet:
            if not parquet.metadata.num_rows:
                return None
            inside = parquet.schema_arrow
            self._refuse_other_columns(file, inside)
            values = {column: self._typed(column, text) for column, text in file.texts.items()}
            for raw in parquet.iter_batches(_batch_rows(parquet), use_threads=False):
                batch = self._conformed(file, raw, values, rows)
                if not rows:
                    self._refuse_outside(values, parquet.metadata.num_rows)
                rows += batch.num_rows
                fingerprint.add(hash_rows(batch, self.schema.names))
                statistics.add(batch)
                with self.lock if own_rules else nullcontext():
                    audit.observe(batch)
                if merge is not None:
                    _exhaust(merge.observed([batch]))
            if rows != parquet.metadata.num_rows:
                raise DataRefused(
                    f"it has {rows} rows, and {parquet.metadata.num_rows} by its footer.", _AGAIN
                )
        ordered = tuple(values[column] for column in partition_by)
        return Staged(
            attempt.id,
            (file.path,),
            self.schema,
            (StagedFile(file.path, file.size, rows, ordered, statistics.result(rows), file.state),),
            {ordered: fingerprint},
            audit.observations,
            merge_keys=merge.seen if merge is not None else (),
        )

    def _refuse_other_columns(self, file: FoundFile, inside: pa.Schema) -> None:
        """Raise SchemaMismatch unless a file has the table's columns; most are as one that was looked at."""
        folders = file.texts.keys()
        if any(columns == folders and inside.equals(schema) for columns, schema in self.fitting):
            return
        refuse_lacking(file.name, self.attempt.options.partition_by, inside, file.texts)
        refuse_other_columns(file.name, inside, self.schema, file.texts)
        self.fitting.append((folders, inside))

    @staticmethod
    @contextmanager
    def opened(attempt: Attempt, file: FoundFile) -> Iterator[pq.ParquetFile]:
        """Open a file; what is raised meanwhile names it, and is the engine's fault if it is no Parquet."""
        with _naming_file(file), attempt.table.parquet(file.path, staged=True) as parquet:
            yield parquet

    def _conformed(
        self, file: FoundFile, raw: pa.RecordBatch, values: dict[str, Value], first_row: int
    ) -> pa.RecordBatch:
        """Return rows with the table's columns; the first ones say a partition value that no folder says."""
        for column in self.attempt.options.partition_by:
            if column in raw.schema.names:
                self._refuse_contradiction(file, column, raw.column(column), values)
        constants: dict[str, Any] = {
            column: pa.scalar(value, self.schema.field(column).type) for column, value in values.items()
        }
        void = {f.name: pa.scalar(None, f.type) for f in self.schema if pa.types.is_null(f.type)}
        return conformed(raw, self.schema, {**constants, **void}, first_row)

    def _refuse_contradiction(
        self, file: FoundFile, column: str, array: pa.Array, values: dict[str, Value]
    ) -> None:
        """Raise OutOfScope unless all rows have one value of a partition column: the folder's, if any."""
        type_ = self.schema.field(column).type
        typed = array.cast(type_)
        wanted = values.setdefault(column, typed[0].as_py())
        if typed.null_count or is_null(wanted):
            raise OutOfScope(
                f"its partition column {column!r} has rows that are read as null.",
                "Fill or drop these rows before the engine writes.",
            )
        other = pc.not_equal(typed, pa.scalar(wanted, type_))
        if pc.any(other).as_py():
            odd = typed.filter(other)[0].as_py()
            place = f"lies in the folder of one {column}" if column in file.texts else "begins with one"
            raise OutOfScope(
                f"it {place}, and has rows of another partition, by column {column!r}.",
                f"Let the engine write each {column} into files of its own, as PARTITION_BY ({column}) does.",
                f"E.g. {column} = {readable(odd)}, after {readable(wanted)}.",
            )

    def _refuse_outside(self, values: Mapping[str, Value], rows: int) -> None:
        """Raise OutOfScope for a file of another partition than those of the run."""
        if self.bounds.part_of(values) is None:
            partition = ", ".join(f"{column} = {readable(values[column])}" for column in self.bounds.columns)
            raise OutOfScope(
                f"its {number_of(rows, 'row')} are outside the scope, by "
                f"{names_of('column', self.bounds.columns)}.",
                "Let the engine write only rows of the partitions that the run materializes.",
                f"E.g. {partition}.",
            )

    def _typed(self, column: str, text: str) -> Value:
        """Return the value of a folder as its column's type has it."""
        type_ = self.schema.field(column).type
        try:
            if not can_partition(type_):
                raise ValueError("no table is partitioned by such columns")  # noqa: TRY301 one message for all
            value = parsed(text, type_)
            if pa.types.is_date(type_) and serialized(value) != text:  # polars would read another
                raise ValueError(f"it is to be written {serialized(value)}")  # noqa: TRY301
        except (ValueError, OverflowError, pa.ArrowInvalid) as error:
            raise OutOfScope(
                f"its folder {column}={text} is no value of the column {column!r} of type {type_}: {error}.",
                "Let the engine write the partition column as that type.",
            ) from error
        return value


_AGAIN = "Let the engine end, and nothing else write there, before the function returns."


def _batch_rows(parquet: pq.ParquetFile) -> int:
    """Return how many rows are read at once, so that they are not too large in memory."""
    metadata = parquet.metadata
    size = sum(metadata.row_group(i).total_byte_size for i in range(min(metadata.num_row_groups, 4)))
    rows = sum(metadata.row_group(i).num_rows for i in range(min(metadata.num_row_groups, 4)))
    return int(max(1, min(BATCH_ROWS, _BATCH_BYTES * rows // max(size, 1))))


@contextmanager
def _naming_file(file: FoundFile) -> Iterator[None]:
    """Say of which file an error is; one that is no Parquet, or is gone, is the engine's fault."""
    try:
        yield
    except DataRefused as error:
        if file.name not in error.problem:
            error.problem = f"the file {file.name}: {error.problem}"
        raise
    except StoreFailed as error:
        cause = error.__cause__
        if isinstance(cause, FileNotFoundError):
            raise DataRefused(f"the file {file.name} is not there any more.", _AGAIN) from cause
        if isinstance(cause, pa.ArrowException):
            raise DataRefused(
                f"the file {file.name} cannot be read as Parquet.", _AGAIN, f"pyarrow says: {cause}"
            ) from cause
        raise


def _exhaust(batches: Iterator[Any]) -> None:
    for _ in batches:
        pass
