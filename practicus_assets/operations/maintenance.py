"""Maintenance: keeps a table's files few and its folder small, without touching what a run may need."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import dagster as dg

from practicus_assets.assets.catalog import TableEntry
from practicus_assets.errors import DeclarationError, naming
from practicus_assets.lake.upkeep.compaction import Compaction, compact
from practicus_assets.lake.upkeep.releases import kept_versions
from practicus_assets.lake.upkeep.retention import (
    Removable,
    checkpoint,
    remove,
    unneeded_entries,
    unneeded_files,
)

DEFAULT_RETENTION_HOURS = 7 * 24
DEFAULT_RELEASES = 10

_CLOCK_SKEW = timedelta(hours=1)  # between Dagster's database and the object store, generously
_UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]

Watch = Callable[[int, int], None]


@dataclass(frozen=True)
class Chores:
    """What is to be done, in the order of the fields.

    Attributes:
        compact: rewrite small files.
        z_order: sort the rows of each partition by these columns, instead.
        checkpoint: write a checkpoint.
        expire: delete log entries that only older versions need.
        vacuum: delete data files that only older versions need, and those left by killed processes.
        retention_hours: what was part of the table within them stays.
        releases: how many of the lake's newest releases stay readable.

    """

    compact: bool = True
    z_order: Sequence[str] = ()
    checkpoint: bool = True
    expire: bool = True
    vacuum: bool = True
    retention_hours: float = DEFAULT_RETENTION_HOURS
    releases: int = DEFAULT_RELEASES

    def __post_init__(self) -> None:
        """Refuse what makes no sense.

        Raises:
            DeclarationError: for a negative retention or number of releases.

        """
        if self.retention_hours < 0 or self.releases < 0:
            raise DeclarationError(
                f"a retention of {self.retention_hours} hours with {self.releases} releases makes no sense.",
                "Give numbers that are not negative.",
            )


@dataclass(frozen=True)
class Upkeep:
    """What was done to a table, or would be.

    Attributes:
        table: its name.
        cutoff: what was part of the table, or being staged, then or later stays.
        held_by: the run that the cutoff waits for; empty if it is the retention.
        kept: the older versions that releases need, with a release's name.
        compaction: what was rewritten; None if that was not asked for.
        checkpoint: the version of the checkpoint that was written.
        entries, files: what was found removable; None if that was not asked for.
        removed: how many files and log entries are gone; None in a dry run.

    """

    table: str
    cutoff: datetime
    held_by: str
    kept: Mapping[int, str] = field(default_factory=dict)
    compaction: Compaction | None = None
    checkpoint: int | None = None
    entries: Removable | None = None
    files: Removable | None = None
    removed: int | None = None


def cutoff(
    instance: dg.DagsterInstance, retention_hours: float, but: str | None = None
) -> tuple[datetime, str]:
    """Return the moment before which nobody needs what is no longer part of a table, and who holds it back.

    A run reads tables as they were when it began, and its staged files are younger than that. So the moment
    is the end of the retention, or earlier: the start of the oldest run that is not finished.

    Args:
        instance: of Dagster.
        retention_hours: how far back readers outside of runs are safe.
        but: a run that does not count: the one that does the maintenance.

    """
    moment = datetime.now(UTC) - timedelta(hours=retention_hours)
    unfinished = dg.RunsFilter(statuses=_UNFINISHED)
    for record in instance.get_run_records(unfinished, limit=2, order_by="create_timestamp", ascending=True):
        began = record.create_timestamp.replace(tzinfo=record.create_timestamp.tzinfo or UTC) - _CLOCK_SKEW
        if record.dagster_run.run_id != but:
            return (began, record.dagster_run.run_id) if began < moment else (moment, "")
    return moment, ""


def maintain(
    entry: TableEntry,
    instance: dg.DagsterInstance,
    chores: Chores,
    *,
    run_id: str = "",
    dry_run: bool = False,
    watch: Watch = lambda _done, _total: None,
) -> Upkeep:
    """Do what is to be done to one table, beside its writers and readers.

    Args:
        entry: the table.
        instance: which knows the runs that are at work; those of other instances are safe by the retention.
        chores: what to do.
        run_id: the run that does it.
        dry_run: only find out.
        watch: is told how far the work at hand is.

    Raises:
        RemovalRefused: if nobody can tell what may be removed.

    """
    moment, held_by = cutoff(instance, chores.retention_hours, run_id or None)
    table = entry.table
    with naming(entry.name):
        released = kept_versions(entry.root_uri, chores.releases, table.storage_options)
        kept = released.get(entry.name, {})
        compaction = (
            compact(table, order_by=chores.z_order, run_id=run_id, dry_run=dry_run, watch=watch)
            if chores.compact or chores.z_order
            else None
        )
        written = checkpoint(table) if chores.checkpoint and not dry_run else None
        removed = 0
        entries = files = None
        if chores.vacuum:
            files = unneeded_files(table, moment, kept)
            removed += 0 if dry_run else remove(table, files, watch)
        if chores.expire:
            entries = unneeded_entries(table, moment, kept)
            removed += 0 if dry_run else remove(table, entries, watch)
    return Upkeep(
        entry.name,
        moment,
        held_by,
        kept,
        compaction,
        written,
        entries,
        files,
        None if dry_run else removed,
    )
