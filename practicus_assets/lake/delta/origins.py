"""Origins: which commit the rows of each partition come from, and whether others came before it."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from practicus_assets.lake.delta.log import LogEntry, entries
from practicus_assets.lake.delta.record import TransactionRecord
from practicus_assets.lake.delta.table import Table, TableVersion
from practicus_assets.lake.partitions.bounds import Bounds
from practicus_assets.lake.partitions.recorded import RecordedScope
from practicus_assets.lake.partitions.scope import WHOLE_TABLE, Scope
from practicus_assets.lake.partitions.values import deserialized
from practicus_assets.lake.rows.fingerprints.fingerprint import EMPTY, same_rows


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
    commits = newest_changes(entries(table, version), bounds, as_given=True)
    return {
        keys[number]: Origin(
            entry.version, entry.record, recorded_fingerprint(entry, keys[number], bounds.one(number))
        )
        for number, entry in commits.items()
    }


class Changes:
    """Which commits changed the partitions of a scope, and whether they left other rows.

    Each log entry is read once, the newest first, and no more of them than the answers need.

    Args:
        at: the version of the table up to which commits count.
        scope: the partitions; the whole table is one, called `WHOLE_TABLE`.

    """

    def __init__(self, at: TableVersion, scope: Scope) -> None:
        self.at = at
        self._keys = scope.keys or (WHOLE_TABLE,)
        self._numbers = {key: number for number, key in enumerate(self._keys)}
        self._bounds = scope.on(at.schema)
        self._touched = Touched(self._bounds, as_given=True)
        self._log: Iterator[LogEntry] = entries(at.table, at.version)
        self._of_all: list[LogEntry] = []  # commits that may have changed every partition
        self._of_one: dict[int, list[LogEntry]] = {}
        self._histories: list[int] = []  # the versions of commits by which rows of any partition may end
        self._next = at.version  # the newest version whose entry was not read
        self._is_read = False

    def has(self, key: str) -> bool:
        """Return whether a partition is one of the scope."""
        return key in self._numbers

    def origin(self, key: str, version: int | None = None) -> Origin | None:
        """Return the newest commit that changed a partition, as of a version; None if the log has none.

        Args:
            key: the partition's key.
            version: the version; by default the newest that counts.

        """
        number = self._numbers[key]
        entry = self._entry(number, self.at.version if version is None else version)
        if entry is None:
            return None
        fingerprint = recorded_fingerprint(entry, key, self._bounds.one(number))
        return Origin(entry.version, entry.record, fingerprint)

    def entry(self, key: str) -> LogEntry | None:
        """Return the log entry of a partition's origin; None if the log has none."""
        return self._entry(self._numbers[key], self.at.version)

    @property
    def oldest(self) -> int:
        """The oldest version whose entry the log still has; the whole log is read to know it."""
        while self._read():
            pass
        return self._next + 1

    def same_rows_since(self, key: str, version: int) -> bool | None:
        """Return whether a partition holds the rows that it held at an older version.

        Equal rows that were committed again are the same ones, where both commits recorded a fingerprint by
        one algorithm. Rows of which that is not known are taken for other ones.

        Args:
            key: the partition's key.
            version: the older version.

        Returns:
            None if the log no longer reaches that version.

        """
        if version > self.at.version:
            return None
        now = self.origin(key)
        is_newer = now is not None and now.version > version
        if self._may_end_otherwise(version) or (is_newer and now is not None and now.fingerprint is None):
            return False
        if now is None:
            return True if version >= self.oldest - 1 else None
        if not is_newer or now.fingerprint is None:
            return True
        before = self.origin(key, version)
        if before is None:
            first = self.oldest == 0  # then the partition had no rows
            return bool(first and same_rows(now.fingerprint, EMPTY))
        return bool(same_rows(now.fingerprint, before.fingerprint or ""))

    def _may_end_otherwise(self, version: int) -> bool:
        """Return whether a history was given rows of any partition since: others' may end with these."""
        while self._next > version and self._read():
            pass
        return bool(self._bounds.columns) and any(found > version for found in self._histories)

    def _entry(self, number: int, version: int) -> LogEntry | None:
        while True:
            found = self._newest(self._of_one.get(number, ()), version)
            wide = self._newest(self._of_all, version)
            if found is not None and wide is not None:
                return max(found, wide, key=lambda entry: entry.version)
            if found is not None or wide is not None:
                return found or wide
            if not self._read():
                return None

    def _read(self) -> bool:
        """Read one entry more; return False if there is none."""
        entry = next(self._log, None) if not self._is_read else None
        if entry is None:
            self._is_read = True
            return False
        self._next = entry.version - 1
        if entry.changes_rows:
            if entry.record is not None and entry.record.given is not None:
                self._histories.append(entry.version)
            numbers = self._touched.by(entry)
            if numbers is None or len(numbers) == self._touched.count:
                self._of_all.append(entry)
            else:
                for number in numbers:
                    self._of_one.setdefault(number, []).append(entry)
        return True

    @staticmethod
    def _newest(commits: Sequence[LogEntry], version: int) -> LogEntry | None:
        position = bisect_left(commits, -version, key=lambda entry: -entry.version)
        return commits[position] if position < len(commits) else None


def newest_changes(log: Iterable[LogEntry], bounds: Bounds, *, as_given: bool = False) -> dict[int, LogEntry]:
    """Return the newest commit that changed each partition of a scope, by the partition's number.

    Args:
        log: the commits, the newest first; no more are read than it takes.
        bounds: the scope; the whole table is one partition of number 0.
        as_given: as for `Touched`.

    """
    touched = Touched(bounds, as_given=as_given)
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
        as_given: whether a commit of a history counts for the partitions whose rows the run gave; without
            it for all, since those of others may be valid until another time.

    Attributes:
        count: how many partitions there are.

    """

    def __init__(self, bounds: Bounds, *, as_given: bool = False) -> None:
        self.count = len(bounds.parts) or 1
        self._as_given = as_given
        self._bounds = bounds
        self._scope = bounds.unmerged
        self._numbers = {part: number for number, part in enumerate(self._scope.parts)}

    def by(self, entry: LogEntry) -> set[int] | None:
        """Return the numbers of the partitions that a commit may have changed; None for all."""
        bounds = self._bounds
        if entry.unreadable is not None or not bounds.columns:
            return None
        if entry.record is not None:
            given = entry.record.given if self._as_given else None
            scope = given.scope if given is not None else entry.record.scope
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
