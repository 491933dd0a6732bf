"""Engine files: what an engine wrote for an attempt, as its staged rows."""

import os
import time
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import replace

import pyarrow as pa

from practicus_assets.errors import DataRefused
from practicus_assets.lake.contracts.audit import Observations
from practicus_assets.lake.rows.key_hashes import KeyHashes
from practicus_assets.lake.transactions.attempt import Attempt
from practicus_assets.lake.transactions.engine_files.file_columns import output_columns, refuse_lacking
from practicus_assets.lake.transactions.engine_files.file_reader import SMALL_BYTES, FileReader
from practicus_assets.lake.transactions.engine_files.file_rows import FileRows
from practicus_assets.lake.transactions.engine_files.found_files import (
    FoundFile,
    FoundFiles,
    delete_found,
    found,
    remove_empty_folders,
)
from practicus_assets.lake.transactions.engine_files.staged_parquet import (
    StagedParquet,
    path_of,
    refuse_unfit,
)
from practicus_assets.lake.transactions.incoming import IncomingRows
from practicus_assets.lake.transactions.stage.staged import Staged, delete_files

_MOST_THREADS = 8  # which wait for a store
_LOCAL_THREADS = min(_MOST_THREADS, os.cpu_count() or 1)
_PYTHON_THREADS = 2  # more would wait for each other, for what small files take is mostly Python
_GROUP_FILES = 64  # small files that are read one after the other, and hashed together
_GROUP_BYTES = SMALL_BYTES  # of larger ones a thread would have too few turns to share the work
_READ_BYTES = 512 << 20  # of files that are read at the same time; a single one may be larger


def staged_files(attempt: Attempt, data: StagedParquet, part: str | None) -> Staged:
    """Return an engine's files as staged rows of an attempt; on an error, delete what the engine left.

    Each file is read once, several at a time, for the contract's rules, the fingerprint and the statistics.

    Args:
        attempt: the attempt.
        data: where the files are.
        part: the part's name; by default one that no other part has.

    Raises:
        DeclarationError: if the table's rows cannot be its files as they are.
        DataRefused: if the files do not fit the table or the scope, or there is none.
        StoreFailed: if the store fails.

    """
    started = time.monotonic()
    path = path_of(data, attempt)
    try:
        refuse_unfit(attempt.options, attempt.contract)
        files = found(attempt.table, path, attempt.options.partition_by)
        _refuse_none(files, data)
        staged = _read(attempt, files)
    except BaseException:
        delete_found(attempt.table, path)
        raise
    named = {file.path for file in staged.files}
    delete_files(attempt.table, [*files.others, *(f.path for f in files.files if f.path not in named)])
    if attempt.table.local_path is not None:
        remove_empty_folders(attempt.table, path)
    name = part if part is not None else str(uuid.uuid4())
    listed = {path: {file.path: file.state for file in files.files}}
    return replace(staged, parts=(name,), listed=listed, seconds=time.monotonic() - started)


def _read(attempt: Attempt, files: FoundFiles) -> Staged:
    """Read the files, and return them as one part."""
    reader = FileReader(attempt.table)
    columns = _columns(attempt, files, reader)
    incoming = IncomingRows(attempt, pa.RecordBatchReader.from_batches(columns, []))
    keys = {check.name: KeyHashes() for check in attempt.contract.checks if check.kind == "unique"}
    rows = FileRows(attempt, incoming.schema, incoming.bounds, reader, keys=keys)
    nothing = Staged(attempt.id, ("",), incoming.schema, (), {}, Observations(keys=keys))
    return Staged.merged([nothing, *_each(rows, files.files)])


def _columns(attempt: Attempt, files: FoundFiles, reader: FileReader) -> pa.Schema:
    """Return the columns of the rows: those of the first file that has any, or of the first one of all."""
    first: tuple[FoundFile, pa.Schema] | None = None
    for file in files.files:
        with reader.opened(file) as parquet:
            first = first or (file, parquet.schema_arrow)
            if parquet.metadata.num_rows:
                first = (file, parquet.schema_arrow)
                break
    if first is None:
        return pa.schema([])
    file, inside = first
    refuse_lacking(file.name, attempt.options.partition_by, inside, file.texts)
    known = [attempt.schema, attempt.contract.schema]
    return output_columns(inside, [*file.texts], attempt.scope, known)


def _each(rows: FileRows, files: Sequence[FoundFile]) -> Iterator[Staged]:
    """Yield the files that have rows, as parts, in their order; several are read at a time."""
    largest = max((file.size for file in files), default=0) or 1
    most = _MOST_THREADS
    if rows.attempt.table.local_path is not None:
        most = _PYTHON_THREADS if largest <= SMALL_BYTES else _LOCAL_THREADS
    threads = max(1, min(most, len(files), _READ_BYTES // largest))
    pool = ThreadPoolExecutor(threads, "practicus-assets-reader")
    try:
        groups = _grouped(files, min(_GROUP_FILES, len(files) // threads))
        reads = [pool.submit(copy_context().run, rows.staged, group) for group in groups]
        for read in reads:
            part = read.result()
            if part is not None:
                yield part
    finally:
        pool.shutdown(cancel_futures=True)


def _grouped(files: Sequence[FoundFile], most: int) -> Iterator[list[FoundFile]]:
    """Yield small files together, at most so many, and others alone."""
    group: list[FoundFile] = []
    size = 0
    for file in files:
        if group and (len(group) >= most or size + file.size > _GROUP_BYTES):
            yield group
            group, size = [], 0
        group.append(file)
        size += file.size
    if group:
        yield group


def _refuse_none(files: FoundFiles, data: StagedParquet) -> None:
    """Raise DataRefused if the engine wrote nothing, which need not mean that there are no rows."""
    if not files.files and not files.is_complete:
        raise DataRefused(
            f"the engine wrote no Parquet file below {data.uri}.",
            "Write below the uri of StagedParquet. If there are no rows, return [] instead, or let the "
            "engine write a file without rows.",
        )
