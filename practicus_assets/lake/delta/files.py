"""Data files: those that a version of a table names, and those that lie in its folder."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.fs
import pyarrow.parquet as pq
from deltalake import DeltaTable

from practicus_assets.errors import VersionGone
from practicus_assets.lake.delta.table import Table
from practicus_assets.lake.partitions.values import Value

_LOG = "_delta_log"


@dataclass(frozen=True)
class DataFile:
    """One file of a version, as the log describes it.

    Attributes:
        path: below the table's folder.
        size: in bytes.
        rows: None where the writer left it out.
        values: of the partition columns.
        low, high, nulls: minimum, maximum and number of nulls of the columns that have them.

    """

    path: str
    size: int
    rows: int | None
    values: Mapping[str, Value | None]
    low: Mapping[str, Any]
    high: Mapping[str, Any]
    nulls: Mapping[str, int]


def data_files(handle: DeltaTable) -> list[DataFile]:
    """Return the files of a handle's version."""
    found = []
    for row in pa.table(handle.get_add_actions(flatten=True)).to_pylist():
        groups: dict[str, dict[str, Any]] = {"partition": {}, "min": {}, "max": {}, "null_count": {}}
        for name, value in row.items():
            group, _, column = name.partition(".")
            if column and (value is not None or group == "partition"):
                groups[group][column] = value
        found.append(
            DataFile(
                stored_path(row["path"]),
                row["size_bytes"],
                row.get("num_records"),
                groups["partition"],
                groups["min"],
                groups["max"],
                groups["null_count"],
            )
        )
    return found


def stored_path(path: str) -> str:
    """Return where the file of an action lies below the table; the log has it URL-encoded."""
    return unquote(path)


def listed(table: Table) -> dict[str, pyarrow.fs.FileInfo]:
    """Return every Parquet file in a table's folder by its path, but for the log and tables inside of it.

    Folders and files whose names begin with `_` or `.` are hidden, as Delta readers have it, unless they are
    those of a partition column.
    """
    with table.redacted():
        infos = table.filesystem().get_file_info(pyarrow.fs.FileSelector("", recursive=True))
    paths = {info.path.strip("/"): info for info in infos if info.type != pyarrow.fs.FileType.Directory}
    inner = {
        folder
        for path in paths
        if (folder := path.partition(f"{_LOG}/")[0]) and f"/{_LOG}/" in path and folder.endswith("/")
    }
    return {
        path: info
        for path, info in paths.items()
        if path.endswith(".parquet")
        and not any(part.startswith(("_", ".")) and "=" not in part for part in path.split("/"))
        and not path.startswith(tuple(inner))
    }


def read_file(
    table: Table, file: DataFile, schema: pa.Schema, columns: Sequence[str] | None = None
) -> Iterator[pa.RecordBatch]:
    """Stream the rows of one file as the table has them; columns that the file lacks are null.

    Args:
        table: the table.
        file: one of its files.
        schema: the table's columns.
        columns: those to read; by default all.

    Raises:
        VersionGone: if the file is not there.

    """
    wanted = pa.schema([schema.field(name) for name in columns or schema.names])
    try:
        with table.redacted(), pq.ParquetFile(file.path, filesystem=table.filesystem()) as parquet:
            stored = [
                f.name for f in wanted if f.name in parquet.schema_arrow.names and f.name not in file.values
            ]
            for batch in parquet.iter_batches(columns=stored, use_threads=False):
                arrays = [
                    batch.column(f.name).cast(f.type)
                    if f.name in stored
                    else pa.repeat(pa.scalar(file.values.get(f.name), f.type), batch.num_rows)
                    for f in wanted
                ]
                yield pa.record_batch(arrays, schema=wanted)
    except FileNotFoundError as error:
        raise VersionGone(
            f"the file {file.path} of {table.name} is gone.",
            "It was vacuumed away, or somebody deleted it: practicus-assets verify tells what is missing.",
        ) from error
