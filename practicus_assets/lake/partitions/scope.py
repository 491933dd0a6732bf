"""Scopes: which rows of a table one transaction replaces, in terms of its partitions."""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral

import numpy as np
import pyarrow as pa

from practicus_assets.errors import DeclarationError, OutOfScope
from practicus_assets.lake.partitions.bounds import Bounds, Condition, Range
from practicus_assets.lake.partitions.values import Value, parsed, serialized
from practicus_assets.wording import names_of

WHOLE_TABLE = "(table)"  # the key of the one partition of a table that has none

Partition = Value | Mapping[str, Value]  # a value of the one partition column, or one for each column


@dataclass(frozen=True)
class Key:
    """One partition key: the column equals it."""

    key: str


@dataclass(frozen=True)
class Window:
    """One time window, half open: start <= column < end. Both ends carry their time zone.

    Attributes:
        key: the partition's key.
        start: the window's beginning, included.
        end: the window's end, excluded.
        daily: whether each window of the partitions is one day from midnight to midnight, and not only this.

    """

    key: str
    start: dt.datetime
    end: dt.datetime
    daily: bool = False


@dataclass(frozen=True)
class Scope:
    """What one transaction replaces: the whole table, or a set of partitions.

    Attributes:
        columns: the columns that tell partitions apart; none for the whole table.
        parts: for each partition, one condition a column.
        keys: the partitions' names, e.g. `2013-07-04` or `2013-07-04|JFK`.

    """

    columns: tuple[str, ...] = ()
    parts: tuple[tuple[Key | Window, ...], ...] = ()
    keys: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a scope that could be taken for the whole table."""
        if self.columns and not self.parts:
            raise DeclarationError("a scope of partitions needs at least one partition.")
        if any(len(part) != len(self.columns) for part in self.parts):
            raise DeclarationError(f"each partition needs a condition for each of {list(self.columns)}.")
        if not self.keys:
            names = tuple("|".join(condition.key for condition in part) for part in self.parts)
            object.__setattr__(self, "keys", names)
        if len(self.keys) != len(self.parts) or len(set(self.keys)) != len(self.keys):
            raise DeclarationError(
                f"a scope needs one key of its own for each partition, not {list(self.keys)[:5]}."
            )

    @classmethod
    def of(cls, partitions: Iterable[Partition], columns: Sequence[str]) -> "Scope | None":
        """Return the scope of partitions that are given by their values; None if there are none.

        Args:
            partitions: the value of the one partition column, or a mapping from column to value, for each
                partition; all mappings have the same columns.
            columns: the table's partition columns.

        Raises:
            DeclarationError: if they are no list of these.
            OutOfScope: if the table has no such partition columns.

        """
        if isinstance(partitions, str | bytes | Mapping) or not isinstance(partitions, Iterable):
            raise DeclarationError(f"partitions={partitions!r} is no list.", f"Write [{partitions!r}].")
        given = list(dict.fromkeys(_values(partition, columns) for partition in partitions))
        if not given:
            return None
        named = {column for part in given for column, _ in part}
        if any(len(part) != len(named) for part in given):
            raise DeclarationError(
                "partitions have values for different columns.",
                f"Give each a value for each of {[column for column in columns if column in named]}.",
            )
        return cls(
            tuple(c for c in columns if c in named), tuple(tuple(k for _, k in part) for part in given)
        )

    def in_order_of(self, columns: Sequence[str]) -> "Scope":
        """Return the same scope with its columns in the order that they have among a table's."""
        order = sorted(range(len(self.columns)), key=lambda i: columns.index(self.columns[i]))
        parts = tuple(tuple(part[i] for i in order) for part in self.parts)
        return Scope(tuple(self.columns[i] for i in order), parts, self.keys)

    @property
    def is_whole_table(self) -> bool:
        """Whether the transaction replaces everything."""
        return not self.columns

    def __str__(self) -> str:
        keys = self.keys
        return ", ".join(keys) if len(keys) <= 3 else f"{keys[0]} … {keys[-1]}, {len(keys)} partitions"  # noqa: PLR2004 three keys are still read at a glance

    def natural_types(self) -> dict[str, pa.DataType]:
        """Return the type of each partition column that rows lack and no contract declares.

        It follows from how the table is partitioned, and not from which partitions a run has: a date for
        days, else the text of the key.
        """
        return {
            column: pa.date32() if all(_is_daily(part[i]) for part in self.parts) else pa.string()
            for i, column in enumerate(self.columns)
        }

    def starts(self) -> dict[str, dt.datetime]:
        """Return the beginning of the first partition's window, for each column that has windows."""
        first = self.parts[0] if self.parts else ()
        pairs = zip(self.columns, first, strict=True)
        return {column: condition.start for column, condition in pairs if isinstance(condition, Window)}

    def on(self, schema: pa.Schema) -> Bounds:
        """Return the scope's conditions on columns of these types.

        Raises:
            OutOfScope: where a partition cannot be expressed on its column's type, or two are the same there.

        """
        unknown = [column for column in self.columns if column not in schema.names]
        if unknown:
            raise OutOfScope(
                f"the scope is on the {names_of('column', unknown)}, and the table has {schema.names}.",
                "Partition the asset by columns that the table has.",
            )
        types = tuple(schema.field(column).type for column in self.columns)
        parts = []
        for part in self.parts:
            pairs = zip(part, types, self.columns, strict=True)
            parts.append(tuple(_condition(condition, type_, column) for condition, type_, column in pairs))
        if len(set(parts)) != len(parts):
            [twice, *_] = [i for i, part in enumerate(parts) if part in parts[:i]]
            same = self.keys[parts.index(parts[twice])], self.keys[twice]
            raise OutOfScope(
                f"partitions {same[0]!r} and {same[1]!r} are the same on columns of type "
                f"{[str(type_) for type_ in types]}.",
                "Give each partition one key.",
            )
        return Bounds(self.columns, types, tuple(parts))


def _values(partition: Partition, columns: Sequence[str]) -> tuple[tuple[str, Key], ...]:
    """Return the columns of a partition with their keys, in the order of the table's partition columns."""
    if not columns:
        raise OutOfScope(
            "the table is not partitioned.", "Leave partitions out, and select rows with a predicate."
        )
    if not isinstance(partition, Mapping):
        if len(columns) > 1:
            raise DeclarationError(
                f"the table is partitioned by {list(columns)}, and a partition is {partition!r}.",
                f"Write it with its columns, e.g. {{{columns[0]!r}: {partition!r}}}.",
            )
        partition = {columns[0]: partition}
    unknown = [column for column in partition if column not in columns]
    if not partition:
        raise DeclarationError("a partition has no column.", f"Name columns of {list(columns)}.")
    if unknown:
        raise OutOfScope(
            f"the table is partitioned by {list(columns)}, not by {unknown}.",
            "Select rows by other columns with a predicate.",
        )
    return tuple((column, _key(column, partition[column])) for column in columns if column in partition)


def _key(column: str, value: Value) -> Key:
    if not isinstance(value, str | Integral | np.bool_ | dt.date):
        raise DeclarationError(
            f"partition column {column!r} has no partition {value!r}.",
            "Give a string, an integer, a boolean, a date or a datetime; select nulls with a predicate.",
        )
    return Key(serialized(bool(value) if isinstance(value, np.bool_) else value))


def _is_daily(condition: Key | Window) -> bool:
    return isinstance(condition, Window) and condition.daily


def _condition(condition: Key | Window, type_: pa.DataType, column: str) -> Condition:
    """Return what a partition means on a column's type."""
    try:
        if isinstance(condition, Window) and (condition.start.tzinfo is None or condition.end.tzinfo is None):
            raise ValueError("its window has no time zone")  # noqa: TRY301 one message for all
        if isinstance(condition, Key):
            value = parsed(condition.key, type_)
            one_way = pa.types.is_integer(type_) or pa.types.is_date(type_)
            if one_way and serialized(value) != condition.key:  # or two keys would replace each other's rows
                raise ValueError(f"its key is to be written {serialized(value)!r}")  # noqa: TRY301
            return value
        if pa.types.is_date(type_):
            return _date_range(condition)
        if pa.types.is_timestamp(type_):
            return _timestamp_range(condition, zoned=type_.tz is not None)
        return parsed(condition.key, type_)
    except (ValueError, OverflowError) as error:
        raise OutOfScope(
            f"partition {condition.key!r} cannot be expressed on column {column!r} of type {type_}: {error}.",
            "Partition by a column of another type, or change partitions_def.",
        ) from error


def _date_range(window: Window) -> Range:
    if window.start.time() != dt.time() or window.end.time() != dt.time():
        raise ValueError("its window does not begin and end at midnight, a date cannot tell its rows apart")
    return Range(window.start.date(), window.end.date())


def _timestamp_range(window: Window, *, zoned: bool) -> Range:
    if zoned:
        return Range(window.start.astimezone(dt.UTC), window.end.astimezone(dt.UTC))
    for moment in (window.start, window.end):
        if moment.replace(fold=0).utcoffset() != moment.replace(fold=1).utcoffset():
            raise ValueError(
                f"{moment.isoformat()} is a wall time that a change of clocks repeats or skips, "
                "and the column has no time zone"
            )
    return Range(window.start.replace(tzinfo=None), window.end.replace(tzinfo=None))
