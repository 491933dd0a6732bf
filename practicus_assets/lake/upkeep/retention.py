"""Retention: which files and log entries of a table nobody can need any more, and their removal."""

import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import takewhile

from deltalake.exceptions import CommitFailedError
from pyarrow.fs import FileInfo

from practicus_assets.errors import CommitConflict, PracticusAssetsError, RemovalRefused, StoreFailed
from practicus_assets.lake.delta.data_file import stored_path
from practicus_assets.lake.delta.failures import CommitUnsettled
from practicus_assets.lake.delta.files import listed
from practicus_assets.lake.delta.log import KEEPS_LOG, LogEntry, entries, landed_ms
from practicus_assets.lake.delta.log_files import LogFolder
from practicus_assets.lake.delta.record import UPKEEP, UpkeepRecord
from practicus_assets.lake.delta.table import Table, TableVersion
from practicus_assets.lake.transactions.pauses import pauses
from practicus_assets.lake.transactions.table_properties import FILE_RETENTION, LOG_RETENTION, duration
from practicus_assets.lake.upkeep.progress import Progress, unseen
from practicus_assets.wording import number_of

_TRIES = 20
_LATE = "the log begins later than what is to be kept, so nobody can tell what was part of the table then"
_FOREVER = timedelta(days=36_500)  # dates do not reach back as far as intervals
_LONGEST_STAGING = timedelta(days=1)  # of work that no Dagster run tells of, such as a rollback at a terminal


@dataclass(frozen=True)
class Removable:
    """What nobody can need any more.

    Attributes:
        cutoff: what was part of the table, or being staged, at this time or later stays.
        version: the newest version when the list was made.
        paths: the paths of the files, below the table's folder.
        bytes: the size of these files.
        held: why nothing is removable, where the log cannot tell; else empty.

    """

    cutoff: datetime
    version: int
    paths: tuple[str, ...]
    bytes: int
    held: str = ""


def unneeded_files(table: Table, cutoff: datetime, keep: Collection[int] = ()) -> Removable:
    """Return the data files that are in no version that was the newest at the cutoff or later.

    Where the table has `delta.deletedFileRetentionDuration`, the cutoff is at least that long ago. A file
    stays, too, if it was written after the cutoff, or if no commit has named it and it was written
    within the last day, whatever the cutoff: its own commit may be about to land.

    Args:
        table: the table.
        cutoff: the oldest moment whose readers and writers are to be safe.
        keep: older versions that stay readable.

    Raises:
        RemovalRefused: if files of the table are missing: then the paths in the log and those in the folder
            may not be comparable. Or if a version to be kept cannot be opened.

    """
    handle = table.open()
    newest, cutoff = handle.version, _earliest(cutoff, handle, FILE_RETENTION)
    commits = _since(table, newest, cutoff)
    if commits is None:
        return Removable(cutoff, newest, (), 0, _LATE)
    since, oldest = commits
    present = _listed_whole(table, handle)
    needed = {file.path for file in handle.files()} | _named(since)
    if oldest is not None:
        needed |= {file.path for file in table.open(oldest).files()}
    for version in keep:
        needed |= _files_of(table, version)
    unnamed_limit = min(cutoff, datetime.now(UTC) - _LONGEST_STAGING)
    lately = _named(
        takewhile(lambda e: landed_ms(table, e) > unnamed_limit.timestamp() * 1000, entries(table, newest))
    )
    sizes: dict[str, int] = {}
    for path in sorted(present.keys() - needed):
        info, limit = present[path], cutoff if path in lately else unnamed_limit
        if info.mtime_ns is not None and info.mtime_ns / 1e9 < limit.timestamp():
            sizes[path] = info.size
    return Removable(cutoff, newest, tuple(sizes), sum(sizes.values()))


def _listed_whole(table: Table, handle: TableVersion) -> dict[str, FileInfo]:
    """Return the data files in the table's folder; raise RemovalRefused if some of the version's are not."""
    present = listed(table)
    missing = sorted({file.path for file in handle.files()} - present.keys())
    if missing:
        raise RemovalRefused(
            f"the table {table.name} lacks {number_of(len(missing), 'file')} of its log, e.g. {missing[0]}.",
            f"Nothing was removed. Look at it with practicus-assets verify {table.name}.",
        )
    return present


def unneeded_entries(table: Table, cutoff: datetime, keep: Collection[int] = ()) -> Removable:
    """Return the log's files that are only needed to open versions older than the cutoff.

    Where the table has `delta.logRetentionDuration` or `delta.deletedFileRetentionDuration`, the cutoff is at
    least that long ago.

    Args:
        table: the table.
        cutoff: versions that were the newest then, or later, stay readable.
        keep: older versions that stay readable.

    Raises:
        RemovalRefused: if the file that names the checkpoint that readers begin at cannot be read.

    """
    handle = table.open()
    # files can be told from others only as long as the log reaches back to where they left the table
    newest, cutoff = handle.version, _earliest(cutoff, handle, LOG_RETENTION, FILE_RETENTION)
    commits = _since(table, newest, cutoff)
    if commits is None or commits[1] is None:
        return Removable(cutoff, newest, (), 0, _LATE if commits is None else "")
    log = LogFolder(table)
    try:
        pointer = log.last_checkpoint()  # which readers begin at
    except StoreFailed as error:
        raise RemovalRefused(
            error.problem,
            f"Nothing was removed. practicus-assets verify {table.name} shows what is wrong with the log.",
        ) from error
    limit = min(commits[1], *keep, newest if pointer is None else pointer)
    first = next(
        (c.version for c in reversed(log.checkpoints) if c.version <= limit and log.damage(c) is None), 0
    )
    sizes = log.before(first)
    if sizes:
        written_before = min(cutoff, datetime.now(UTC) - _LONGEST_STAGING)
        sizes |= log.unnamed_sidecars(first, written_before.timestamp())
    return Removable(cutoff, newest, tuple(sizes), sum(sizes.values()))


def remove(table: Table, removable: Removable, progress: Progress = unseen) -> int:
    """Delete files, oldest log entries first; return how many are gone.

    Files that a later commit names stay.
    """
    named = _named(entries(table, table.open().version, removable.version + 1))
    removed = 0
    for done, path in enumerate(removable.paths):
        progress(done, len(removable.paths))
        if path in named:
            continue
        removed += table.delete(path)  # or another maintenance run was faster
    progress(len(removable.paths), len(removable.paths))
    return removed


def checkpoint(table: Table) -> int:
    """Write a checkpoint of the newest version, from which readers and expiry begin; return the version.

    A table that another writer made first gets the property by which tables here keep their log: delta-rs
    expires it with each checkpoint otherwise, and knows nothing of versions that are to be kept.
    """
    _keep_log(table)
    newest = table.open()
    newest.checkpoint()
    return newest.version


def _keep_log(table: Table) -> None:
    """Set the property by which no writer expires the log, unless it is set."""
    record = {UPKEEP: UpkeepRecord("keep the log").to_json()}
    waits = pauses()
    for _ in range(_TRIES):
        newest = table.open()
        if KEEPS_LOG.items() <= newest.configuration.items():
            return
        try:
            newest.set_properties(KEEPS_LOG, record)
        except CommitUnsettled as error:
            if not isinstance(error.__cause__, CommitFailedError):
                raise error.settled() from error.__cause__
            time.sleep(next(waits))
        else:
            return
    raise CommitConflict(f"{table.name} is being written to all the time.", "Run its maintenance again.")


def _earliest(cutoff: datetime, handle: TableVersion, *properties: str) -> datetime:
    """Return the cutoff, or an earlier one where properties of the table promise to keep more."""
    lengths = [duration(handle.configuration.get(name, "")) for name in properties]
    now = datetime.now(UTC)
    return min([cutoff, *(now - min(length, _FOREVER) for length in lengths if length is not None)])


def _since(table: Table, newest: int, cutoff: datetime) -> tuple[list[LogEntry], int | None] | None:
    """Return the commits after the cutoff, and the version that was the newest then, if there was one.

    None if the log begins after the cutoff, so that nobody can tell what was part of the table then.
    """
    since: list[LogEntry] = []
    for entry in entries(table, newest):
        if landed_ms(table, entry) <= cutoff.timestamp() * 1000:
            return since, entry.version
        since.append(entry)
    if since and since[-1].version == 0:
        return since, None
    return None


def _named(commits: Iterable[LogEntry]) -> set[str]:
    """Return the files that commits added."""
    return {stored_path(action["path"]) for entry in commits for action in entry.added}


def _files_of(table: Table, version: int) -> set[str]:
    try:
        return {file.path for file in table.open(version).files()}
    except PracticusAssetsError as error:
        raise RemovalRefused(
            f"version {version} of {table.name}, which is to be kept, cannot be opened: {error}",
            "Nothing was removed. If it is lost for good, keep fewer releases.",
        ) from error
