"""Recorded scopes: what a commit replaced or read, as the texts that its log entry keeps."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

RecordedCondition = str | tuple[str, str]
_UNEVEN = 0.25  # by how much windows of one kind differ in length
_Box = tuple[RecordedCondition, ...]


@dataclass(frozen=True)
class RecordedScope:
    """A scope as JSON can hold it, without its columns' types.

    Attributes:
        columns: the columns that tell partitions apart; none for the whole table.
        parts: for each partition, one condition for each column: the text of the one value, or the texts of
            a range's low end, included, and its high end, excluded. Values are written as the Delta protocol
            does ("Partition Value Serialization"), so that dates and times order as their texts do.

    """

    columns: tuple[str, ...] = ()
    parts: tuple[_Box, ...] = field(default=(), repr=False)

    @property
    def is_whole_table(self) -> bool:
        """Whether it is all rows of the table."""
        return not self.columns

    def to_json(self) -> dict[str, Any]:
        """Return the scope as JSON values."""
        parts = [[list(c) if isinstance(c, tuple) else c for c in part] for part in self.parts]
        return {"columns": list(self.columns), "parts": parts}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "RecordedScope":
        """Return the scope that `to_json` wrote.

        Raises:
            KeyError, TypeError, ValueError: if these are not values of a scope.

        """
        columns = tuple(str(column) for column in values["columns"])
        parts = tuple(tuple(_condition(c) for c in part) for part in values["parts"])
        if any(len(part) != len(columns) for part in parts if columns):
            raise ValueError("a partition of the scope has not one condition for each column")
        return cls(columns, parts)

    def overlaps(self, other: "RecordedScope") -> bool:
        """Return whether the two share any possible row; scopes on other columns may."""
        if not self.columns or set(self.columns) != set(other.columns):
            return True
        return next(self._meeting(other), None) is not None

    def meeting(self, other: "RecordedScope") -> set[int]:
        """Return the numbers of the partitions that share a possible row with another scope."""
        if not self.columns or set(self.columns) != set(other.columns):
            return set(range(len(self.parts) or 1))
        return set(self._meeting(other))

    def _meeting(self, other: "RecordedScope") -> Iterator[int]:
        order = [other.columns.index(column) for column in self.columns]
        for part in other.parts:
            yield from self._index.meeting(tuple(part[i] for i in order))

    def divides_into(self, count: int, partition: "RecordedScope") -> bool:
        """Return whether a partition is one of those that this scope is made of.

        Adjacent windows are recorded as one, without the ends between them. A window within is one of them
        if the scope is about as long as so many of its length: months differ by a tenth, days by an hour,
        and a day from a month by far more.

        Args:
            count: how many partitions the scope is made of.
            partition: a scope of one partition.

        """
        if self.columns != partition.columns:
            return False
        if self.is_whole_table:
            return True
        [part] = partition.parts
        if count <= len(self.parts):
            return part in self._distinct
        own = _length(part)
        if not own or not any(all(map(_holds, self.parts[i], part)) for i in self._index.meeting(part)):
            return False
        return abs(self._total / own / count - 1) < _UNEVEN

    @cached_property
    def _distinct(self) -> frozenset[_Box]:
        return frozenset(self.parts)

    @cached_property
    def _total(self) -> float:
        return sum(map(_length, self.parts))

    @cached_property
    def _index(self) -> "_Index":
        return _Index(enumerate(self.parts))


@dataclass(frozen=True)
class RecordedRows:
    """The rows that a run gave to a history, as its log entry keeps them; the table has others, too.

    Attributes:
        scope: the partitions that the run gave all rows of; the whole table if it has none.
        fingerprints: the fingerprint of the rows that the run gave of each partition, by its key.
        versions: how many versions of keys the commit opened, closed and so on.

    """

    scope: RecordedScope
    fingerprints: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, int] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return these as JSON values."""
        return {**vars(self), "scope": self.scope.to_json()}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "RecordedRows":
        """Return what `to_json` wrote. Raises as a scope's does."""
        versions = {str(name): int(count) for name, count in values["versions"].items()}
        return cls(RecordedScope.from_json(values["scope"]), dict(values["fingerprints"]), versions)


class _Index:
    """Partitions arranged so that those which meet another are found without comparing each with each."""

    def __init__(self, parts: Iterable[tuple[int, _Box]]) -> None:
        # by the first condition, the numbers of partitions and their conditions on further columns
        self._values: dict[str, list[tuple[int, _Box]]] = {}
        self._ranges: dict[tuple[str, str], list[tuple[int, _Box]]] = {}
        for number, (first, *rest) in parts:
            if isinstance(first, str):
                self._values.setdefault(first, []).append((number, tuple(rest)))
            else:
                self._ranges.setdefault(first, []).append((number, tuple(rest)))
        self._sorted_values = sorted(self._values)
        self._sorted_ranges = sorted(self._ranges)
        self._lows = [low for low, _ in self._sorted_ranges]
        # the ranges of one column seldom overlap; where they do, a search begins at the longest's reach
        self._highest: list[str] = []
        for _, high in self._sorted_ranges:
            self._highest.append(max(high, self._highest[-1]) if self._highest else high)
        self._further: dict[RecordedCondition, _Index] = {}

    def meeting(self, part: _Box) -> Iterator[int]:
        """Yield the numbers of the partitions that share a possible row with another one."""
        first, *rest = part
        for condition in self._met(first):
            if rest:
                yield from self._below(condition).meeting(tuple(rest))
            else:
                yield from (number for number, _ in self._at(condition))

    def _below(self, condition: RecordedCondition) -> "_Index":
        if condition not in self._further:
            self._further[condition] = _Index(self._at(condition))
        return self._further[condition]

    def _at(self, condition: RecordedCondition) -> list[tuple[int, _Box]]:
        return self._values[condition] if isinstance(condition, str) else self._ranges[condition]

    def _met(self, condition: RecordedCondition) -> Iterable[RecordedCondition]:
        if isinstance(condition, str):
            low, high = condition, condition + "\0"
            if condition in self._values:
                yield condition
        else:
            low, high = condition
            position = bisect_right(self._sorted_values, low)
            if low in self._values:
                yield low
            while position < len(self._sorted_values) and self._sorted_values[position] < high:
                yield self._sorted_values[position]
                position += 1
        position = bisect_right(self._lows, high)
        while position > 0 and self._highest[position - 1] > low:
            position -= 1
            if self._sorted_ranges[position][0] < high and self._sorted_ranges[position][1] > low:
                yield self._sorted_ranges[position]


def _holds(around: RecordedCondition, inner: RecordedCondition) -> bool:
    """Return whether each value of one condition meets another."""
    if isinstance(around, str) or isinstance(inner, str):
        return around == inner
    return around[0] <= inner[0] and inner[1] <= around[1]


def _length(part: _Box) -> float:
    """Return how long the windows of a partition are, multiplied; 0 where one's ends are no times."""
    length = 1.0
    for condition in part:
        if not isinstance(condition, str):
            try:
                low, high = map(datetime.fromisoformat, condition)
            except ValueError:
                return 0.0
            length *= (high - low).total_seconds()
    return length


def _condition(value: Any) -> RecordedCondition:
    if isinstance(value, str):
        return value
    low, high = value
    if not isinstance(low, str) or not isinstance(high, str):
        raise TypeError("a range of the scope has ends that are no texts")
    return low, high
