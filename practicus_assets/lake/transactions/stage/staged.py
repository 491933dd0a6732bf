"""Staged parts: Parquet files beside the table's own, and all that a commit needs to know of their rows."""

import contextlib
import json
import time
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake.transaction import AddAction

from practicus_assets.errors import DeclarationError, SchemaMismatch
from practicus_assets.lake.contracts.audit import Observations
from practicus_assets.lake.delta.table import Table
from practicus_assets.lake.partitions.values import Value, serialized
from practicus_assets.lake.rows.casts import exact_cast
from practicus_assets.lake.rows.fingerprints.fingerprint import Fingerprint
from practicus_assets.lake.transactions.effect import NO_TIME, Durations
from practicus_assets.wording import names_of

Values = tuple[Value, ...]

# delta-rs decodes the escapes of characters beyond U+FFFF wrongly, and would skip the file
_JSON = json.JSONEncoder(ensure_ascii=False)


@dataclass(frozen=True)
class StagedFile:
    """One written file.

    Attributes:
        path: the file's path below the table.
        size: its bytes.
        rows: how many rows it has.
        values: the values of the table's partition columns.
        statistics: its statistics, as the Delta protocol names them ("Per-file Statistics").
        head: its first rows, as many as people see at most; None where they are large, or not in memory.

    """

    path: str
    size: int
    rows: int
    values: Values
    statistics: Mapping[str, Any]
    head: pa.RecordBatch | None = field(default=None, repr=False, compare=False)

    def action(self, partition_by: Sequence[str], *, new_rows: bool = True) -> AddAction:
        """Return the Delta action that makes the file part of the table.

        Args:
            partition_by: the table's partition columns.
            new_rows: False if its rows only come from other files of the table.

        """
        partition = {c: serialized(v) for c, v in zip(partition_by, self.values, strict=True)}
        now_ms = int(time.time() * 1000)
        return AddAction(self.path, self.size, partition, now_ms, new_rows, _JSON.encode(self.statistics))


@dataclass(frozen=True)
class Staged:
    """Rows that were staged for one attempt: a part of its rows, or several parts merged.

    It can be pickled, so that other processes, on other machines, can stage parts of one transaction.

    Attributes:
        attempt_id: the attempt that the rows were staged for.
        parts: the names of the parts; each must be committed once.
        schema: the table's columns after the commit.
        files: the written files.
        fingerprints: the fingerprint of the rows of each partition, by the values of its columns.
        observations: what the contract's rules found in the rows.
        merge_keys: the merge keys of each row, for a merge.
        given: the rows themselves, for a history; they are in no file.
        filled: the partition columns that the output lacks, and that were filled in.
        listed: what the store said of the files that engines wrote, before they were read: for each place
            below the table's folder, by their paths. Those without rows are among them.
        is_stream: whether the rows came as a stream, and not as one table in memory.
        is_shared: whether it was pickled, so that another process may commit it too.
        seconds: how long staging took; of several parts, the longest.
        durations: where that time went.
        rejected: the rows that the contract keeps from the table, staged beside it; None if there are none.

    """

    attempt_id: str
    parts: tuple[str, ...]
    schema: pa.Schema
    files: tuple[StagedFile, ...]
    fingerprints: Mapping[Values, Fingerprint] = field(repr=False)
    observations: Observations = field(repr=False)
    merge_keys: tuple[pa.Table, ...] = field(default=(), repr=False)
    given: tuple[pa.Table, ...] = field(default=(), repr=False)
    filled: tuple[str, ...] = ()
    listed: Mapping[str, Mapping[str, str]] = field(default_factory=dict, repr=False)
    is_stream: bool = False
    is_shared: bool = False
    seconds: float = 0.0
    durations: Durations = NO_TIME
    rejected: "Staged | None" = field(default=None, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        object.__setattr__(self, "is_shared", True)
        return dict(self.__dict__)

    @property
    def rows(self) -> int:
        """How many rows were staged."""
        return sum(file.rows for file in self.files)

    @property
    def size(self) -> int:
        """The size of all files in bytes."""
        return sum(file.size for file in self.files)

    @property
    def heads(self) -> dict[str, pa.RecordBatch]:
        """The first rows of files, by path, where they are known."""
        return {file.path: file.head for file in self.files if file.head is not None}

    @classmethod
    def merged(cls, parts: Sequence["Staged"]) -> "Staged":
        """Return several parts as one.

        Raises:
            SchemaMismatch: if they have other columns.
            DeclarationError: if there is none, or one of them twice.

        """
        if not parts:
            raise DeclarationError("there is no part to commit.", "Stage one, of no rows if need be.")
        names = [name for part in parts for name in part.parts]
        twice = [name for name, count in Counter(names).items() if count > 1]
        if twice:
            raise DeclarationError(f"{names_of('part', twice)} staged twice.", "Commit each part once.")
        files = Counter(file.path for part in parts for file in part.files)
        doubled = [path for path, count in files.items() if count > 1]
        if doubled:  # as engines' files may be, which lie where their author stages them from
            raise DeclarationError(f"{names_of('file', doubled[:1])} staged twice.", "Stage each place once.")
        first = parts[0]
        for part in parts:
            if not part.schema.equals(first.schema):
                raise SchemaMismatch(
                    f"parts have different columns: {_differences(first.schema, part.schema)}.",
                    "Return the same columns, in the same order and of the same types, in each part.",
                )
        fingerprints: dict[Values, Fingerprint] = {}
        for part in parts:
            for values, fingerprint in part.fingerprints.items():
                fingerprints.setdefault(values, Fingerprint()).merge(fingerprint)
        rejected = [part.rejected for part in parts if part.rejected is not None]
        return replace(
            first,
            parts=tuple(names),
            files=tuple(file for part in parts for file in part.files),
            fingerprints=fingerprints,
            observations=Observations.merged(part.observations for part in parts),
            merge_keys=tuple(keys for part in parts for keys in part.merge_keys),
            given=tuple(table for part in parts for table in part.given),
            filled=tuple(dict.fromkeys(column for part in parts for column in part.filled)),
            listed={place: files for part in parts for place, files in part.listed.items()},
            is_stream=any(part.is_stream for part in parts),
            is_shared=any(part.is_shared for part in parts),
            seconds=max(part.seconds for part in parts),
            durations=max(parts, key=lambda part: part.seconds).durations,
            rejected=cls.merged(rejected) if rejected else None,
        )

    def scan(
        self, table: Table, partition_by: Sequence[str], columns: Sequence[str] | None = None
    ) -> pa.RecordBatchReader:
        """Stream the rows, in the order in which the files were written.

        Args:
            table: the table beside whose files they lie.
            partition_by: its partition columns.
            columns: the columns to read; by default all.

        """
        schema = pa.schema([self.schema.field(name) for name in columns or self.schema.names])
        return pa.RecordBatchReader.from_batches(
            schema, (batch for file in self.files for batch in _read(table, file, schema, partition_by))
        )


def refuse_foreign(parts: Sequence[Staged], attempt_id: str, committed: set[str]) -> None:
    """Raise for parts that may belong to another commit, before anything of theirs could be deleted.

    Args:
        parts: the parts that are to be committed.
        attempt_id: the attempt that is to commit them.
        committed: the names of the parts that were given to it before; those of these are added.

    Raises:
        DeclarationError: if one was staged for another attempt, or is given twice.

    """
    foreign = [staged.parts for staged in parts if staged.attempt_id != attempt_id]
    names = [name for staged in parts for name in staged.parts]
    twice = sorted(name for name in {*names} if names.count(name) > 1 or name in committed)
    if foreign:
        raise DeclarationError(
            f"the parts {foreign} were staged for another attempt, maybe from other inputs.",
            "Stage them again with this transaction.",
        )
    if twice or not parts:
        raise DeclarationError(
            f"the parts {twice} were given to a commit twice." if parts else "no part was given to commit.",
            "Commit each part once, and all parts of a transaction together.",
        )
    committed.update(names)


def delete_files(table: Table, paths: Iterable[str]) -> None:
    """Delete staged files that no commit refers to, and the folders that held nothing else."""
    paths = list(paths)
    table.discard(paths)
    if table.local_path is not None:
        _remove_empty(table.local_path, {path.rpartition("/")[0] for path in paths})


def _read(
    table: Table, file: StagedFile, schema: pa.Schema, partition_by: Sequence[str]
) -> Iterator[pa.RecordBatch]:
    values = dict(zip(partition_by, file.values, strict=True))
    stored = [f.name for f in schema if f.name not in values and not pa.types.is_null(f.type)]
    with table.parquet(file.path, staged=True) as parquet:
        for batch in parquet.iter_batches(columns=stored, use_threads=False):
            arrays = [
                exact_cast(batch.column(f.name), f.type, f.name)
                if f.name in stored
                else pa.repeat(pa.scalar(values.get(f.name), f.type), batch.num_rows)
                for f in schema
            ]
            yield pa.record_batch(arrays, schema=schema)


def _differences(one: pa.Schema, other: pa.Schema) -> str:
    sides = [{f"{f.name}: {f.type}{'' if f.nullable else ' not null'}" for f in s} for s in (one, other)]
    only = [sorted(sides[0] - sides[1]), sorted(sides[1] - sides[0])]
    return f"{only[0]} and {only[1]}" if only[0] or only[1] else f"{one.names} and {other.names}"


def _remove_empty(root: Path, folders: Collection[str]) -> None:
    """Remove the folders that held nothing but deleted files, and the table's own if it is empty."""
    for name in sorted(folders, key=len, reverse=True):
        path = root / name
        with contextlib.suppress(OSError):  # it holds something, or another writer was faster
            while path != root:
                path.rmdir()
                path = path.parent
    with contextlib.suppress(OSError):
        root.rmdir()
