"""Commit windows: the newest version of a table, and every commit since an attempt began."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from practicus_assets.errors import CommitConflict, CommitStateUnknown, PracticusAssetsError
from practicus_assets.lake.delta.data_file import stored_path
from practicus_assets.lake.delta.log import LogEntry, entries
from practicus_assets.lake.delta.table import Table, TableVersion
from practicus_assets.lake.transactions.stage.staged import Staged, delete_files


@dataclass
class CommitWindow:
    """The commits since an attempt began; each look reads only log entries that no look before has read.

    Attributes:
        table: the table.
        began: the table when the attempt began; None if it did not exist.
        current: the newest version at the last look; None if there is no table.
        since: the commits since the attempt began, newest first.

    """

    table: Table
    began: TableVersion | None
    current: TableVersion | None = None
    since: list[LogEntry] = field(default_factory=list)

    @property
    def newest(self) -> int:
        """The newest version; -1 if there is no table."""
        return self.current.version if self.current is not None else -1

    @property
    def added(self) -> set[str]:
        """The paths of the files that the commits added."""
        return {stored_path(action["path"]) for entry in self.since for action in entry.added}

    def look(self, *, in_doubt: bool) -> None:
        """Look at the table again.

        Args:
            in_doubt: whether a commit of the attempt may have landed.

        Raises:
            CommitConflict: if the commits since the attempt began cannot all be known; CommitStateUnknown
                if one of them may be the attempt's.
            StoreFailed: if the store cannot be read.

        """
        last, known = self.current, self.current or self.began
        self.current = (known.caught_up() if known is not None else None) or self.table.open_if_exists()
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


def delete_unnamed(window: CommitWindow, parts: Sequence[Staged]) -> None:
    """Delete the files of parts that the contract refuses, but for those that a commit has named."""
    try:
        window.look(in_doubt=False)
    except PracticusAssetsError:
        return  # maintenance deletes them
    delete_files(window.table, [f.path for part in parts for f in part.files if f.path not in window.added])


def _is_same(one: TableVersion | None, other: TableVersion | None) -> bool:
    """Whether two versions are of one table, and not of one that was put in its place."""
    return one is not None and other is not None and one.id == other.id
