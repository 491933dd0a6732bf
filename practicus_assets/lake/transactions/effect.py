"""Effects: what a commit changed, by what its transaction knows anyway, and where its time went."""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self, TypeVar

import pyarrow as pa

from practicus_assets.lake.delta.data_file import DataFile

_Item = TypeVar("_Item")


@dataclass(frozen=True)
class Durations:
    """Where the time of a transaction went, in seconds.

    Attributes:
        rows: until a stream gave its rows; 0 for rows that were there as a whole.
        audit: of the contract's rules.
        write: of the rows' conversion, their fingerprints and their files.
        commit: of the commit, with what had to be read again for it.

    """

    rows: float = 0.0
    audit: float = 0.0
    write: float = 0.0
    commit: float = 0.0

    def __add__(self, other: "Durations") -> "Durations":
        """Return the time of one after the other."""
        pairs = zip(vars(self).values(), vars(other).values(), strict=True)
        return Durations(*(mine + theirs for mine, theirs in pairs))


NO_TIME = Durations()


class Stopwatch:
    """Adds up the seconds of what it is around.

    Attributes:
        seconds: the sum.

    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self._began = 0.0

    def __enter__(self) -> Self:
        self._began = time.monotonic()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, frames: TracebackType | None
    ) -> None:
        self.seconds += time.monotonic() - self._began

    def each(self, items: Iterable[_Item]) -> Iterator[_Item]:
        """Yield items, and add up how long each of them took to come."""
        began = time.monotonic()
        for item in items:
            self.seconds += time.monotonic() - began
            yield item
            began = time.monotonic()
        self.seconds += time.monotonic() - began


@dataclass(frozen=True)
class Before:
    """The version that a commit was made on.

    Attributes:
        version: its number.
        schema: its columns.
        files: its files inside of what the commit wrote; None where nobody had to know them, as to append.

    """

    version: int
    schema: pa.Schema
    files: Sequence[DataFile] | None


@dataclass(frozen=True)
class Matched:
    """What the keys of a merge matched.

    Attributes:
        rows: how many new rows were taken.
        new: how many of them took the place of an old row, or of several.
        old: how many old rows these were.

    """

    rows: int
    new: int
    old: int
