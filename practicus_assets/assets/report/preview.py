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


def preview(snapshot: Snapshot, count: int) -> dg.MarkdownMetadataValue:
    """Return the first rows of a snapshot, below the names and types of its columns."""
    return _table(first_rows(snapshot, count), snapshot.schema)


def first_rows(snapshot: Snapshot, count: int) -> Rows:
    """Return the first rows of a snapshot as Python values; no more is read than it takes."""
    head: Rows = []
    for batch in snapshot.scan() if count else ():
        head += shown(batch.slice(0, count - len(head)))
        if len(head) >= count:
            break
    return head


def partition_previews(table: Table, snapshot: Snapshot, count: int) -> dict[str, dg.MarkdownMetadataValue]:
    """Return the first rows of each partition of a snapshot, by key.

    Of each partition only the beginning of a file is read. Files whose rows a deletion vector takes out are
    not read at all, and of very many partitions only the first ones have a preview.

    Args:
        table: the table.
        snapshot: the table at a version, scoped to the partitions.
        count: the number of rows of each partition.

    """
    files = dict(list(snapshot.partition_files.items())[:_PREVIEWS])

    def head(of_partition: Sequence[DataFile]) -> Rows:
        return _head(table, snapshot.schema, of_partition, count)

    with ThreadPoolExecutor(_READERS) as readers:
        heads = readers.map(head, files.values())
        return {key: _table(rows, snapshot.schema) for key, rows in zip(files, heads, strict=True)}


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
