"""Commit windows: the newest version of a table, and every commit since an attempt began."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from practicus_assets.errors import CommitConflict, CommitStateUnknown
from practicus_assets.lake.delta.log import LogEntry, entries
from practicus_assets.lake.delta.protocol import refuse_unsupported
from practicus_assets.lake.delta.table import Table, TableVersion


@dataclass
class CommitWindow:
    """The commits since an attempt began; each look reads only log entries that no look before has read.

    Attributes:
        table: the table.
        began: the table when the attempt began; None if it did not exist.
        partition_by: its partition columns, as the attempt knows them.
        takes_rows_away: whether the attempt removes rows.
        current: the newest version at the last look; None if there is no table.
        since: the commits since the attempt began, newest first.

    """

    table: Table
    began: TableVersion | None
    partition_by: Sequence[str]
    takes_rows_away: bool
    current: TableVersion | None = None
    since: list[LogEntry] = field(default_factory=list)

    @property
    def newest(self) -> int:
        """The newest version; -1 if there is no table."""
        return self.current.version if self.current is not None else -1

    def look(self, *, in_doubt: bool) -> None:
        """Look at the table again.

        Args:
            in_doubt: whether a commit of the attempt may have landed.

        Raises:
            CommitConflict: if the commits since the attempt began cannot all be known; CommitStateUnknown
                if one of them may be the attempt's.
            UnsupportedTable: if one of them made the table such that this attempt must not commit to it.
            StoreFailed: if the store cannot be read.

        """
        last, self.current = self.current, self.table.open_if_exists()
        before = self.began.version if self.began is not None else -1
        other = self.began is not None and self.current is not None and not _is_same(self.current, self.began)
        earlier = self.since if _is_same(self.current, last) else []
        oldest = (earlier[0].version if earlier else before) + 1
        self.since = [] if other else [*entries(self.table, self.newest, oldest), *earlier]
        if other or len(self.since) != self.newest - before:
            kind = CommitStateUnknown if in_doubt else CommitConflict
            raise kind(
                f"the log no longer says who committed what after version {before}, "
                "where this attempt began.",
                "Run again on fresh inputs.",
            )
        if self.current is not None and self.since:
            refuse_unsupported(self.current, self.partition_by, takes_rows_away=self.takes_rows_away)


def _is_same(one: TableVersion | None, other: TableVersion | None) -> bool:
    """Whether two versions are of one table, and not of one that was put in its place."""
    return one is not None and other is not None and one.id == other.id
