"""Changes: what an own root has of a table and its base has not, and whether the base moved there."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from practicus_assets.errors import CommitConflict, PromotionRefused
from practicus_assets.lake.delta.data_file import by_part
from practicus_assets.lake.delta.log import LogEntry, entries
from practicus_assets.lake.delta.origins import newest_changes, origins
from practicus_assets.lake.delta.snapshot import Snapshot
from practicus_assets.lake.delta.table import Table, TableVersion
from practicus_assets.lake.layers.claims import Claims
from practicus_assets.lake.partitions.scope import WHOLE_TABLE, Scope
from practicus_assets.lake.rows.fingerprints.fingerprint import EMPTY, Fingerprint, same_rows
from practicus_assets.lake.transactions.unchanged.equal_rows import EqualRows
from practicus_assets.wording import enumerated


@dataclass(frozen=True)
class TwoTables:
    """A table in an own root, and that of the base which it lies over.

    Attributes:
        own: the table in the own root.
        base: the table in the base.
        own_root: the own root.
        base_root: the base.

    """

    own: Table
    base: Table
    own_root: str
    base_root: str


@dataclass(frozen=True)
class Changes:
    """What an own table has and its base has not.

    Attributes:
        at: the own table; None if there is none.
        below: the base's table; None if there is none.
        claims: what the own root has.
        scope: the partitions whose rows differ; None if there are none.
        fingerprints: the fingerprint of the own rows of each of them, by key.
        same: how many partitions the own root has of which the base has the same rows.

    """

    at: TableVersion | None
    below: TableVersion | None
    claims: Claims | None = None
    scope: Scope | None = None
    fingerprints: Mapping[str, str] = field(default_factory=dict)
    same: int = 0


def changes_of(tables: TwoTables, within: Scope) -> Changes:
    """Return the partitions of an own table that have other rows than the base.

    Args:
        tables: the two tables.
        within: every partition that the asset has now; the whole table for an asset without partitions.

    Raises:
        PromotionRefused: if the own root has a part of a partition, or rows of no partition of the asset.
        VersionGone: if the own table's log does not say what the own root has.

    """
    at, below = tables.own.open_if_exists(), tables.base.open_if_exists()
    if at is None:
        return Changes(at, below)
    claims = Claims.of(at)
    scope = _claimed(claims, at, within)
    if scope is None:
        return Changes(at, below, claims)
    fingerprints = _fingerprints(at, scope)
    keys = _changed(below, at, scope, fingerprints) if below is not None else list(fingerprints)
    changed = {key: fingerprints[key] for key in keys}
    return Changes(at, below, claims, _part_of(scope, keys), changed, len(fingerprints) - len(keys))


def _claimed(claims: Claims, at: TableVersion, within: Scope) -> Scope | None:
    """Return the partitions that the own root has; None if it has none."""
    if not claims.scopes:
        return None
    if claims.is_whole_table:
        return Scope()
    where = at.table.uri
    if within.is_whole_table:
        raise PromotionRefused(
            f"{where} has some partitions, and the asset has none.",
            "Materialize the asset in the own root, as a whole.",
        )
    bounds = within.on(at.schema)
    outside = sorted({repr(dict(f.values)) for f in at.files() if bounds.part_of(f.values) is None})
    if outside:
        raise PromotionRefused(
            f"{where} has rows of {outside[0]}, which is no partition of the asset.",
            "Add the partition to the asset, or delete the table's folder in the own root.",
        )
    parts = {key: bounds.one(number) for number, key in enumerate(within.keys)}
    partly = [key for key, part in parts.items() if claims.touch(part) and not claims.cover(part)]
    if partly:
        raise PromotionRefused(
            f"{where} has only some of {enumerated(partly[:3])}.",
            "Materialize these partitions in the own root, each as a whole.",
        )
    return _part_of(within, [key for key, part in parts.items() if claims.cover(part)])


def _part_of(scope: Scope, keys: Sequence[str]) -> Scope | None:
    if not keys:
        return None
    if scope.is_whole_table:
        return scope
    numbers = [scope.keys.index(key) for key in keys]
    return Scope(scope.columns, tuple(scope.parts[n] for n in numbers), tuple(keys))


def _fingerprints(at: TableVersion, scope: Scope) -> dict[str, str]:
    """Return the fingerprint of each partition of a scope, as the log has it, or by reading its rows."""
    known = _recorded(at, scope)
    fingerprints: dict[str, str] = {}
    for key in scope.keys or (WHOLE_TABLE,):
        text = known.get(key)
        part = _part_of(scope, [key])
        rows = Snapshot(at, part)
        if text is None and rows.row_count == 0:
            text = EMPTY
        if text is None:
            computed = Fingerprint()
            for batch in rows.scan():
                computed.add_rows(batch, at.schema.names)
            text = str(computed)
        fingerprints[key] = text
    return fingerprints


def _recorded(at: TableVersion, scope: Scope) -> dict[str, str]:
    """Return the fingerprints that the log has of partitions, by key, if they are of all present columns."""
    log = entries(at.table, at.version)
    columns_since = next((entry.version for entry in log if entry.changes_metadata), 0)
    return {
        key: origin.fingerprint
        for key, origin in origins(at.table, at.version, scope, at.schema).items()
        if origin.fingerprint is not None and origin.version >= columns_since
    }


def _changed(
    below: TableVersion, at: TableVersion, scope: Scope, fingerprints: Mapping[str, str]
) -> list[str]:
    """Return the keys of the partitions of which the base has other rows."""
    if below.schema.names != at.schema.names or below.schema.types != at.schema.types:
        return list(fingerprints)
    known = _recorded(below, scope)
    files = by_part(below.files, scope.on(below.schema))
    changed = []
    for number, (key, fingerprint) in enumerate(fingerprints.items()):
        same = same_rows(known.get(key, ""), fingerprint)
        if same is None:
            one = _part_of(scope, [key])
            assert one is not None
            same = EqualRows(below, one, {key: fingerprint}).are_in(files.get(number, []))
        if not same:
            changed.append(key)
    return changed


def refuse_moved(changes: Changes) -> None:
    """Raise CommitConflict if the base was changed in a scope since the rows of the own root were computed.

    What was promoted from the own table itself is no change: the own rows are those, or come after them.

    Raises:
        CommitConflict: if so.
        PromotionRefused: if the own table does not say over which version of the base its rows lie.

    """
    at, below, claims, scope = changes.at, changes.below, changes.claims, changes.scope
    assert at is not None
    assert claims is not None
    assert scope is not None
    bounds, keys = scope.on(at.schema), scope.keys or (WHOLE_TABLE,)
    pins = {key: claims.pin(bounds.one(number)) for number, key in enumerate(keys)}
    unknown = [key for key, pin in pins.items() if pin is None]
    if unknown and below is not None:
        raise PromotionRefused(
            f"nothing says over which version of the base the rows of {enumerated(unknown[:3])} lie: another "
            "program wrote them, or the lake had no base then.",
            "Materialize these partitions in the own root.",
        )
    if below is None:
        if any(pin is not None and pin.version is not None for pin in pins.values()):
            raise CommitConflict("the base's table is gone since it was pinned.", "Look at the base's lake.")
        return
    log = _Read(entries(below.table, below.version))
    newest = newest_changes(log, scope.on(below.schema))
    for number, (key, pin) in enumerate(pins.items()):
        assert pin is not None
        entry, since = newest.get(number), pin.version if pin.version is not None else -1
        other = pin.version is not None and pin.table_id != below.id
        is_known = entry is not None or log.oldest <= since + 1
        if not other and is_known and (entry is None or entry.version <= since or _is_of(entry, at)):
            continue
        what = "another table is in its place"
        if entry is not None and not other:
            record = entry.record
            who = f" by run {record.run_id}" if record is not None else ""
            what = f"version {entry.version} changed it{who}"
        elif not other:
            what = f"its log begins with version {log.oldest}"
        raise CommitConflict(
            f"the rows of {key} were computed over version {since} of the base, and since then {what}.",
            "Materialize the partition in the own root again, over what the base has now; if it is "
            "appended to or merged, delete the table's folder there before.",
        )


def _is_of(entry: LogEntry, at: TableVersion) -> bool:
    """Return whether a commit promoted an earlier version of an own table, or this one."""
    promotes = entry.record.promotes if entry.record is not None else None
    return promotes is not None and promotes.table_id == at.id and (promotes.version or 0) <= at.version


class _Read:
    """Log entries, and how far back they were read."""

    def __init__(self, log: Iterable[LogEntry]) -> None:
        self._log = log
        self.oldest = 0

    def __iter__(self) -> Iterator[LogEntry]:
        for entry in self._log:
            self.oldest = entry.version
            yield entry
