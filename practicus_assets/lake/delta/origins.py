"""Origins: which commit the rows of each partition come from."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import pyarrow as pa

from practicus_assets.lake.delta.log import LogEntry, entries
from practicus_assets.lake.delta.record import TransactionRecord
from practicus_assets.lake.delta.table import Table
from practicus_assets.lake.partitions.bounds import Bounds
from practicus_assets.lake.partitions.recorded import RecordedScope
from practicus_assets.lake.partitions.scope import WHOLE_TABLE, Scope
from practicus_assets.lake.partitions.values import deserialized


@dataclass(frozen=True)
class Origin:
    """The newest commit that changed a partition.

    Attributes:
        version: the version that it made.
        record: what the transaction wrote about itself; None for other writers.
        fingerprint: of the partition's rows; None where the commit did not write all of them, or did not say.

    """

    version: int
    record: TransactionRecord | None
    fingerprint: str | None


def origins(table: Table, version: int, scope: Scope, schema: pa.Schema) -> dict[str, Origin]:
    """Return the origin of each partition of a scope, by key, as of a version.

    Partitions that no commit changed are absent, and those whose commit is no longer in the log.

    Args:
        table: the table.
        version: the newest commit that counts.
        scope: the partitions; the whole table is one, called `WHOLE_TABLE`.
        schema: the table's columns at that version.

    """
    keys, bounds = scope.keys or (WHOLE_TABLE,), scope.on(schema)
    commits = newest_changes(entries(table, version), bounds)
    return {
        keys[number]: Origin(
            entry.version, entry.record, recorded_fingerprint(entry, keys[number], bounds.one(number))
        )
        for number, entry in commits.items()
    }


def newest_changes(log: Iterable[LogEntry], bounds: Bounds) -> dict[int, LogEntry]:
    """Return the newest commit that changed each partition of a scope, by the partition's number.

    Args:
        log: the commits, the newest first; no more are read than it takes.
        bounds: the scope; the whole table is one partition of number 0.

    """
    touched = Touched(bounds)
    pending = set(range(touched.count))
    newest: dict[int, LogEntry] = {}
    for entry in log:
        if not pending:
            break
        if entry.changes_rows:
            numbers = touched.by(entry)
            changed = set(pending) if numbers is None else pending & numbers
            newest |= dict.fromkeys(sorted(changed), entry)
            pending -= changed
    return newest


class Touched:
    """Tells which partitions of a scope commits may have changed.

    Args:
        bounds: the scope; the whole table is one partition of number 0.

    Attributes:
        count: how many partitions there are.

    """

    def __init__(self, bounds: Bounds) -> None:
        self.count = len(bounds.parts) or 1
        self._bounds = bounds
        self._scope = bounds.unmerged
        self._numbers = {part: number for number, part in enumerate(self._scope.parts)}

    def by(self, entry: LogEntry) -> set[int] | None:
        """Return the numbers of the partitions that a commit may have changed; None for all."""
        bounds = self._bounds
        if entry.unreadable is not None or not bounds.columns:
            return None
        if entry.record is not None:
            scope = entry.record.scope
            exact = {self._numbers.get(part) for part in scope.parts}
            if scope.columns == bounds.columns and None not in exact:
                return {number for number in exact if number is not None}  # they touch no other
            return self._scope.meeting(scope)
        if any(column not in change for change in entry.changes for column in bounds.columns):
            return None
        return {number for change in entry.changes for number in _holding(bounds, change)}


def _holding(bounds: Bounds, change: Mapping[str, str | None]) -> Iterator[int]:
    """Yield the number of the partition that holds a file with these partition values, if there is one."""
    pairs = zip(bounds.columns, bounds.types, strict=True)
    try:
        values = {column: deserialized(change[column] or "", type_) for column, type_ in pairs}
    except ValueError:
        return  # null or not of the column's type
    number = bounds.part_of(values)
    if number is not None:
        yield number


def recorded_fingerprint(entry: LogEntry, key: str, partition: RecordedScope) -> str | None:
    """Return the fingerprint of a partition's rows after a commit; None if it did not write and say all.

    Args:
        entry: the commit.
        key: the partition's key.
        partition: the partition; a key alone may be that of a day, and of the month that begins with it.

    """
    record = entry.record
    if record is None or record.mode == "append":
        return None
    if not record.scope.divides_into(len(record.fingerprints), partition):
        return None
    return record.fingerprints.get(key)
