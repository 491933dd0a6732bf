"""Data files as a version of a table names them (Delta protocol, "Add File and Remove File")."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable

from practicus_assets.lake.partitions.bounds import Bounds, Range
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


class FileList:
    """The files of one version, from what delta-rs has of them in memory.

    Args:
        handle: the version.
        has_vectors: whether its files may have deletion vectors.

    """

    def __init__(self, handle: DeltaTable, *, has_vectors: bool) -> None:
        self._handle = handle
        self._has_vectors = has_vectors

    def files(self, bounds: Bounds | None = None) -> Sequence[DataFile]:
        """Return the files of a scope, all by default; of a long list, Python sees those of the scope alone.

        Args:
            bounds: the scope.

        """
        if bounds is None or not bounds.columns:
            return self._all
        files: Iterable[DataFile] = self.__dict__.get("_all") or self._described(
            self._actions.filter(_may_hold(self._actions, bounds))
        )
        return [file for file in files if bounds.part_of(file.values) is not None]

    def values(self, columns: Sequence[str]) -> set[tuple[Value | None, ...]]:
        """Return the combinations of values that partition columns have; Python sees no file for that.

        Args:
            columns: some of the table's partition columns, one at least.

        """
        names = [f"partition.{column}" for column in columns]
        if not self._actions.num_rows:
            return set()
        distinct = self._actions.select(names).group_by(names).aggregate([])
        return set(zip(*(distinct[name].to_pylist() for name in names), strict=True))

    @property
    def row_count(self) -> int | None:
        """How many rows the files have; None if the log does not say it of one of them."""
        if self._has_vectors:
            return row_count(self._all)
        rows = self._actions["num_records"]
        return None if rows.null_count else pc.sum(rows).as_py() or 0

    @property
    def size(self) -> int:
        """How many bytes the files have."""
        return pc.sum(self._actions["size_bytes"]).as_py() or 0

    def load(self) -> None:
        """Take the list from the handle now, which may go on to another version."""
        self._actions  # noqa: B018 kept by that

    def names(self, add: Mapping[str, Any]) -> bool:
        """Return whether an `add` action is of one of these files, and of no later one so named."""
        same = (pc.field("path") == add["path"]) & (pc.field("size_bytes") == add["size"])
        same &= pc.field("modification_time").cast(pa.int64()) == add["modificationTime"]
        return bool(self._actions.filter(same).num_rows)

    @cached_property
    def _all(self) -> tuple[DataFile, ...]:
        return tuple(self._described(self._actions))

    @cached_property
    def _actions(self) -> pa.Table:
        return pa.table(self._handle.get_add_actions(flatten=True))

    def _described(self, actions: pa.Table) -> Iterator[DataFile]:
        handle = self._handle
        gone = taken_out(pa.table(handle.deletion_vectors()), handle.table_uri) if self._has_vectors else {}
        return described(actions.to_pylist(), gone)


def _may_hold(actions: pa.Table, bounds: Bounds) -> pa.ChunkedArray:
    """Return which files may be in one of the bounds' partitions: each column is looked at by itself."""
    mask = pa.chunked_array([pa.repeat(pa.scalar(True), actions.num_rows)])  # noqa: FBT003 a value
    for number, column in enumerate(bounds.columns):
        if f"partition.{column}" not in actions.column_names:
            continue
        values = actions[f"partition.{column}"].cast(bounds.types[number])
        wanted = {part[number] for part in bounds.parts}
        equal = [condition for condition in wanted if not isinstance(condition, Range)]
        inside = pc.is_in(values, pa.array(equal, values.type))
        windows = [condition for condition in wanted if isinstance(condition, Range)]
        if windows:
            low = pa.scalar(min(window.low for window in windows), values.type)
            high = pa.scalar(max(window.high for window in windows), values.type)
            within = pc.and_(pc.greater_equal(values, low), pc.less(values, high))
            inside = pc.or_(inside, pc.fill_null(within, fill_value=False))
        mask = pc.and_(mask, inside)
    return mask


def by_part(files: Callable[[Bounds], Iterable[DataFile]], bounds: Bounds) -> dict[int, list[DataFile]]:
    """Return the files of each partition of some bounds, by its number; those outside are left out.

    Args:
        files: a function that returns the files inside of bounds.
        bounds: the bounds.

    """
    found: dict[int, list[DataFile]] = {}
    for file in files(bounds):
        part = bounds.part_of(file.values)
        if part is not None:
            found.setdefault(part, []).append(file)
    return found


def row_count(files: Iterable[DataFile]) -> int | None:
    """Return how many rows some files have; None if the log does not say it of one of them."""
    counts = [file.rows for file in files]
    return None if None in counts else sum(count for count in counts if count is not None)


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
