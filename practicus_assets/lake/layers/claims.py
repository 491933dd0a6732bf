"""Claims: the scopes of a table that its own root has, so that no row of the base is read there."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import pyarrow as pa

from practicus_assets.errors import UnsupportedTable, VersionGone
from practicus_assets.lake.delta.log import LogEntry, entries
from practicus_assets.lake.delta.record import VersionElsewhere
from practicus_assets.lake.delta.table import TableVersion
from practicus_assets.lake.partitions.bounds import Bounds, Condition, Range
from practicus_assets.lake.partitions.recorded import RecordedCondition, RecordedScope
from practicus_assets.lake.partitions.values import deserialized


@dataclass(frozen=True)
class Claim:
    """One commit of an own table.

    Attributes:
        version: the version that it made.
        scope: what it replaced, or appended to.
        replaces: whether the rows of the scope are all the commit's own.
        base: the version of the base's table that was pinned for it; None if it does not say.

    """

    version: int
    scope: RecordedScope
    replaces: bool
    base: VersionElsewhere | None


@dataclass(frozen=True)
class Claims:
    """The claims of an own table.

    Attributes:
        newest_first: the claims.
        schema: the own table's columns.

    """

    newest_first: tuple[Claim, ...]
    schema: pa.Schema

    @classmethod
    def of(cls, own: TableVersion) -> "Claims":
        """Read the claims of an own table from its log, back to its first commit.

        Raises:
            VersionGone: if the log does not reach back that far.
            UnsupportedTable: if a newer release of this package wrote a commit.
            StoreFailed: if the log cannot be read.

        """
        claims: list[Claim] = []
        oldest = own.version + 1
        for entry in entries(own.table, own.version):
            oldest = entry.version
            claims += _claims(own, entry)
        if oldest > 0:
            raise VersionGone(
                f"the log of {own.table.uri} begins with version {oldest}, so nobody can tell which "
                "partitions the own root has, and which are the base's.",
                "Delete the table's folder in the own root, and materialize its partitions again.",
            )
        return cls(tuple(claims), own.schema)

    @property
    def is_whole_table(self) -> bool:
        """Whether no row of the base is left."""
        return any(claim.scope.is_whole_table for claim in self.newest_first)

    @cached_property
    def scopes(self) -> tuple[RecordedScope, ...]:
        """What is claimed, each scope once."""
        return tuple(dict.fromkeys(claim.scope for claim in self.newest_first))

    def bounds(self, schema: pa.Schema) -> list[Bounds]:
        """Return what is claimed on columns of these types; those on one column are joined."""
        if self.is_whole_table:
            return [Bounds((), (), ())]
        single: dict[str, list[Condition]] = {}
        bounds = []
        for scope in self.scopes:
            typed = _typed(scope, schema)
            if len(scope.columns) == 1:
                single.setdefault(scope.columns[0], []).extend(part[0] for part in typed.parts)
            else:
                bounds.append(typed)
        for column, conditions in single.items():
            parts = tuple((condition,) for condition in _joined(conditions))
            bounds.append(Bounds((column,), (schema.field(column).type,), parts))
        return bounds

    def touch(self, part: RecordedScope) -> bool:
        """Return whether any row of a scope is, or would be, the own root's."""
        return any(scope.overlaps(part) for scope in self.scopes)

    def cover(self, part: RecordedScope) -> bool:
        """Return whether one claim has all of one partition; False where several may have it together."""
        return any(_holds(scope, part) for scope in self.scopes)

    def pin(self, part: RecordedScope) -> VersionElsewhere | None:
        """Return the version of the base that the rows of one partition go before.

        That is what was pinned when the partition was replaced last: what was appended since has been added
        to these rows. None if it is unknown.
        """
        for claim in self.newest_first:
            if claim.replaces and _holds(claim.scope, part):
                return claim.base
        return None


def _claims(own: TableVersion, entry: LogEntry) -> Iterator[Claim]:
    record = entry.record
    if entry.unreadable is not None:
        raise UnsupportedTable(
            f"version {entry.version} of {own.table.uri} has a record that cannot be read: "
            f"{entry.unreadable}.",
            entry.unreadable.advice,
        )
    if record is not None:
        yield Claim(entry.version, record.scope, record.mode == "replace", record.base)
    elif entry.changes:  # another writer's: each partition that it touched
        columns = own.partition_by
        texts = {tuple(change.get(column) for column in columns) for change in entry.changes}
        parts = tuple(tuple(t for t in values if t is not None) for values in texts)
        is_known = bool(columns) and all(len(part) == len(columns) for part in parts)
        scope = RecordedScope(columns, parts) if is_known else RecordedScope()
        yield Claim(entry.version, scope, replaces=False, base=None)


def _typed(scope: RecordedScope, schema: pa.Schema) -> Bounds:
    types = tuple(schema.field(column).type for column in scope.columns)

    def condition(recorded: RecordedCondition, type_: pa.DataType) -> Condition:
        if isinstance(recorded, str):
            return deserialized(recorded, type_)
        return Range(*(deserialized(text, type_) for text in recorded))

    parts = (tuple(map(condition, part, types)) for part in scope.parts)
    return Bounds(scope.columns, types, tuple(dict.fromkeys(parts)))


def _joined(conditions: Iterable[Condition]) -> Sequence[Condition]:
    """Return conditions on one column without a range that overlaps another."""
    distinct = dict.fromkeys(conditions)
    joined: list[Condition] = [c for c in distinct if not isinstance(c, Range)]
    ranges = sorted((c for c in distinct if isinstance(c, Range)), key=lambda each: each.low)
    for following in ranges:
        last = joined[-1] if joined else None
        if isinstance(last, Range) and following.low <= last.high:
            joined[-1] = Range(last.low, max(last.high, following.high))
        else:
            joined.append(following)
    return joined


def _holds(scope: RecordedScope, one: RecordedScope) -> bool:
    """Return whether one part of a scope has every row of another scope's only part."""
    if scope.is_whole_table:
        return True
    if not set(scope.columns) <= set(one.columns):
        return False
    [part] = one.parts
    inner = [part[one.columns.index(column)] for column in scope.columns]
    return any(all(map(_is_within, around, inner)) for around in scope.parts)


def _is_within(around: RecordedCondition, inner: RecordedCondition) -> bool:
    if isinstance(around, str):
        return around == inner
    if isinstance(inner, str):
        return around[0] <= inner < around[1]
    return around[0] <= inner[0] and inner[1] <= around[1]
