"""The state of a table: what the lake has of each of its partitions, and from which commits."""

from collections.abc import Sequence
from functools import cached_property

import dagster as dg

from practicus_assets.assets.catalog import TableEntry
from practicus_assets.errors import OutOfScope
from practicus_assets.lake.delta.data_file import DataFile
from practicus_assets.lake.delta.origins import Changes
from practicus_assets.lake.delta.snapshot import Snapshot
from practicus_assets.lake.partitions.scope import WHOLE_TABLE, Scope


class TableState:
    """What the lake has of one table, read once, at its newest version.

    Args:
        entry: the table.
        instance: the Dagster instance, which knows dynamic partitions.

    Attributes:
        entry: the table.
        keys: the keys of all its partitions; `WHOLE_TABLE` alone if it has none.
        at: its newest version; None if there is no table.
        problem: why its partitions cannot be told apart in the lake; empty if they can.

    Raises:
        StoreFailed: if its log cannot be read.

    """

    def __init__(self, entry: TableEntry, instance: dg.DagsterInstance) -> None:
        self.entry = entry
        own = entry.partition_keys(instance)
        self.keys: Sequence[str] = (
            tuple(map(str, own)) if entry.partitions_def is not None else (WHOLE_TABLE,)
        )
        self._own_keys = own
        self.at = entry.table.open_if_exists()
        self.problem = ""
        if self.at is not None:
            try:
                self._changes = Changes(self.at, self._scope) if self.keys else None
            except OutOfScope as error:
                self.problem = error.problem

    @property
    def changes(self) -> Changes | None:
        """The commits of its partitions; None if there is no table, or nothing tells them apart."""
        return self._changes if self.at is not None and not self.problem else None

    @cached_property
    def _scope(self) -> Scope:
        return self.entry.settings.scope(self.entry.partitions_def, self._own_keys)

    @cached_property
    def _files(self) -> dict[str, list[DataFile]]:
        """The data files of each partition; none where the table has the column as an ordinary one."""
        if self.changes is None or self.at is None:
            return {}
        if self.entry.partitions_def is None:
            return {WHOLE_TABLE: list(self.at.files())}
        if not set(self._scope.columns) <= set(self.at.partition_by):
            return {}
        return Snapshot(self.at, self._scope).partition_files

    @property
    def tells_files(self) -> bool:
        """Whether each data file is of one partition, so that the log says which of them have rows."""
        return self.at is None or bool(self._files)

    def files(self, key: str) -> Sequence[DataFile]:
        """Return the data files of a partition."""
        return self._files.get(key, ())

    def size(self, keys: Sequence[str]) -> tuple[int | None, int]:
        """Return how many rows partitions have, None if the log does not say, and their files' bytes."""
        files = [file for key in keys for file in self.files(key)]
        counts = [file.rows for file in files]
        rows = None if None in counts or not self.tells_files else sum(count or 0 for count in counts)
        return rows, sum(file.size for file in files)

    def is_there(self, key: str) -> bool:
        """Return whether a partition was computed, be it of no rows, as far as the lake tells."""
        if self.files(key):
            return True
        entry = self.changes.entry(key) if self.changes is not None else None
        is_told = entry is not None and (entry.record is not None or entry.unreadable is not None)
        return is_told or (entry is not None and not self.tells_files)
