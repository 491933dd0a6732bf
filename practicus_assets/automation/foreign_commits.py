"""Foreign commits: partitions of tables that other writers changed, as materializations that tell Dagster."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import dagster as dg

from practicus_assets.assets.catalog import TableEntry
from practicus_assets.assets.report.data_version import identity
from practicus_assets.assets.report.names import DATA_VERSION_TAG, TABLE_ID, VERSION
from practicus_assets.instance.events import latest
from practicus_assets.lake.delta.log import entries
from practicus_assets.lake.delta.origins import Origin, Touched, origins
from practicus_assets.lake.delta.snapshot import Snapshot
from practicus_assets.lake.delta.table import TableVersion
from practicus_assets.lake.partitions.bounds import Bounds
from practicus_assets.lake.partitions.scope import WHOLE_TABLE
from practicus_assets.lake.rows.fingerprints.fingerprint import same_rows
from practicus_assets.operations.drift import held
from practicus_assets.wording import enumerated

_MOST_ENTRIES = 1000  # of a log in one tick; after more, all partitions are looked at
_SHOWN = 5


@dataclass(frozen=True)
class Seen:
    """How far one table's log was looked at.

    Attributes:
        table_id: the table's identifier, which is another one once it was created again.
        version: the newest version that was looked at.

    """

    table_id: str
    version: int


@dataclass(frozen=True)
class Found:
    """What a look at one table found.

    Attributes:
        events: the materializations to report.
        seen: how far the log was looked at; as before, if partitions are left for the next look.
        note: what people are to know; empty for nothing.

    """

    events: tuple[dg.AssetMaterialization, ...]
    seen: Seen
    note: str = ""


def newest_of(entry: TableEntry) -> Seen | None:
    """Return the newest version of a table; None if there is no table."""
    at = entry.table.open_if_exists()
    return Seen(at.id, at.version) if at is not None else None


def look(
    entry: TableEntry, instance: dg.DagsterInstance, seen: Seen | None, *, most: int, most_rows: int
) -> Found | None:
    """Return the partitions that other writers changed since the last look, and that are not reported yet.

    What a run of this package committed last, it reports itself.

    Args:
        entry: the table.
        instance: the Dagster instance.
        seen: how far the log was looked at; None if there was no table.
        most: how many partitions are reported at most; the next look goes on.
        most_rows: how many rows are read at most; a partition that has more is named, and passed over.

    Returns:
        None if there is no table.

    """
    at = entry.table.open_if_exists()
    if at is None:
        return None
    now = Seen(at.id, at.version)
    keys = entry.partition_keys(instance)
    if now == seen or (entry.partitions_def is not None and not keys):
        return Found((), now)
    numbers, is_cut = _touched(at, entry.scope(instance, keys).on(at.schema), seen)
    foreign = _foreign(at, entry, instance, numbers, keys)
    recorded = latest(instance, entry.key, keys if is_cut else [key for key in foreign if key])
    if is_cut and seen is not None:  # then what has no commit any more may have been changed since
        there = _rows(at, entry, instance, keys or [""])
        some = [key for key in there if key not in foreign and (there[key] != 0 or key in recorded)]
        foreign |= dict.fromkeys(some, Origin(seen.version + 1, None, None))
    waiting = [key for key in foreign if not _is_reported(recorded.get(key), foreign[key], seen, now)]
    chosen, large = _within(at, entry, instance, waiting, most_rows)
    taken = chosen[:most]
    events = held(entry, instance, taken, at.version) if taken else []
    told = [_told(event, recorded.get(event.partition or ""), at.id) for event in events]
    is_done = len(taken) + len(large) == len(waiting)
    return Found(tuple(told), now if is_done else seen or Seen("", -1), _note(large))


def _touched(at: TableVersion, bounds: Bounds, seen: Seen | None) -> tuple[set[int], bool]:
    """Return the numbers of partitions that others may have changed since, and whether the log was cut."""
    touched = Touched(bounds)
    every = set(range(touched.count))
    if seen is None or seen.table_id != at.id or not 0 <= at.version - seen.version <= _MOST_ENTRIES:
        return every, False
    numbers: set[int] = set()
    oldest = at.version + 1
    for entry in entries(at.table, at.version, seen.version + 1):
        oldest = entry.version
        if entry.record is None and entry.upkeep is None and entry.changes_rows:
            found = touched.by(entry)
            numbers |= every if found is None else found
    is_cut = oldest > seen.version + 1
    return (every if is_cut else numbers), is_cut


def _foreign(
    at: TableVersion,
    entry: TableEntry,
    instance: dg.DagsterInstance,
    numbers: set[int],
    keys: Sequence[str],
) -> dict[str, Origin]:
    """Return those of some partitions whose newest commit is another writer's; "" for a whole table."""
    if not numbers:
        return {}
    wanted = [keys[number] for number in sorted(numbers)] if keys else []
    found = origins(entry.table, at.version, entry.scope(instance, wanted), at.schema)
    return {
        "" if key == WHOLE_TABLE else key: origin
        for key in wanted or [WHOLE_TABLE]
        if (origin := found.get(key)) is not None and origin.record is None
    }


def _is_reported(event: dg.AssetMaterialization | None, origin: Origin, seen: Seen | None, now: Seen) -> bool:
    """Return whether the newest materialization is of a commit or a later one, of this very table."""
    reported = event.metadata.get(VERSION) if event is not None else None
    if event is None or reported is None or not origin.version <= int(str(reported.value)) <= now.version:
        return False
    table_id = event.metadata.get(TABLE_ID)
    if table_id is not None:
        return bool(table_id.value == now.table_id)
    return seen is None or seen.table_id == now.table_id


def _within(
    at: TableVersion,
    entry: TableEntry,
    instance: dg.DagsterInstance,
    partitions: Sequence[str],
    most_rows: int,
) -> tuple[list[str], list[str]]:
    """Return the partitions whose rows are few enough to be read by a tick, and those that have more."""
    rows = _rows(at, entry, instance, partitions) if partitions else {}
    chosen, large, left = list[str](), list[str](), most_rows
    for key in partitions:
        count = rows.get(key) or 0
        if count > most_rows:
            large.append(key)
        elif count <= left:
            chosen.append(key)
            left -= count
    return chosen, large


def _rows(
    at: TableVersion, entry: TableEntry, instance: dg.DagsterInstance, partitions: Sequence[str]
) -> Mapping[str, int | None]:
    """Return how many rows partitions have, as far as the log says; "" is a table without partitions."""
    snapshot = Snapshot(at, entry.scope(instance, [key for key in partitions if key]))
    return snapshot.partition_rows if snapshot.scope.keys else {"": snapshot.row_count}


def _told(
    event: dg.AssetMaterialization, before: dg.AssetMaterialization | None, table_id: str
) -> dg.AssetMaterialization:
    """Return an event with the data version that is recorded, if the rows are the ones that it was about."""
    tags: Mapping[str, str] = event.tags or {}
    fingerprint, version = identity(before) if before is not None else ("", "")
    if version and same_rows(fingerprint, identity(event)[0]):
        tags = {**tags, DATA_VERSION_TAG: version}
    return dg.AssetMaterialization(
        event.asset_key,
        description="committed by another writer",
        metadata={**event.metadata, TABLE_ID: table_id},
        partition=event.partition,
        tags=tags,
    )


def _note(large: Sequence[str]) -> str:
    if not large:
        return ""
    which = f" in {enumerated(list(large[:_SHOWN]))}" if any(large) else ""
    return (
        f"others wrote more rows{which} than a tick reads: report them by `practicus-assets verify --repair`"
    )
