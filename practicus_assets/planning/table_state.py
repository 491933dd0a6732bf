"""The state of a table: what the lake has of each of its partitions, and from which commits."""

from collections.abc import Iterable, Sequence
from functools import cached_property

import dagster as dg
import pyarrow as pa

from practicus_assets.assets.catalog import TableEntry
from practicus_assets.errors import OutOfScope
from practicus_assets.lake.delta.data_file import DataFile
from practicus_assets.lake.delta.log import LogEntry
from practicus_assets.lake.delta.log_files import LogFolder
from practicus_assets.lake.delta.origins import Changes
from practicus_assets.lake.delta.record import InputVersion, TransactionRecord
from practicus_assets.lake.delta.snapshot import Snapshot
from practicus_assets.lake.delta.table import Table, TableVersion
from practicus_assets.lake.partitions.scope import WHOLE_TABLE, Scope


class Layer:
    """A table at one place: below the lake's own root, or in the base that the lake lies over.

    Args:
        table: the place.
        scope: the table's partitions.
        has_keys: whether there are any; a table may have partitions, and none of them yet.
        root_uri: the base's root; empty for the own root.

    Attributes:
        at: its newest version; None if there is no table.
        changes: the commits of its partitions; None if there is no table, or nothing tells them apart.
        problem: why its partitions cannot be told apart; empty if they can.
        root_uri: as above.

    """

    def __init__(self, table: Table, scope: Scope, *, has_keys: bool, root_uri: str = "") -> None:
        self.at: TableVersion | None = table.open_if_exists()
        self.changes: Changes | None = None
        self.problem = ""
        self.root_uri = root_uri
        self._table = table
        self._scope = scope
        if self.at is not None and has_keys:
            try:
                self.changes = Changes(self.at, scope)
            except OutOfScope as error:
                self.problem = error.problem

    def has_moved(self) -> bool:
        """Return whether the table has a newer version by now, or there is one by now."""
        if self.at is None:
            return self._table.open_if_exists() is not None
        return LogFolder(self.at.table).actions(self.at.version + 1) is not None

    @cached_property
    def _files(self) -> dict[str, list[DataFile]]:
        """The data files of each partition; none where the table has the column as an ordinary one."""
        if self.changes is None or self.at is None:
            return {}
        if not self._scope.keys:
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

    def entry(self, key: str) -> LogEntry | None:
        """Return the newest commit of a partition; None if the log has none."""
        return self.changes.entry(key) if self.changes is not None else None

    @property
    def is_cut(self) -> bool:
        """Whether the log no longer reaches back to the first commit."""
        return self.changes is not None and self.changes.oldest > 0

    def is_there(self, key: str) -> bool:
        """Return whether a partition was computed, be it of no rows, as far as the log tells."""
        if self.files(key):
            return True
        entry = self.entry(key)
        is_told = entry is not None and (entry.record is not None or entry.unreadable is not None)
        return is_told or (entry is not None and not self.tells_files)


class TableState:
    """What the lake has of one table, read once, at its newest version.

    Args:
        entry: the table.
        instance: the Dagster instance, which knows dynamic partitions.

    Attributes:
        entry: the table.
        keys: the keys of all its partitions; `WHOLE_TABLE` alone if it has none.
        own: the table below the lake's own root.

    Raises:
        StoreFailed: if its log cannot be read.

    """

    def __init__(self, entry: TableEntry, instance: dg.DagsterInstance) -> None:
        self.entry = entry
        own = entry.partition_keys(instance)
        is_partitioned = entry.partitions_def is not None
        self.keys: Sequence[str] = tuple(map(str, own)) if is_partitioned else (WHOLE_TABLE,)
        scope = entry.settings.scope(entry.partitions_def, own) if self.keys else Scope()
        self.own = Layer(entry.table, scope, has_keys=bool(self.keys))
        base = entry.layered.base
        self._base = (
            Layer(base, scope, has_keys=bool(self.keys), root_uri=entry.layered.base_uri)
            if base is not None
            else None
        )

    def has_moved(self) -> bool:
        """Return whether a commit was made since the table was read."""
        return self.own.has_moved() or (self._base is not None and self._base.has_moved())

    def layer(self, key: str) -> Layer:
        """Return where a partition is read: in the base, unless a commit to the own root was about it."""
        base = self._base
        is_own = base is None or base.at is None or self.own.problem or self.own.entry(key) is not None
        return self.own if is_own or base is None else base

    @property
    def newest(self) -> TableVersion | None:
        """The table's newest version, in the base if it is only there; None if there is no table."""
        return self.own.at or (self._base.at if self._base is not None else None)

    @property
    def schema(self) -> pa.Schema | None:
        """The table's columns; None if there is no table."""
        return self.newest.schema if self.newest is not None else None

    def is_there(self, key: str) -> bool:
        """Return whether a partition was computed, be it of no rows, as far as the lake tells."""
        return self.layer(key).is_there(key)

    def is_recorded(self, key: str) -> bool:
        """Return whether the newest commit of a partition is one of this package, if there is one."""
        entry = self.layer(key).entry(key)
        return entry is None or entry.record is not None

    def size(self, keys: Iterable[str]) -> tuple[int | None, int]:
        """Return how many rows partitions have, None if the log does not say, and their files' bytes."""
        rows: int | None = 0
        size = 0
        for key in keys:
            layer = self.layer(key)
            rows = rows if layer.tells_files else None
            for file in layer.files(key):
                rows = rows + file.rows if rows is not None and file.rows is not None else None
                size += file.size
        return rows, size

    def records(self, keys: Iterable[str]) -> Iterable[TransactionRecord]:
        """Yield what the newest commits of partitions say of themselves, where they do."""
        for key in keys:
            entry = self.layer(key).entry(key)
            if entry is not None and entry.record is not None:
                yield entry.record

    def difference(self, key: str, read: Sequence[InputVersion], reader: Layer) -> str | None:
        """Return how a partition differs from what was read of it, as a verb and its object; empty if not.

        Args:
            key: the partition's key.
            read: the versions that were read of this table.
            reader: where the commit is that read them, which names the base alone.

        Returns:
            None if the log no longer says it.

        """
        layer = self.layer(key)
        if layer.at is None:
            return "is gone"
        versions = [each for each in read if (each.root_uri or reader.root_uri) == layer.root_uri]
        if not versions:
            return "was read in another root"
        if any(each.table_id not in {"", layer.at.id} for each in versions):
            return "was created again"
        if layer.changes is None or not layer.changes.has(key):
            return None if layer.problem else ""
        answers = {layer.changes.same_rows_since(key, each.version) for each in versions}
        return "has other rows" if False in answers else None if None in answers else ""
