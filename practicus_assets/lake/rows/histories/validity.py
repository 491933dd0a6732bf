"""Validity: from when to when each row of a history is valid, given all rows of some keys."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from practicus_assets.lake.rows.fingerprints.hashes import hash_rows

Flags = np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(frozen=True)
class Validity:
    """The validity of rows.

    Attributes:
        valid_to: when each row's validity ends; null if it does not.
        is_version: which rows are valid for some time. The others are valid from a moment to the same
            moment: rows by which a key ends, rows that say again what was so, and rows in whose place
            another one is of the same key and time.

    """

    valid_to: pa.Array
    is_version: Flags


def validity(  # noqa: PLR0917 what rows are, and how they are compared
    rows: pa.Table,
    keys: Sequence[str],
    time: str,
    compared: Sequence[str],
    ends: Flags,
    lists: pa.Array | None = None,
) -> Validity:
    """Return the validity of rows.

    A row is valid until the next one of its key that says something else, or by which the key ends. Of
    several rows of one key and time, the last one counts. Of lists, a key also ends where one lacks it.

    Args:
        rows: all rows of their keys, in the order of keys and time.
        keys: the columns that identify what rows are about.
        time: the column that says from when on a row is valid.
        compared: the columns by which two rows say the same.
        ends: which rows are those by which a key ends.
        lists: the times of all lists, in order, each of which has all keys that there were; None if rows
            are changes, and one that has no row of a key says nothing of it.

    """
    count = rows.num_rows
    times = rows[time].combine_chunks()
    number = np.asarray(pc.index_in(times, value_set=lists)) if lists is not None else np.arange(count)
    is_last = np.ones(count, dtype=bool)
    is_last[:-1] = ~same_as_before(rows, [*keys, time])[1:]
    counting = np.flatnonzero(is_last)
    counted = rows if len(counting) == count else rows.take(pa.array(counting))
    ended = ends[counting]
    same_key = same_as_before(counted, keys)
    says_again = same_key & ~ended & same_as_before(counted, compared)
    says_again[1:] &= ~ended[:-1]
    if lists is not None:
        says_again[1:] &= np.diff(number[counting]) == 1
    turns = np.flatnonzero(~says_again)  # where something else begins to be so
    versions = np.flatnonzero(~says_again & ~ended)
    following = np.searchsorted(turns, versions, side="right")
    is_version = np.zeros(count, dtype=bool)
    is_version[counting[versions]] = True
    if lists is not None:
        last = np.append(turns, len(counting))[following] - 1  # the row that says it for the last time
        until = number.copy()
        until[counting[versions]] = number[counting[last]] + 1
        unended = until == len(lists)
        until[unended] = 0
        return Validity(lists.take(pa.array(until, mask=unended)), is_version)
    is_open = following == len(turns)
    turn = turns[np.minimum(following, len(turns) - 1)] if len(turns) else versions
    key = np.cumsum(~same_key)
    is_open |= key[turn] != key[versions]
    until = np.arange(count)
    until[counting[versions]] = counting[turn]
    unended = np.zeros(count, dtype=bool)
    unended[counting[versions]] = is_open
    return Validity(times.take(pa.array(until, mask=unended)), is_version)


def same_as_before(rows: pa.Table, columns: Sequence[str]) -> Flags:
    """Return for each row whether it has the values of the row before it; nulls, and NaNs, are the same.

    Args:
        rows: the rows.
        columns: the columns that are compared; with none, all are the same.

    """
    same = np.ones(rows.num_rows, dtype=bool)
    same[:1] = False
    for name in columns:
        if rows.num_rows > 1:
            same[1:] &= _same(rows[name].combine_chunks())
    return same


def _same(values: pa.Array) -> Flags:
    before, after = values[:-1], values[1:]
    if pa.types.is_null(values.type):
        return np.ones(len(after), dtype=bool)
    if pa.types.is_nested(values.type):
        hashes = hash_rows(pa.record_batch([values], ["v"]), ["v"])
        same: Flags = hashes[1:] == hashes[:-1]
        for i in np.flatnonzero(same):
            same[i] = repr(before[i].as_py()) == repr(after[i].as_py())
        return same
    equal = pc.fill_null(pc.equal(before, after), False)  # noqa: FBT003 a fill value
    equal = pc.or_(equal, pc.and_(before.is_null(), after.is_null()))
    if pa.types.is_floating(values.type):
        nan = pc.fill_null(pc.and_(pc.is_nan(before), pc.is_nan(after)), False)  # noqa: FBT003 a fill value
        equal = pc.or_(equal, nan)
    return flags(equal)


def flags(values: pa.Array | pa.ChunkedArray) -> Flags:
    """Return booleans of Arrow, none of which is null, as those of NumPy."""
    return np.array(values, dtype=bool)
