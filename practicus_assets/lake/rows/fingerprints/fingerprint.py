"""Fingerprints of rows: their number and two sums of their hashes, whatever their order.

A fingerprint is written with the number of its algorithm, for ever: `3e8-<32 hexadecimal digits>-2` is one
of 1,000 rows by algorithm 2. The first algorithm was written without a number.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pyarrow as pa

from practicus_assets.lake.rows.fingerprints.hashes import BLOCK_ROWS, Hashes, hash_rows, mixed
from practicus_assets.lake.rows.fingerprints.pandas_hashes import pandas_hashes

_SECOND_SUM = np.uint64(0xA0761D6478BD642F)
_LIMIT = 1 << 64
_HASHES: Mapping[int, Callable[[pa.RecordBatch, Sequence[str]], Hashes]] = {1: pandas_hashes, 2: hash_rows}
_NEWEST = max(_HASHES)


class Fingerprint:
    """A running fingerprint of a multiset of rows.

    Equal rows give equal fingerprints. Rows that differ give equal ones by accident with a probability of
    about 2**-64; nothing is promised against somebody who looks for a collision.

    Args:
        algorithm: the number of the algorithm; the newest by default.

    """

    def __init__(self, algorithm: int = _NEWEST) -> None:
        self.rows = 0
        self._algorithm = algorithm
        self._first = 0
        self._second = 0

    @classmethod
    def alike(cls, recorded: str) -> "Fingerprint | None":
        """Return a fingerprint of no rows by a recorded one's algorithm; None if this release lacks it."""
        algorithm = _algorithm(recorded)
        return cls(algorithm) if algorithm in _HASHES else None

    def add(self, hashes: Hashes) -> None:
        """Add rows by their hashes, which are those of the fingerprint's algorithm."""
        self.rows += len(hashes)
        room = np.empty((2, min(len(hashes), BLOCK_ROWS)), dtype=np.uint64)
        for start in range(0, len(hashes), BLOCK_ROWS):
            block = hashes[start : start + BLOCK_ROWS]
            words, further = room[:, : len(block)]
            mixed(np.bitwise_xor(block, _SECOND_SUM, out=words), further)
            self._first = (self._first + int(block.sum(dtype=np.uint64))) % _LIMIT
            self._second = (self._second + int(words.sum(dtype=np.uint64))) % _LIMIT

    def add_rows(self, batch: pa.RecordBatch, columns: Sequence[str]) -> None:
        """Add rows by these columns."""
        self.add(_HASHES[self._algorithm](batch, columns))

    def merge(self, other: "Fingerprint") -> None:
        """Add the rows that another fingerprint of the same algorithm has seen."""
        self.rows += other.rows
        self._first = (self._first + other._first) % _LIMIT  # noqa: SLF001 of the same class
        self._second = (self._second + other._second) % _LIMIT  # noqa: SLF001

    def __str__(self) -> str:
        text = f"{self.rows:x}-{self._first:016x}{self._second:016x}"
        return text if self._algorithm == 1 else f"{text}-{self._algorithm}"


EMPTY = str(Fingerprint())  # of no rows


def rows_of(fingerprint: str) -> int:
    """Return how many rows a written fingerprint is of."""
    return int(fingerprint.partition("-")[0], 16)


def same_rows(one: str, other: str) -> bool | None:
    """Return whether two written fingerprints are of the same rows; None if they cannot tell.

    Fingerprints by two algorithms only tell that numbers of rows differ, or that there are no rows. So does
    an empty text, which is no fingerprint, not even that.
    """
    if not one or not other:
        return None
    if rows_of(one) != rows_of(other):
        return False
    if _algorithm(one) == _algorithm(other):
        return one == other
    return True if not rows_of(one) else None


def _algorithm(fingerprint: str) -> int:
    *_, number = f"{fingerprint}-1".split("-")[:3]
    return int(number) if number.isdecimal() else 0  # 0 is none: of a release to come
