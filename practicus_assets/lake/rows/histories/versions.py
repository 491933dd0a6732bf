"""Versions of keys: what a commit makes of those that a history had."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from practicus_assets.lake.rows.histories.validity import Flags, Validity, flags

_Positions = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class Versions:
    """How many versions of keys a commit makes what of; a version is a row that is valid for some time.

    Attributes:
        opened: those that the table did not have.
        closed: those that were valid until further notice, and are no more.
        changed: those that end at another time than before, or have other values.
        withdrawn: those that are gone, or are valid for no time any more.
        unchanged: all others that the table had.

    """

    opened: int = 0
    closed: int = 0
    changed: int = 0
    withdrawn: int = 0
    unchanged: int = 0

    def __add__(self, other: "Versions") -> "Versions":
        theirs = asdict(other)
        return Versions(**{name: count + theirs[name] for name, count in asdict(self).items()})


@dataclass(frozen=True)
class Before:
    """What rows were before a commit.

    Attributes:
        was: which were valid for some time.
        old_to: until when; null if without an end.
        alike: which have the values that they had.

    """

    was: Flags
    old_to: pa.ChunkedArray
    alike: Flags

    def inherited(self, heirs: _Positions) -> "Before":
        """Return the same, where some rows were what the rows before them were, whose places they take."""
        source = np.arange(len(self.was))
        source[heirs] -= 1
        return Before(self.was[source], self.old_to.take(pa.array(source)), self.alike)

    def taken(self, positions: _Positions) -> "Before":
        """Return what some of the rows were."""
        return Before(self.was[positions], self.old_to.take(pa.array(positions)), self.alike[positions])

    def compared(self, now: Validity) -> Versions:
        """Return what became of the versions."""
        was_open, is_open = flags(self.old_to.is_null()), flags(now.valid_to.is_null())
        equal = pc.equal(self.old_to.combine_chunks(), now.valid_to)
        same_end = (was_open & is_open) | flags(pc.fill_null(equal, False))  # noqa: FBT003 a fill value
        both = self.was & now.is_version
        closed, same = both & was_open & ~is_open, both & same_end & self.alike
        return Versions(
            opened=int((now.is_version & ~self.was).sum()),
            closed=int(closed.sum()),
            changed=int((both & ~closed & ~same).sum()),
            withdrawn=int((self.was & ~now.is_version).sum()),
            unchanged=int(same.sum()),
        )
