"""Bounds: a scope on typed columns, in Python and in SQL."""

import datetime as dt
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import pyarrow as pa

from practicus_assets.errors import OutOfScope
from practicus_assets.lake.partitions.recorded import RecordedCondition, RecordedScope
from practicus_assets.lake.partitions.values import Value, deserialized, identifier, literal, serialized


@dataclass(frozen=True)
class Range:
    """Values from `low`, included, to `high`, excluded."""

    low: Any
    high: Any


Condition = Value | Range


@dataclass(frozen=True)
class Bounds:
    """A scope on typed columns: tells whether a row or a file is inside, in Python and in SQL."""

    columns: tuple[str, ...]
    types: tuple[pa.DataType, ...]
    parts: tuple[tuple[Condition, ...], ...] = field(repr=False)

    def part_of(self, values: Mapping[str, Value | None]) -> int | None:
        """Return the number of the partition that holds these values; None if it is outside.

        Args:
            values: the value of each column; further columns do not matter.

        """
        if not self.columns:
            return 0
        conditions = []
        for column, lookup in zip(self.columns, self._lookups, strict=True):
            condition = lookup.find(values.get(column))
            if condition is None:
                return None
            conditions.append(condition)
        return self._numbers.get(tuple(conditions))

    @cached_property
    def _numbers(self) -> dict[tuple[Condition, ...], int]:
        return {part: number for number, part in enumerate(self.parts)}

    @cached_property
    def _lookups(self) -> tuple["_Lookup", ...]:
        return tuple(
            _Lookup({part[i] for part in self.parts}, column) for i, column in enumerate(self.columns)
        )

    def constants(self) -> dict[str, pa.Scalar]:
        """Return the columns for which the scope has one value, with that value."""
        found: dict[str, pa.Scalar] = {}
        for i, (column, type_) in enumerate(zip(self.columns, self.types, strict=True)):
            values = {part[i] for part in self.parts}
            only = values.pop() if len(values) == 1 else None
            if (
                isinstance(only, Range)
                and pa.types.is_date(type_)
                and only.high - only.low == dt.timedelta(1)
            ):
                only = only.low
            if only is not None and not isinstance(only, Range):
                found[column] = pa.scalar(only, type_)
        return found

    def predicate(self) -> str | None:
        """Return the scope as a SQL predicate; None for the whole table."""
        if not self.columns:
            return None
        by_rest: dict[tuple[Condition, ...], list[Condition]] = {}
        for part in self.merged:
            by_rest.setdefault(part[1:], []).append(part[0])
        alternatives = []
        for rest, firsts in by_rest.items():
            terms = [_sql(self.columns[0], self.types[0], firsts)]
            pairs = zip(self.columns[1:], self.types[1:], rest, strict=True)
            terms += [_sql(column, type_, [condition]) for column, type_, condition in pairs]
            alternatives.append(f"({' AND '.join(terms)})")
        return "(" + " OR ".join(alternatives) + ")"

    def divided(self, alternatives: int) -> list["Bounds"]:
        """Return bounds that hold the same rows together, each with at most so many alternatives."""
        return [
            Bounds(self.columns, self.types, tuple(self.merged[start : start + alternatives]))
            for start in range(0, len(self.merged), alternatives)
        ]

    @cached_property
    def recorded(self) -> RecordedScope:
        """The scope as a commit's log entry keeps it."""
        return RecordedScope(
            self.columns, tuple(tuple(_recorded(condition) for condition in part) for part in self.merged)
        )

    def one(self, number: int) -> RecordedScope:
        """Return one partition of the scope, by its number, as a commit's log entry would keep it."""
        return Bounds(self.columns, self.types, self.parts[number : number + 1]).recorded

    @cached_property
    def unmerged(self) -> RecordedScope:
        """The scope as `recorded`, with one entry for each of its partitions, by number."""
        return RecordedScope(self.columns, tuple(tuple(map(_recorded, part)) for part in self.parts))

    def touches(self, change: Mapping[str, str | None]) -> bool:
        """Return whether a file with these partition values, as the log has them, may be inside."""
        if any(column not in change for column in self.columns):
            return True  # the log need not say where a removed file was
        try:
            values = {
                column: deserialized(change.get(column) or "", type_)
                for column, type_ in zip(self.columns, self.types, strict=True)
            }
        except ValueError:
            return False  # null or not of the column's type: in no partition of the scope
        return self.part_of(values) is not None

    def overlaps(self, scope: RecordedScope) -> bool:
        """Return whether a recorded scope shares any possible row with this one."""
        return self.recorded.overlaps(scope)

    @cached_property
    def merged(self) -> list[tuple[Condition, ...]]:
        """The partitions; those that differ only in adjacent windows of one column are one."""
        merged = list(self.parts)
        for i in range(len(self.columns)):
            by_rest: dict[tuple[Condition, ...], list[Condition]] = {}
            for part in merged:
                by_rest.setdefault((*part[:i], *part[i + 1 :]), []).append(part[i])
            merged = [
                (*rest[:i], condition, *rest[i:])
                for rest, conditions in by_rest.items()
                for condition in _joined(conditions)
            ]
        return merged


class _Lookup:
    """Finds the condition on one column that a value satisfies."""

    def __init__(self, conditions: set[Condition], column: str) -> None:
        self.equal = {c for c in conditions if not isinstance(c, Range)}
        self.ranges = _in_order(conditions)
        self.lows: list[Any] = [r.low for r in self.ranges]
        if any(a.high > low for a, low in zip(self.ranges, self.lows[1:], strict=False)):
            raise OutOfScope(f"the scope's time windows on column {column!r} overlap.")

    def find(self, value: Value | None) -> Condition | None:
        if value is None or value in self.equal:
            return value
        position = bisect_right(self.lows, value) - 1
        inside = position >= 0 and value < self.ranges[position].high
        return self.ranges[position] if inside else None


def _in_order(conditions: Iterable[Condition]) -> list[Range]:
    return sorted((c for c in conditions if isinstance(c, Range)), key=lambda found: found.low)


def _joined(conditions: Sequence[Condition]) -> list[Condition]:
    """Return conditions on one column, adjacent windows made one."""
    found: list[Condition] = [c for c in conditions if not isinstance(c, Range)]
    open_range: Range | None = None
    for following in _in_order(conditions):
        if open_range is not None and open_range.high == following.low:
            open_range = Range(open_range.low, following.high)
        else:
            found += [open_range] if open_range is not None else []
            open_range = following
    return [*found, open_range] if open_range is not None else found


def _sql(column: str, type_: pa.DataType, conditions: Sequence[Condition]) -> str:
    name = identifier(column)
    equal = [literal(c, type_) for c in conditions if not isinstance(c, Range)]
    terms = [f"{name} IN ({', '.join(equal)})"] if equal else []
    terms += [
        f"({name} >= {literal(c.low, type_)} AND {name} < {literal(c.high, type_)})"
        for c in conditions
        if isinstance(c, Range)
    ]
    return terms[0] if len(terms) == 1 else f"({' OR '.join(terms)})"


def _recorded(condition: Condition) -> RecordedCondition:
    if isinstance(condition, Range):
        return serialized(condition.low), serialized(condition.high)
    return serialized(condition)
