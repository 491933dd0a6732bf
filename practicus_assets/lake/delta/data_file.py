"""Data files as a version of a table names them (Delta protocol, "Add File and Remove File")."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import pyarrow as pa

from practicus_assets.lake.partitions.bounds import Bounds
from practicus_assets.lake.partitions.values import Value


@dataclass(frozen=True)
class DataFile:
    """One file of a version, as the log describes it.

    Attributes:
        path: the file's path below the table's folder.
        size: its size in bytes.
        rows: how many rows of it the table has; None where the writer left it out.
        deleted: how many further rows the file holds that a deletion vector takes out of the table.
        values: the values of the partition columns.
        low: the minimum of each column that has one.
        high: the maximum of each column that has one.
        nulls: the number of nulls of each column that has one.

    """

    path: str
    size: int
    rows: int | None
    deleted: int
    values: Mapping[str, Value | None]
    low: Mapping[str, Any]
    high: Mapping[str, Any]
    nulls: Mapping[str, int]


def described(actions: Iterable[Mapping[str, Any]], deleted: Mapping[str, int]) -> Iterator[DataFile]:
    """Yield the files that delta-rs describes.

    Args:
        actions: one row per file, with flat names such as `min.amount`.
        deleted: how many rows a deletion vector takes out of each file that has one, by path.

    """
    for action in actions:
        path, rows = stored_path(action["path"]), action.get("num_records")
        gone = deleted.get(path, 0)
        groups: dict[str, dict[str, Any]] = {"partition": {}, "min": {}, "max": {}, "null_count": {}}
        for name, value in action.items():
            group, _, column = name.partition(".")
            if column and (value is not None or group == "partition"):
                groups[group][column] = value
        yield DataFile(
            path,
            action["size_bytes"],
            rows - gone if rows is not None else None,
            gone,
            groups["partition"],
            groups["min"],
            groups["max"],
            groups["null_count"],
        )


def by_part(files: Iterable[DataFile], bounds: Bounds) -> dict[int, list[DataFile]]:
    """Return the files of each partition of some bounds, by its number; those outside are left out."""
    found: dict[int, list[DataFile]] = {}
    for file in files:
        part = bounds.part_of(file.values)
        if part is not None:
            found.setdefault(part, []).append(file)
    return found


def stored_path(path: str) -> str:
    """Return where the file of an action lies below the table; the log has it URL-encoded."""
    return unquote(path)


def taken_out(vectors: pa.Table, table_uri: str) -> dict[str, int]:
    """Return how many rows a deletion vector takes out of each file that has one, by path.

    Args:
        vectors: what delta-rs says of them: each file's URI, and which of its rows are kept.
        table_uri: the URI of the table.

    """
    return {
        stored_path(uri.removeprefix(table_uri).lstrip("/")): len(kept) - sum(kept)
        for uri, kept in zip(*(column.to_pylist() for column in vectors.columns), strict=True)
    }
