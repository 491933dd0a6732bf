"""Equal rows: whether a table holds the rows already that an attempt would commit.

The log is asked first: how many rows each partition has, and which fingerprint its newest commit recorded.
Rows are read only where it does not say, or where finding it in the log would take longer than reading them.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

from practicus_assets.errors import PracticusAssetsError
from practicus_assets.lake.delta.data_file import DataFile, row_count
from practicus_assets.lake.delta.log import LogEntry, entries
from practicus_assets.lake.delta.origins import newest_changes, recorded_fingerprint
from practicus_assets.lake.delta.snapshot import Snapshot
from practicus_assets.lake.delta.table import Table, TableVersion
from practicus_assets.lake.partitions.scope import WHOLE_TABLE, Scope
from practicus_assets.lake.partitions.values import split
from practicus_assets.lake.rows.fingerprints.fingerprint import EMPTY, Fingerprint, rows_of, same_rows
from practicus_assets.lake.rows.fingerprints.hashes import hash_rows

_BYTES_PER_ENTRY = 1 << 20  # of Parquet, which are read in about the time that one log entry takes


class EqualRows:
    """Compares the rows of a scope with fingerprints.

    Args:
        current: the version to look at; its columns are those of the fingerprints.
        scope: the scope.
        fingerprints: the fingerprint of each partition by key; partitions without rows are left out.

    """

    def __init__(self, current: TableVersion, scope: Scope, fingerprints: Mapping[str, str]) -> None:
        self._current = current
        self._scope = scope
        self._bounds = scope.on(current.schema)
        self._keys = scope.keys or (WHOLE_TABLE,)
        self._wanted = [fingerprints.get(key, EMPTY) for key in self._keys]

    def are_in(self, files: Sequence[DataFile]) -> bool:
        """Return whether these files, all of the version inside the scope, hold equal rows.

        Raises:
            StoreFailed: if the log, or rows that have to be read, cannot be read.

        """
        parts: list[list[DataFile]] = [[] for _ in self._keys]
        for file in files:
            number = self._bounds.part_of(file.values)
            assert number is not None, "the files are those of the scope"
            parts[number].append(file)
        for part, wanted in zip(parts, self._wanted, strict=True):
            if row_count(part) != rows_of(wanted):
                return False
        filled = [number for number, wanted in enumerate(self._wanted) if rows_of(wanted)]
        limit = 1 + sum(file.size for file in files) // _BYTES_PER_ENTRY
        answers = self._log_answers(limit) if filled else {}
        if any(answers.get(number) is False for number in filled):
            return False
        known = [number for number in filled if answers.get(number)]
        if not all(is_whole(self._current.table, file) for number in known for file in parts[number]):
            return False
        return self._are_read([number for number in filled if number not in known])

    def _log_answers(self, limit: int) -> dict[int, bool | None]:
        """Return by number, as far as the log says, whether a partition holds the rows."""
        changes = newest_changes(self._newest_entries(limit), self._bounds)
        return {
            number: same_rows(
                recorded_fingerprint(entry, self._keys[number], self._bounds.one(number)) or "",
                self._wanted[number],
            )
            for number, entry in changes.items()
        }

    def _newest_entries(self, limit: int) -> Iterator[LogEntry]:
        """Yield log entries back to the one that gave the table its columns; older ones had others."""
        for entry in islice(entries(self._current.table, self._current.version), limit):
            yield entry
            if entry.changes_metadata:
                return

    def _are_read(self, numbers: Sequence[int]) -> bool:
        """Read the rows of partitions, and return whether they are the wanted ones."""
        if not numbers:
            return True
        scope = self._scope
        if scope.columns:
            parts = tuple(scope.parts[number] for number in numbers)
            scope = Scope(scope.columns, parts, tuple(scope.keys[number] for number in numbers))
        bounds = scope.on(self._current.schema)
        fingerprints = [Fingerprint() for _ in numbers]
        for batch in Snapshot(self._current, scope).scan():
            hashes = hash_rows(batch, self._current.schema.names)
            for values, positions in split(batch, bounds.columns):
                number = bounds.part_of(dict(zip(bounds.columns, values, strict=True)))
                if number is not None:
                    fingerprints[number].add(hashes[positions])
        return [*map(str, fingerprints)] == [self._wanted[number] for number in numbers]


def is_whole(table: Table, file: DataFile) -> bool:
    """Return whether a file is there and can be opened; a damaged one is best replaced by equal rows."""
    try:
        with table.parquet(file.path) as parquet:
            return bool(parquet.metadata.num_rows == (file.rows or 0) + file.deleted)
    except PracticusAssetsError:
        return False
