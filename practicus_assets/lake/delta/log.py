"""The Delta log as it is stored: single commits, by version (Delta protocol, "Delta Log Entries").

delta-rs's `history()` labels commits by counting back from the newest one, so it is wrong on a handle
that another writer has overtaken; the entries themselves are not.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from practicus_assets.errors import DeclarationError, TableNotFound
from practicus_assets.lake.delta.log_files import LogFolder
from practicus_assets.lake.delta.record import (
    RECORD,
    UPKEEP,
    TransactionRecord,
    UnreadableRecord,
    UpkeepRecord,
)
from practicus_assets.lake.delta.table import Table, TableVersion
from practicus_assets.lake.partitions.bounds import Bounds
from practicus_assets.wording import readable

# the property by which a table's log is expired by maintenance alone, which knows what releases need
KEEPS_LOG = {"delta.enableExpiredLogCleanup": "false"}


@dataclass(frozen=True)
class LogEntry:
    """One commit.

    Attributes:
        version: the version that it made.
        info: its `commitInfo`; empty where the writer left it out.
        added, removed: its `add` and `remove` actions.
        changes_metadata: whether it may have changed the table's columns.

    """

    version: int
    info: Mapping[str, Any]
    added: tuple[Mapping[str, Any], ...]
    removed: tuple[Mapping[str, Any], ...]
    changes_metadata: bool = False

    @property
    def changes(self) -> tuple[Mapping[str, str | None], ...]:
        """The partition values, as text, of its files, without those that rows only moved between."""
        files = (*self.added, *self.removed)
        return tuple(file.get("partitionValues") or {} for file in files if file.get("dataChange", True))

    @property
    def removes(self) -> bool:
        """Whether it took rows away."""
        return any(file.get("dataChange", True) for file in self.removed)

    @property
    def changes_rows(self) -> bool:
        """Whether the table has other rows since, as far as the log tells."""
        if self.unreadable is not None:
            return True
        return self.record.changed if self.record is not None else bool(self.changes)

    def touches(self, bounds: Bounds) -> bool:
        """Return whether it replaced, or may have changed, rows of a scope."""
        if self.unreadable is not None:
            return True
        if self.record is not None:
            return bounds.overlaps(self.record.scope)
        return any(map(bounds.touches, self.changes))

    @property
    def record(self) -> TransactionRecord | None:
        """What a transaction of this package wrote about itself; None for other writers."""
        return self._record if isinstance(self._record, TransactionRecord) else None

    @property
    def unreadable(self) -> UnreadableRecord | None:
        """Why a transaction's record cannot be read; None if it can, or if there is none."""
        return self._record if isinstance(self._record, UnreadableRecord) else None

    @cached_property
    def _record(self) -> TransactionRecord | UnreadableRecord | None:
        if RECORD not in self.info:
            return None
        try:
            return TransactionRecord.from_json(self.info[RECORD])
        except UnreadableRecord as error:
            return error

    @property
    def upkeep(self) -> UpkeepRecord | None:
        """What maintenance of this package wrote about itself; None for all else, and for newer formats."""
        try:
            return UpkeepRecord.from_json(self.info[UPKEEP]) if UPKEEP in self.info else None
        except UnreadableRecord:
            return None


def entries(table: Table, newest: int, oldest: int = 0) -> Iterator[LogEntry]:
    """Yield commits from the newest to the oldest; ends early where the log was cleaned up.

    Raises:
        StoreFailed: if an entry cannot be read.

    """
    log = LogFolder(table)
    for version in range(newest, oldest - 1, -1):
        actions = log.actions(version)
        if actions is None:
            return
        info: dict[str, Any] = next((a["commitInfo"] for a in actions if "commitInfo" in a), {})
        added = tuple(a["add"] for a in actions if "add" in a)
        removed = tuple(a["remove"] for a in actions if "remove" in a)
        yield LogEntry(version, info, added, removed, any("metaData" in a for a in actions))


def deleted_rows(action: Mapping[str, Any]) -> int:
    """Return how many rows of its file the deletion vector of an action takes out of the table."""
    return int((action.get("deletionVector") or {}).get("cardinality", 0))


def rows_held(action: Mapping[str, Any]) -> int | None:
    """Return how many rows the file of an `add` action holds, deleted ones too, where its writer says it."""
    statistics = action.get("stats")
    count = json.loads(statistics).get("numRecords") if statistics else None
    return int(count) if count is not None else None


def landed_ms(table: Table, entry: LogEntry) -> float:
    """Return when a commit landed, in milliseconds since 1970, by the store's clock.

    The writer's own time is older: it was taken before the commit landed. It only tells the order within a
    second, where the store keeps whole seconds.
    """
    return _landed_ms(entry, LogFolder(table).modified_ns(entry.version))


def _landed_ms(entry: LogEntry, stored_ns: int | None) -> float:
    written_ms = float(entry.info.get("timestamp") or 0)
    if stored_ns is None:
        return written_ms
    earliest_ms, latest_ms = _window_ms(stored_ns)
    return min(max(earliest_ms, written_ms), latest_ms)


def _window_ms(stored_ns: int) -> tuple[float, float]:
    """Return from when to when an entry with a time of the store may have landed."""
    stored_ms = stored_ns / 1e6
    return stored_ms, stored_ms if stored_ns % 10**9 else stored_ms + 999  # some keep whole seconds


def opened_at(table: Table, moment: datetime) -> TableVersion:
    """Open the newest version that was committed at or before a moment.

    Raises:
        DeclarationError: for a moment without a time zone.
        TableNotFound: if there was no table then.

    """
    if moment.tzinfo is None:
        raise DeclarationError(f"version={readable(moment)} has no time zone.", "Give it one, such as UTC.")
    newest = table.open()
    limit_ms = moment.timestamp() * 1000
    for version in range(newest.version, -1, -1):
        if _landed_by(table, version, limit_ms) is not False:  # what was cleaned up is older
            return newest if version == newest.version else table.open(version)
    raise TableNotFound(
        f"the Delta table at {table.uri} was first committed after {moment.isoformat()}.",
        "Run again, to read what is there now.",
    )


def _landed_by(table: Table, version: int, limit_ms: float) -> bool | None:
    """Return whether a commit had landed by then; None if its entry is not there.

    A commit of many files has a long entry, which is read only where the store's clock does not tell.
    """
    stored_ns = LogFolder(table).modified_ns(version)
    if stored_ns is not None:
        earliest_ms, latest_ms = _window_ms(stored_ns)
        if latest_ms <= limit_ms or earliest_ms > limit_ms:
            return latest_ms <= limit_ms
    entry = next(entries(table, version, version), None)
    return None if entry is None else _landed_ms(entry, stored_ns) <= limit_ms
