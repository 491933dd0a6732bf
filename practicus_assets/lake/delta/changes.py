"""Changes: the commits that gave the partitions of a table their rows, read from its log as far as needed."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence

from practicus_assets.lake.delta.log import LogEntry, entries
from practicus_assets.lake.delta.origins import Origin, Touched, recorded_fingerprint
from practicus_assets.lake.delta.table import TableVersion
from practicus_assets.lake.partitions.scope import WHOLE_TABLE, Scope
from practicus_assets.lake.rows.fingerprints.fingerprint import EMPTY, same_rows


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
        self._touched = Touched(self._bounds)
        self._log: Iterator[LogEntry] = entries(at.table, at.version)
        self._of_all: list[LogEntry] = []  # commits that may have changed every partition
        self._of_one: dict[int, list[LogEntry]] = {}
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
        if now is None:
            return True if version >= self.oldest - 1 else None
        if now.version <= version:
            return True
        if now.fingerprint is None:
            return False
        before = self.origin(key, version)
        if before is None:
            first = self.oldest == 0  # then the partition had no rows
            return bool(first and same_rows(now.fingerprint, EMPTY))
        return bool(same_rows(now.fingerprint, before.fingerprint or ""))

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
