"""Rows of files that an engine wrote: read once, audited, fingerprinted and measured."""

import re
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from itertools import groupby
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from practicus_assets.errors import DataRefused, OutOfScope
from practicus_assets.lake.contracts.audit import Audit, Observations
from practicus_assets.lake.contracts.breaches import AuditedPartitions
from practicus_assets.lake.partitions.bounds import Bounds
from practicus_assets.lake.partitions.values import Value, can_partition, is_null, parsed, serialized
from practicus_assets.lake.rows.casts import exact_batch
from practicus_assets.lake.rows.chunks import BATCH_ROWS
from practicus_assets.lake.rows.fingerprints.fingerprint import Fingerprint
from practicus_assets.lake.rows.fingerprints.hashes import hash_rows, shares
from practicus_assets.lake.rows.key_hashes import KeyHashes
from practicus_assets.lake.rows.schema import conformed
from practicus_assets.lake.transactions.attempt import Attempt
from practicus_assets.lake.transactions.engine_files.file_columns import (
    refuse_lacking,
    refuse_other_columns,
)
from practicus_assets.lake.transactions.engine_files.file_reader import (
    AGAIN,
    BATCH_BYTES,
    FileReader,
    batch_rows,
    naming_files,
)
from practicus_assets.lake.transactions.engine_files.found_files import FoundFile
from practicus_assets.lake.transactions.merge import Merge
from practicus_assets.lake.transactions.stage.staged import Staged, StagedFile, Values
from practicus_assets.lake.transactions.stage.statistics import Statistics, add_each
from practicus_assets.wording import names_of, number_of, readable

_BELOW_MICROSECONDS = re.compile(r"\.\d{6}\d*?[1-9]")  # which Python drops


class _Columns(NamedTuple):
    """The columns of files that were written alike; they fit the table.

    Attributes:
        folders: the partition columns that their folders name.
        inside: the columns inside of them.

    """

    folders: AbstractSet[str]
    inside: pa.Schema


class _Measured(NamedTuple):
    """A file that is read: its rows by its footer, its partition values, and its statistics so far."""

    file: FoundFile
    columns: _Columns
    rows: int
    values: dict[str, Value]
    statistics: Statistics


class _Piece(NamedTuple):
    """Some rows of a file as they lie in it, and the number of the first of them."""

    of: _Measured
    first: int
    rows: pa.RecordBatch


@dataclass(frozen=True)
class FileRows:
    """Reads files of one attempt; several threads can read at once, each other files.

    Attributes:
        attempt: the attempt.
        schema: the table's columns after the commit.
        bounds: the attempt's scope on these columns.
        reader: opens the files.
        lock: held while rules run that are an author's functions, which need not be made for threads.
        fitting: the columns of files, as far as they were looked at.
        keys: the hash of each row's unique key, by the rule's name; those of all files together.

    """

    attempt: Attempt
    schema: pa.Schema
    bounds: Bounds
    reader: FileReader
    lock: Lock = field(default_factory=Lock)
    fitting: list[_Columns] = field(default_factory=list)
    keys: dict[str, KeyHashes] = field(default_factory=dict)

    def staged(self, files: Sequence[FoundFile]) -> Staged | None:
        """Return files as a part of the attempt's rows; None if they have no row.

        Raises:
            DataRefused: if one is no Parquet file, is gone, has other columns than the table, or rows of
                another partition.
            StoreFailed: if one cannot be read.

        """
        attempt = self.attempt
        observations = Observations(keys=self.keys)
        partitions = AuditedPartitions.of(attempt.written, self.schema)
        audit = Audit(attempt.contract.checks, attempt.table.sample_rows, observations, partitions)
        merge = Merge(attempt.options.merge_keys) if attempt.options.mode == "merge" else None
        fingerprints: dict[Values, Fingerprint] = {}
        measured: list[_Measured] = []
        for pieces in _together(self._pieces(files, measured)):
            with naming_files([piece.of.file for piece in pieces]):
                self._observe(pieces, fingerprints, audit, merge)
        if not measured:
            return None
        return Staged(
            attempt.id,
            tuple(own.file.path for own in measured),
            self.schema,
            tuple(
                StagedFile(
                    own.file.path,
                    own.file.size,
                    own.rows,
                    self._ordered(own.values),
                    own.statistics.result(own.rows),
                )
                for own in measured
            ),
            fingerprints,
            replace(observations, keys={}),
            merge_keys=merge.seen if merge is not None else (),
        )

    def _pieces(self, files: Sequence[FoundFile], measured: list[_Measured]) -> Iterator[_Piece]:
        """Yield the rows of files as they are; those that have any are added to the measured."""
        partition_by = self.attempt.options.partition_by
        stored = [f for f in self.schema if f.name not in partition_by and not pa.types.is_null(f.type)]
        blank = Statistics(pa.schema(stored))
        for file in files:
            with self.reader.opened(file) as parquet:
                metadata, inside = parquet.metadata, parquet.schema_arrow
                if not metadata.num_rows:
                    continue
                columns = self._fitting(file, inside)
                values = {column: self._typed(column, text) for column, text in file.texts.items()}
                own, read = _Measured(file, columns, metadata.num_rows, values, blank.another()), 0
                for rows in parquet.iter_batches(batch_rows(metadata), use_threads=False):
                    self._refuse_other_partitions(own, rows)
                    yield _Piece(own, read, rows)
                    read += rows.num_rows
                if read != metadata.num_rows:
                    raise DataRefused(f"it has {read} rows, and {metadata.num_rows} by its footer.", AGAIN)
                measured.append(own)

    def _observe(
        self,
        pieces: Sequence[_Piece],
        fingerprints: dict[Values, Fingerprint],
        audit: Audit,
        merge: Merge | None,
    ) -> None:
        """Measure and fingerprint rows of the same columns, and run the rules on them."""
        rows = self._conformed(pieces)
        lengths = [piece.rows.num_rows for piece in pieces]
        add_each([piece.of.statistics for piece in pieces], rows, lengths)
        folders = [*pieces[0].of.file.texts]
        further = np.zeros(len(pieces), dtype=np.uint64)
        for column in folders:
            further += shares(column, self._values(column, pieces))
        if len(pieces) > 1:
            further = np.repeat(further, lengths)
        hashes = hash_rows(rows, rows.schema.names, further)
        first = 0
        for values, run in groupby(pieces, lambda piece: self._ordered(piece.of.values)):
            end = first + sum(piece.rows.num_rows for piece in run)
            fingerprints.setdefault(values, Fingerprint()).add(hashes[first:end])
            first = end
        checks = self.attempt.contract.checks
        if not checks and merge is None:
            return
        positions = pa.array(np.repeat(np.arange(len(pieces)), lengths))
        arrays = {column: self._values(column, pieces).take(positions) for column in folders}
        arrays |= {name: rows.column(name) for name in rows.schema.names}
        encoded, step = pa.record_batch(arrays), _decoded_rows(rows)
        for start in range(0, encoded.num_rows, step):
            batch = exact_batch(encoded.slice(start, step), self.schema)
            with self.lock if any(check.kind == "row" for check in checks) else nullcontext():
                audit.observe(batch)
            if merge is not None:
                for _ in merge.observed([batch]):
                    pass

    def _values(self, column: str, pieces: Sequence[_Piece]) -> pa.Array:
        """Return each piece's value of a folder's column."""
        return pa.array([piece.of.values[column] for piece in pieces], self.schema.field(column).type)

    def _ordered(self, values: dict[str, Value]) -> Values:
        return tuple(values[column] for column in self.attempt.options.partition_by)

    def _fitting(self, file: FoundFile, inside: pa.Schema) -> _Columns:
        """Return a file's columns, of which most have those of another; raise unless they fit the table."""
        folders = file.texts.keys()
        for columns in self.fitting:
            if columns.folders == folders and inside.equals(columns.inside):
                return columns
        refuse_lacking(file.name, self.attempt.options.partition_by, inside, file.texts)
        refuse_other_columns(file.name, inside, self.schema, file.texts)
        columns = _Columns(folders, inside)
        self.fitting.append(columns)
        return columns

    def _conformed(self, pieces: Sequence[_Piece]) -> pa.RecordBatch:
        """Return rows with the table's columns but those of folders; texts that are held once stay so."""
        rows = pa.concat_batches([piece.rows for piece in pieces]) if len(pieces) > 1 else pieces[0].rows
        fields = [f for f in self.schema if f.name not in pieces[0].of.file.texts]
        void: dict[str, Any] = {f.name: pa.scalar(None, f.type) for f in fields if pa.types.is_null(f.type)}
        schema = pa.schema([_as_read(f, rows.schema) for f in fields])
        try:
            return conformed(rows, schema, void, pieces[0].first)
        except DataRefused:
            for piece in pieces:  # of one file, which the error then names
                with naming_files([piece.of.file]):
                    conformed(piece.rows, schema, void, piece.first)
            raise

    def _refuse_other_partitions(self, own: _Measured, rows: pa.RecordBatch) -> None:
        """Raise OutOfScope unless all rows are of one partition, and that is one of the run's.

        Where no folder says a partition value, the first row does.
        """
        for column in self.attempt.options.partition_by:
            if column in rows.schema.names:
                self._refuse_contradiction(own, column, rows.column(column))
        self._refuse_outside(own)

    def _refuse_contradiction(self, own: _Measured, column: str, array: pa.Array) -> None:
        """Raise OutOfScope unless all rows have one value of a partition column: the folder's, if any."""
        type_ = self.schema.field(column).type
        typed = array.cast(type_)
        wanted = own.values.setdefault(column, typed[0].as_py())
        if typed.null_count or is_null(wanted):
            raise OutOfScope(
                f"its partition column {column!r} has rows that are read as null.",
                "Fill or drop these rows before the engine writes.",
            )
        other = pc.not_equal(typed, pa.scalar(wanted, type_))
        if pc.any(other).as_py():
            odd = typed.filter(other)[0].as_py()
            place = f"lies in the folder of one {column}" if column in own.file.texts else "begins with one"
            raise OutOfScope(
                f"it {place}, and has rows of another partition, by column {column!r}.",
                f"Let the engine write each {column} into files of its own, as PARTITION_BY ({column}) does.",
                f"E.g. {column} = {readable(odd)}, after {readable(wanted)}.",
            )

    def _refuse_outside(self, own: _Measured) -> None:
        """Raise OutOfScope for a file of another partition than those of the run."""
        if self.bounds.part_of(own.values) is None:
            columns = self.bounds.columns
            partition = ", ".join(f"{column} = {readable(own.values[column])}" for column in columns)
            raise OutOfScope(
                f"its {number_of(own.rows, 'row')} are outside the scope, by {names_of('column', columns)}.",
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
            if pa.types.is_timestamp(type_) and _BELOW_MICROSECONDS.search(text):
                raise ValueError("it has parts of a microsecond")  # noqa: TRY301
            if pa.types.is_date(type_) and serialized(value) != text:  # polars would read another
                raise ValueError(f"it is to be written {serialized(value)}")  # noqa: TRY301
        except (ValueError, OverflowError, pa.ArrowInvalid) as error:
            raise OutOfScope(
                f"its folder {column}={text} is no value of the column {column!r} of type {type_}: {error}.",
                "Let the engine write the partition column as that type.",
            ) from error
        return value


def _as_read(wanted: pa.Field, raw: pa.Schema) -> pa.Field:
    """Return a column's field with the type that a file's rows have, where that holds each text once."""
    type_ = raw.field(wanted.name).type if wanted.name in raw.names else None
    is_held_once = type_ is not None and pa.types.is_dictionary(type_) and type_.value_type == wanted.type
    return wanted.with_type(type_) if is_held_once else wanted


def _decoded_rows(rows: pa.RecordBatch) -> int:
    """Return of how many rows the texts that are held once are not too large when each row has its own."""
    encoded = [column.dictionary for column in rows.columns if pa.types.is_dictionary(column.type)]
    longest: int = sum(pc.max(pc.binary_length(texts)).as_py() or 0 for texts in encoded)
    return max(1, min(BATCH_ROWS, BATCH_BYTES // max(longest, 1)))


def _together(pieces: Iterator[_Piece]) -> Iterator[list[_Piece]]:
    """Yield pieces of the same columns together, until their rows are as many as are hashed at once."""
    waiting: list[_Piece] = []
    rows = size = 0
    for piece in pieces:
        length, width = piece.rows.num_rows, piece.rows.nbytes
        is_other = bool(waiting) and piece.of.columns is not waiting[0].of.columns
        if waiting and (is_other or rows + length > BATCH_ROWS or size + width > BATCH_BYTES):
            yield waiting
            waiting, rows, size = [], 0, 0
        waiting.append(piece)
        rows, size = rows + length, size + width
    if waiting:
        yield waiting
