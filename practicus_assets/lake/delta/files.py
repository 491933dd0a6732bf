"""Files of a table's folder: which data files lie there, and the rows of one."""

import re
from collections.abc import Iterable, Iterator, Sequence

import pyarrow as pa
import pyarrow.fs
import pyarrow.parquet as pq

from practicus_assets.lake.delta.data_file import DataFile
from practicus_assets.lake.delta.root import LOG, STAGED
from practicus_assets.lake.delta.table import Table
from practicus_assets.lake.rows.casts import exact_cast

_PLACE = re.compile(  # below which one engine wrote for one attempt
    rf"{STAGED}[0-9a-f]{{8}}(-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}}/[0-9a-f]{{8}}/"
)


def listed(table: Table) -> dict[str, pyarrow.fs.FileInfo]:
    """Return every Parquet file in a table's folder by its path, but for the log and tables inside of it.

    Folders and files whose names begin with `_` or `.` are hidden, as Delta readers have it, unless they are
    those of a partition column. Where an engine wrote the files of an attempt, all that it left counts.
    """
    paths = without_markers(table.files_in(recursive=True))
    inner = {
        folder
        for path in paths
        if (folder := path.partition(f"{LOG}/")[0]) and f"/{LOG}/" in path and folder.endswith("/")
    }
    return {
        path: info
        for path, info in paths.items()
        if _PLACE.match(path)
        or (path.endswith(".parquet") and not is_hidden(path) and not path.startswith(tuple(inner)))
    }


def without_markers(infos: Iterable[pyarrow.fs.FileInfo]) -> dict[str, pyarrow.fs.FileInfo]:
    """Return files by their paths, without the empty objects by which some programs mark folders."""
    paths = {info.path.strip("/"): info for info in infos}
    folders: set[str] = set()
    for path in paths:
        folder = path.rpartition("/")[0]
        while folder and folder not in folders:
            folders.add(folder)
            folder = folder.rpartition("/")[0]
    return {path: info for path, info in paths.items() if path not in folders}


def is_hidden(path: str) -> bool:
    """Return whether readers of Delta tables, and of Parquet in folders, pass over a file."""
    return any(part.startswith(("_", ".")) and "=" not in part for part in path.split("/"))


def read_file(
    table: Table,
    file: DataFile,
    schema: pa.Schema,
    columns: Sequence[str] | None = None,
    *,
    rows: tuple[int, int] | None = None,
) -> Iterator[pa.RecordBatch]:
    """Stream the rows of one file as the table has them; columns that the file lacks are null.

    Args:
        table: the table.
        file: one of its files.
        schema: the table's columns.
        columns: those to read; by default all.
        rows: the first of its rows to read, and the one behind the last; by default all are read.

    Raises:
        VersionGone: if the file is not there.
        StoreFailed: if it is damaged, or cannot be read.

    """
    wanted = pa.schema([schema.field(name) for name in columns or schema.names])
    with table.parquet(file.path) as parquet:
        stored = [
            f.name for f in wanted if f.name in parquet.schema_arrow.names and f.name not in file.values
        ]
        for batch in _batches(parquet, stored, rows):
            arrays = [
                exact_cast(batch.column(f.name), f.type, f.name)
                if f.name in stored
                else pa.repeat(pa.scalar(file.values.get(f.name), f.type), batch.num_rows)
                for f in wanted
            ]
            yield pa.record_batch(arrays, schema=wanted)


def _batches(
    parquet: pq.ParquetFile, columns: Sequence[str], rows: tuple[int, int] | None
) -> Iterator[pa.RecordBatch]:
    """Stream a file's rows, or some of them; row groups that have none of these are not opened."""
    if rows is None:
        yield from parquet.iter_batches(columns=columns, use_threads=False)
        return
    counts = [parquet.metadata.row_group(group).num_rows for group in range(parquet.num_row_groups)]
    begin = 0
    for group, count in enumerate(counts):
        first, last = max(rows[0] - begin, 0), min(rows[1] - begin, count)
        begin += count
        if first >= last:
            continue
        at = 0
        for batch in parquet.iter_batches(row_groups=[group], columns=columns, use_threads=False):
            start, end = max(first - at, 0), min(last - at, batch.num_rows)
            at += batch.num_rows
            if start < end:
                yield batch.slice(start, end - start)
