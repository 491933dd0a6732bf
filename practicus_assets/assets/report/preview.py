"""Previews: the first rows of a table or of a partition, as Dagster's pages show them."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import dagster as dg
import pyarrow as pa

from practicus_assets.assets.report.markdown import markdown
from practicus_assets.lake.delta.data_file import DataFile
from practicus_assets.lake.delta.snapshot import Snapshot
from practicus_assets.lake.delta.table import Table
from practicus_assets.lake.rows.samples import shown

_READERS = 8  # files that are read at a time; an object store takes long to answer and little to serve
_PREVIEWS = 1000  # of one run: each is kept in Dagster's event log

Rows = list[dict[str, Any]]
Heads = Mapping[str, pa.RecordBatch]
NO_HEADS: Heads = {}


def preview(snapshot: Snapshot, count: int, heads: Heads = NO_HEADS) -> dg.MarkdownMetadataValue:
    """Return the first rows of a snapshot of a table or of one partition, below its columns and their types.

    Args:
        snapshot: the snapshot.
        count: the number of rows.
        heads: the first rows of files, by path, where they are in memory.

    """
    files: Sequence[DataFile]
    if snapshot.scope.is_whole_table:
        files = snapshot.table_files
    else:  # the files of other partitions may be many
        [files] = snapshot.partition_files.values()
    rows = _known(snapshot.schema, files, count, heads)
    return _table(first_rows(snapshot, count) if rows is None else rows, snapshot.schema)


def first_rows(snapshot: Snapshot, count: int) -> Rows:
    """Return the first rows of a snapshot as Python values; no more is read than it takes."""
    head: Rows = []
    for batch in snapshot.scan() if count else ():
        head += shown(batch.slice(0, count - len(head)))
        if len(head) >= count:
            break
    return head


def partition_previews(
    table: Table, snapshot: Snapshot, count: int, heads: Heads
) -> dict[str, dg.MarkdownMetadataValue]:
    """Return the first rows of each partition of a snapshot, by key.

    Of each partition only the beginning of a file is read, if it is not in memory. Files of which a deletion
    vector takes rows out are not read at all, and of very many partitions only the first ones have a preview.

    Args:
        table: the table.
        snapshot: the table at a version, scoped to the partitions.
        count: the number of rows of each partition.
        heads: the first rows of files, by path, where they are in memory.

    """
    files = dict(list(snapshot.partition_files.items())[:_PREVIEWS])

    known = {key: _known(snapshot.schema, each, count, heads) for key, each in files.items()}
    unknown = [key for key, rows in known.items() if rows is None]
    with ThreadPoolExecutor(_READERS) as readers:
        read = readers.map(lambda key: _head(table, snapshot.schema, files[key], count), unknown)
        found = known | dict(zip(unknown, read, strict=True))
    return {key: _table(rows or [], snapshot.schema) for key, rows in found.items()}


def _known(schema: pa.Schema, files: Sequence[DataFile], count: int, heads: Heads) -> Rows | None:
    """Return the first rows of files, if so many of the first file, or all there are, are in memory."""
    if not files or files[0].deleted or files[0].path not in heads:
        return None
    first, head = files[0], heads[files[0].path]
    if head.num_rows < count and (len(files) > 1 or first.rows != head.num_rows):
        return None
    return [_row(stored, first.values, schema) for stored in shown(head.slice(0, count))]


def _head(table: Table, schema: pa.Schema, files: Sequence[DataFile], count: int) -> Rows:
    rows: Rows = []
    for file in files:
        if len(rows) >= count or file.deleted:
            break
        with table.parquet(file.path) as parquet:
            for batch in parquet.iter_batches(count - len(rows), use_threads=False):
                rows += [_row(stored, file.values, schema) for stored in shown(batch)]
                break
    return rows


def _row(stored: Mapping[str, Any], values: Mapping[str, Any], schema: pa.Schema) -> dict[str, Any]:
    """Return a row in the order of the table's columns; those of its partition are in no file."""
    return {name: stored.get(name, values.get(name)) for name in schema.names}


def _table(rows: Rows, schema: pa.Schema) -> dg.MarkdownMetadataValue:
    types = {field.name: str(field.type) for field in schema}
    return dg.MetadataValue.md(markdown(rows, types) if rows else "no rows")
