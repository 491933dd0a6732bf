"""Calendar: dates and times of rows as numbers, and those that no calendar has."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from practicus_assets.sources.mysql.blocks import Bytes, Positions

_WITH_DATE, _WITH_TIME, _WITH_MICROSECONDS = 4, 7, 11  # how many bytes a value has
_DAY_US = 86_400_000_000
_EPOCH = 719_468  # days from the first of March of the year 0 to that of Unix

Mask = np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(frozen=True)
class Moments:
    """Dates and times of one column.

    Attributes:
        days: days since 1970-01-01.
        microseconds: microseconds since midnight.
        impossible: where no calendar has the date, as `0000-00-00` and the 30th of February.
        sizes: how many bytes each value has.

    """

    days: Positions
    microseconds: Positions
    impossible: Mask
    sizes: Positions

    @property
    def since_epoch(self) -> Positions:
        """Microseconds since 1970-01-01."""
        return self.days * _DAY_US + self.microseconds


def moments(data: Bytes, at: Positions, null: Mask) -> Moments:
    """Return the dates and times that begin at these positions.

    Args:
        data: the bytes of the rows, with some more behind the last one.
        at: where each value begins.
        null: where there is none.

    """
    size = np.where(null, 0, data[at]).astype(np.int64)
    has_date = size >= _WITH_DATE

    def number(offset: int, present: Mask, width: int = 1) -> Positions:
        places = np.where(present, at + offset, 0)
        found = data[places].astype(np.int64)
        for byte in range(1, width):
            found |= data[places + byte].astype(np.int64) << (8 * byte)
        return np.where(present, found, 0)

    year, month, day = number(1, has_date, 2), number(3, has_date), number(4, has_date)
    days = _days(year, month, day)
    following = _days(np.where(month == 12, year + 1, year), np.where(month == 12, 1, month + 1), 1)  # noqa: PLR2004 December
    first = _days(year, month, 1)
    possible = (year > 0) & (month > 0) & (day > 0) & (days - first < following - first)
    has_time = size >= _WITH_TIME
    microseconds = ((number(5, has_time) * 60 + number(6, has_time)) * 60 + number(7, has_time)) * 1_000_000
    microseconds += number(8, size >= _WITH_MICROSECONDS, 4)
    return Moments(days, microseconds, ~possible & ~null, np.where(null, 0, 1 + size))


def _days(year: Positions, month: Positions, day: Positions | int) -> Positions:
    """Return the days since 1970-01-01; years begin in March, so that the leap day is the last one."""
    in_new_year = month > 2  # noqa: PLR2004 February
    years = year - ~in_new_year
    of_year = (153 * (month + np.where(in_new_year, -3, 9)) + 2) // 5 + day - 1
    return years * 365 + years // 4 - years // 100 + years // 400 + of_year - _EPOCH
