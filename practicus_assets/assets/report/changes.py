"""Changes: what a commit changed against the version before, by what its transaction and the log say.

No row is read for it. What is known only by comparing rows is not counted, with the reason.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import pyarrow as pa

from practicus_assets.assets.report import names
from practicus_assets.assets.report.markdown import escaped
from practicus_assets.lake.delta.data_file import DataFile
from practicus_assets.lake.delta.snapshot import Snapshot
from practicus_assets.lake.transactions.commit import Commit
from practicus_assets.lake.transactions.options import Mode
from practicus_assets.wording import printable, readable_row

_Partitions = dict[str, int | None]  # how many rows each has, by name; None if the log does not say it


@dataclass(frozen=True)
class Rows:
    """What became of rows.

    Attributes:
        before, after: how many there were and are; None if nobody knows, or had to know.
        added, removed, changed: how many came, went, or got other values by their key; None if not counted.
        reason: why they are not counted.

    """

    before: int | None = None
    after: int | None = None
    added: int | None = None
    removed: int | None = None
    changed: int | None = None
    reason: str = ""

    def metadata(self) -> dict[str, int]:
        """Return what is known, as metadata."""
        counts = {
            names.ROWS_BEFORE: self.before,
            names.ROWS_ADDED: self.added,
            names.ROWS_REMOVED: self.removed,
            names.ROWS_CHANGED: self.changed,
        }
        return {name: count for name, count in counts.items() if count is not None}


@dataclass(frozen=True)
class Changes:
    """What a commit changed in its scope.

    Attributes:
        version: the version before; None if there was no table.
        rows: what became of the rows.
        partitions: what became of the rows of each partition, by its name; empty without partitions.
        columns: the changes of the table's columns, in Markdown.
        mode: how the rows were written.

    """

    version: int | None
    rows: Rows
    partitions: Mapping[str, Rows]
    columns: tuple[str, ...]
    mode: Mode

    def metadata(self, partition: str | None = None) -> dict[str, int]:
        """Return the counts, of the run or of one of its partitions, as metadata."""
        return (self.rows if partition is None else self.partitions.get(partition, Rows())).metadata()


def changes_of(table: str, snapshot: Snapshot, commit: Commit, mode: Mode) -> Changes | None:
    """Return what a commit changed; None if nothing, or if this process does not know it.

    It does not know it of a commit that it did not make, or that it found again after the store's answer was
    lost: of such a commit nobody kept on what it was made, unless it is the table's first.

    Args:
        table: the table's name.
        snapshot: the table at the commit's version, scoped to what was replaced.
        commit: the commit.
        mode: how the rows were written.

    """
    if not commit.changed or commit.recovered or commit.reused is not None:
        return None
    before = commit.before
    if before is None and commit.version > 0:
        return None
    if before is None:
        added = commit.partition_rows if snapshot.scope.keys else {}
        partitions = {key: Rows(0, rows, rows, 0, 0) for key, rows in added.items()}
        return Changes(None, Rows(0, commit.rows, commit.rows, 0, 0), partitions, (), mode)
    columns = tuple(_columns(before.schema, snapshot.schema))
    if before.files is None:  # of an append
        appended = commit.partition_rows if snapshot.scope.keys else {}
        partitions = {key: Rows(None, None, rows, 0, 0) for key, rows in appended.items()}
        return Changes(before.version, Rows(None, None, commit.rows, 0, 0), partitions, columns, mode)
    keys = snapshot.scope.keys
    old = _by_partition(snapshot, before.files)
    new = snapshot.partition_rows if keys else _by_partition(snapshot, snapshot.table_files)
    diff = f"practicus-assets diff {table} {before.version} {commit.version}"
    partitions = {
        name: _replaced(old.get(name, 0), new.get(name, 0), mode, diff)
        for name in keys or sorted({*old, *new}) or [""]
    }
    rows = _sum(list(partitions.values()))
    if commit.matched is not None:
        matched = commit.matched
        rows = Rows(
            rows.before, rows.after, matched.rows - matched.new, matched.old - matched.new, matched.new
        )
        if len(partitions) == 1:
            partitions = dict.fromkeys(partitions, rows)
    is_partitioned = bool(keys or {*partitions} - {""})
    return Changes(before.version, rows, partitions if is_partitioned else {}, columns, mode)


def _replaced(before: int | None, after: int | None, mode: Mode, diff: str) -> Rows:
    """Return what became of rows that others took the place of."""
    if not before and before is not None:
        return Rows(before, after, after, 0, 0)
    if not after and after is not None:
        return Rows(before, after, 0, before, 0)
    if mode == "history":
        return Rows(before, after, reason="a history counts the versions of its keys instead")
    how = (
        "old rows that no new one matches are deleted"
        if mode == "merge"
        else "old rows were replaced as a whole"
    )
    return Rows(before, after, reason=f"{how}, and are not read for it; {diff} compares them")


def _sum(parts: list[Rows]) -> Rows:
    def total(counts: Iterable[int | None]) -> int | None:
        known = list(counts)
        return None if None in known else sum(count or 0 for count in known)

    return Rows(
        total(part.before for part in parts),
        total(part.after for part in parts),
        total(part.added for part in parts),
        total(part.removed for part in parts),
        total(part.changed for part in parts),
        next((part.reason for part in parts if part.reason), ""),
    )


def _by_partition(snapshot: Snapshot, files: Iterable[DataFile]) -> _Partitions:
    """Return the rows of files by partition: by key, or by its values where the scope has no keys."""
    counts: dict[str, list[int | None]] = defaultdict(list)
    keys = snapshot.scope.keys
    bounds = snapshot.scope.on(snapshot.schema)
    for file in files:
        part = bounds.part_of(file.values)
        if not keys:
            counts[readable_row(file.values)].append(file.rows)
        elif part is not None:  # a history writes other partitions, too
            counts[keys[part]].append(file.rows)
    return {
        name: None if None in rows else sum(count or 0 for count in rows) for name, rows in counts.items()
    }


def _columns(before: pa.Schema, after: pa.Schema) -> Iterator[str]:
    """Yield each change of a column, in Markdown."""
    for field in after:
        name = escaped(printable(field.name))
        if field.name not in before.names:
            yield f"{name} ({_type(field)}) is new"
            continue
        old = before.field(field.name)
        if old.type != field.type:
            yield f"{name} was {_type(old)}, and is {_type(field)}"
        if old.nullable != field.nullable:
            yield f"{name} {'may be null now' if field.nullable else 'is not null now'}"
    for field in before:
        if field.name not in after.names:
            yield f"{escaped(printable(field.name))} ({_type(field)}) is gone"


def _type(field: pa.Field) -> str:
    return escaped(printable(str(field.type)))  # a struct's has the names of its fields
