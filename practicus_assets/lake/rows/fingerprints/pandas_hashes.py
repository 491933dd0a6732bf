"""Hashes of rows by pandas, as fingerprints were computed from them before their algorithm had a number.

They are only needed to compare rows with a fingerprint that an older release has left in a table's log.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from practicus_assets.lake.rows.fingerprints.hashes import Hashes

_NULL = np.uint64(0x9E3779B97F4A7C15)
_MULTIPLIER = np.uint64(0xD6E8FEB86659FD93)


def pandas_hashes(batch: pa.RecordBatch, columns: Sequence[str]) -> Hashes:
    """Return one hash per row, of these columns' values; the order of columns does not matter."""
    total = np.zeros(batch.num_rows, dtype=np.uint64)
    for column in columns:
        total += _mixed(_hash_values(batch.column(column)) ^ _seed(column))
    return _mixed(total)


@cache
def _seed(column: str) -> np.uint64:
    """Return what tells a column's values from equal ones of another column."""
    return np.uint64(_hash_array(np.array([column], dtype=object))[0])


def _hash_array(values: Any) -> Hashes:
    from pandas.util import hash_array  # noqa: PLC0415 a program that only reads does not need pandas

    hashes: Hashes = hash_array(values)
    return hashes


def _mixed(hashes: Hashes) -> Hashes:
    """Spread each bit over all others (a multiply-xorshift round, twice)."""
    for _ in range(2):
        hashes = (hashes ^ (hashes >> np.uint64(32))) * _MULTIPLIER
    return hashes ^ (hashes >> np.uint64(32))


def _hash_values(array: pa.Array) -> Hashes:
    type_ = array.type
    if pa.types.is_null(type_):
        return np.full(len(array), _NULL)
    if pa.types.is_dictionary(type_):
        array = array.dictionary_decode()
        type_ = array.type
    if pa.types.is_floating(type_):
        array = pc.if_else(pc.is_nan(array), pa.scalar(float("nan"), type_), array)
        values = pc.fill_null(array, 0).cast(pa.float64()).to_numpy(zero_copy_only=False).view(np.uint64)
    elif pa.types.is_boolean(type_):
        values = pc.fill_null(array, False).cast(pa.uint8()).to_numpy().astype(np.uint64)  # noqa: FBT003 a fill value
    elif pa.types.is_integer(type_):
        values = pc.fill_null(array, 0).to_numpy().astype(np.int64, copy=False).view(np.uint64)
    elif pa.types.is_date(type_):
        values = pc.fill_null(array.cast(pa.int32()), 0).to_numpy().astype(np.int64).view(np.uint64)
    elif pa.types.is_timestamp(type_):
        values = pc.fill_null(array.cast(pa.int64()), 0).to_numpy().view(np.uint64)
    else:
        values = _as_objects(array)
    hashes: Hashes = _hash_array(values)
    return (
        np.where(array.is_null().to_numpy(zero_copy_only=False), _NULL, hashes)
        if array.null_count
        else hashes
    )


def _as_objects(array: pa.Array) -> Any:
    """Return values as text or bytes; nested ones by what Python writes for them."""
    if pa.types.is_decimal(array.type):
        array = array.cast(pa.string())
    elif (
        pa.types.is_nested(array.type)
        or pa.types.is_binary(array.type)
        or pa.types.is_large_binary(array.type)
    ):
        return np.array([repr(value) for value in array.to_pylist()], dtype=object)
    return array.to_numpy(zero_copy_only=False)
