"""Hashes of values and rows: 64 bits each, the same on every machine and with every version of a library.

A value is one 64-bit word (a number, a date, a time, a truth value) or several (text, bytes, decimals). Each
word is xored with a key of its place, spread by `mixed`, and the words are added up with their count. A list
does so with the hashes of its elements, a struct and a row with those of their fields, whose key is the
field's name. So two values of one word never collide; others do by accident with a probability of about
2**-64. Nothing is promised against somebody who looks for a collision.
"""

import hashlib
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from practicus_assets.errors import SchemaMismatch
from practicus_assets.lake.rows.casts import exact_cast
from practicus_assets.lake.rows.types import stored_type

Hashes = np.ndarray[Any, np.dtype[np.uint64]]

_WORD = np.dtype("<u8")
_WORD_BYTES = 8
_LIMIT = 1 << 64
BLOCK_ROWS = 1 << 16  # fit into a processor's cache; of fewer, threads would wait for each other
_TEXT_BLOCK_ROWS = 1 << 14  # of texts, which take several times their room
_HALF = np.uint64(32)
_MULTIPLIER = np.uint64(0xD6E8FEB86659FD93)
_PLACE = np.uint64(0x9E3779B97F4A7C15)
_NULL = np.uint64(0x5D1D2B6F0C4A97E3)
_TEXT = np.uint64(0xB492B66FBE98F273)
_BINARY = np.uint64(0x9AE16A3B2F90404F)
_DECIMAL = 0xC3A5C85C97CB3127
_LIST = np.uint64(0xA0761D6478BD642F)
_STRUCT = np.uint64(0xE7037ED1A0B428DB)
_LONG = 2048  # bytes; a longer text is one word, its BLAKE2b hash
# what is kept of the last word of a text, by the number of its bytes
_MASKS = np.array([(1 << (8 * size)) - 1 for size in range(_WORD_BYTES + 1)], dtype=np.uint64)


def hash_rows(batch: pa.RecordBatch, columns: Sequence[str], further: Hashes | None = None) -> Hashes:
    """Return one hash per row, of these columns' values.

    Rows with equal values have equal hashes, however Arrow holds them and in whatever order the columns
    are. All NaNs are equal, 0.0 and -0.0 are not, and a null is equal to a null of any type.

    Args:
        batch: the rows, of types that a Delta table can hold; encoded, large or viewed ones are taken too.
        columns: the names of the columns.
        further: what further columns of each row add, by `shares`; a single one is that of all rows.

    """
    hashes = np.empty(batch.num_rows, dtype=np.uint64)
    encoded = {name: _Encoded(name, batch.column(name)) for name in columns if _is_worth(batch.column(name))}
    plain = [name for name in columns if name not in encoded]
    is_fixed = all(pa.types.is_primitive(batch.schema.field(name).type) for name in plain)
    block = BLOCK_ROWS if is_fixed else _TEXT_BLOCK_ROWS
    for start in range(0, batch.num_rows, block):
        rows = batch.slice(start, block)
        end = start + rows.num_rows
        total = _hash_fields(rows.num_rows, [(name, rows.column(name)) for name in plain])
        for column in encoded.values():
            total += column.shares.take(column.positions[start:end])
        if further is not None:
            total += further[start:end] if len(further) > 1 else further
        hashes[start:end] = mixed(total)
    return hashes


def shares(name: str, values: pa.Array) -> Hashes:
    """Return what each value of a column adds to the hash of its row, before that is spread."""
    return mixed(_hash_values(values) ^ _key_of_name(name))


class _Encoded:
    """A column of which each distinct value is hashed once.

    Attributes:
        shares: what each of its values, and in the end a null, adds to the hash of a row.
        positions: the number of each row's value.

    """

    def __init__(self, name: str, array: pa.Array) -> None:
        nulls = pa.nulls(1)
        self.shares = np.append(shares(name, array.dictionary), shares(name, nulls))
        positions = array.indices
        if positions.null_count:
            positions = positions.cast(pa.int64()).fill_null(len(array.dictionary))
        self.positions = positions.to_numpy()


def _is_worth(array: pa.Array) -> bool:
    """Whether the values of a column repeat, and are held once."""
    return pa.types.is_dictionary(array.type) and len(array.dictionary) < len(array)


def mixed(words: Hashes, room: Hashes | None = None) -> Hashes:
    """Spread each bit over all others, in place; no two words become the same one.

    Args:
        words: the words.
        room: as many that are written over, for a caller who has some; by default new ones.

    """
    shifted = np.right_shift(words, _HALF, out=room)
    for _ in range(2):
        words ^= shifted
        words *= _MULTIPLIER
        np.right_shift(words, _HALF, out=shifted)
    words ^= shifted
    return words


def _hash_fields(rows: int, fields: Sequence[tuple[str, pa.Array]]) -> Hashes:
    """Return the sum of the fields' hashes, each keyed by the field's name."""
    total = np.zeros(rows, dtype=np.uint64)
    for name, array in fields:
        total += shares(name, array)
    return total


@cache
def _key_of_name(name: str) -> np.uint64:
    """Return what tells a column's values from equal ones of another column."""
    return np.uint64(_hash_values(pa.array([name]))[0])


@cache
def _key_of_place(place: int) -> np.uint64:
    """Return what tells a word from an equal one at another place of the value."""
    return np.uint64(_keys_of_places(np.array([place], dtype=np.uint64))[0])


def _keys_of_places(places: Hashes) -> Hashes:
    return mixed((places + np.uint64(1)) * _PLACE)


def _hash_values(array: pa.Array) -> Hashes:
    """Return a word per value, which is spread only after it met the key of its place."""
    if pa.types.is_null(array.type):
        return np.full(len(array), _NULL)
    plain = _plain_type(array.type)
    if array.type != plain:
        array = exact_cast(array, plain, "")
    hashes = next(hashing for is_kind, hashing in _KINDS if is_kind(plain))(array)
    if array.null_count:
        hashes[array.is_null().to_numpy(zero_copy_only=False)] = _NULL
    return hashes


@cache
def _plain_type(type_: pa.DataType) -> pa.DataType:
    """Return the type as which a table holds values of a type; one of nulls alone is taken as it is."""
    try:
        return stored_type(type_, "")
    except SchemaMismatch:
        return type_


def _fixed(array: pa.Array, dtype: str) -> Any:
    """Return the values of a column of fixed width, without a copy; those under nulls are any."""
    buffer = array.buffers()[1]
    if buffer is None:
        return np.zeros(len(array), dtype)
    width = np.dtype(dtype).itemsize
    return np.frombuffer(buffer, dtype, len(array), array.offset * width)


def _hash_integers(array: pa.Array) -> Hashes:
    values: Any = _fixed(array, f"i{array.type.bit_width // 8}").astype(np.int64, copy=array.null_count > 0)
    hashes: Hashes = values.view(np.uint64)
    return hashes


def _hash_booleans(array: pa.Array) -> Hashes:
    values = array.fill_null(False).cast(pa.uint8()).to_numpy()  # noqa: FBT003 a fill value
    hashes: Hashes = values.astype(np.uint64)
    return hashes


def _hash_floats(array: pa.Array) -> Hashes:
    values = _fixed(array, f"f{array.type.bit_width // 8}")
    nans = np.isnan(values)
    has_nans = bool(nans.any())
    values = values.astype(np.float64, copy=has_nans or array.null_count > 0)
    if has_nans:
        values[nans] = np.nan
    hashes: Hashes = values.view(np.uint64)
    return hashes


def _hash_decimals(array: pa.Array) -> Hashes:
    words = _fixed(array, "V16").view(_WORD).reshape(-1, 2)
    hashes = mixed(words[:, 0] ^ _key_of_place(0))
    hashes += mixed(words[:, 1] ^ _key_of_place(1))
    hashes += np.uint64(_DECIMAL * (array.type.scale + 1) % _LIMIT)
    return hashes


def _hash_texts(array: pa.Array) -> Hashes:
    """Hash texts and bytes, the same eight bytes of all of them at a time."""
    kind = _BINARY if pa.types.is_binary(array.type) else _TEXT
    if not len(array):
        return np.zeros(0, dtype=np.uint64)
    offsets = np.frombuffer(array.buffers()[1], np.int32, len(array) + 1, array.offset * 4).astype(np.int64)
    start, end = int(offsets[0]), int(offsets[-1])
    words = np.zeros((end - start) // _WORD_BYTES + 2, dtype=_WORD)  # the last texts may be read beyond
    if end > start:
        words.view(np.uint8)[: end - start] = np.frombuffer(array.buffers()[2], np.uint8, end - start, start)
    starts, lengths = offsets[:-1] - start, np.diff(offsets)
    hashes = (lengths.view(np.uint64) + np.uint64(1)) * kind
    if lengths.max() > _LONG:
        for position in np.flatnonzero(lengths > _LONG):
            text = words.view(np.uint8)[starts[position] : starts[position] + lengths[position]]
            digest = hashlib.blake2b(text.data, digest_size=_WORD_BYTES).digest()
            hashes[position : position + 1] += np.uint64(int.from_bytes(digest, "little"))
        lengths = np.where(lengths > _LONG, 0, lengths)
    _add_words(hashes, words, starts, lengths)
    return hashes


def _add_words(hashes: Hashes, words: Hashes, starts: Any, lengths: Any) -> None:
    """Add the hash of each word of each text to the text's own.

    Args:
        hashes: the hash of each text so far.
        words: all texts, in words that begin anywhere in a text.
        starts: the byte where each text begins.
        lengths: the number of its bytes.

    """
    rows: Any = slice(None)
    first = starts >> 3
    shift = ((starts & 7) << 3).view(np.uint64)
    low = words.take(first, mode="clip")
    for place in range(-(-int(lengths.max()) // _WORD_BYTES)):
        left = lengths - place * _WORD_BYTES if place else lengths
        shortest = left.min()
        if shortest <= 0:  # some texts have ended
            inside = np.flatnonzero(left > 0)
            rows = inside if isinstance(rows, slice) else rows.take(inside)
            lengths, left, first = lengths.take(inside), left.take(inside), first.take(inside)
            shift, low = shift.take(inside), low.take(inside)
        high = words.take(first + (place + 1), mode="clip")
        word = low >> shift
        part = high << np.uint64(1)
        part <<= np.uint64(63) - shift
        word |= part
        low = high
        if shortest < _WORD_BYTES:
            word &= _MASKS.take(left, mode="clip")
        word ^= _key_of_place(place)
        hashes[rows] += mixed(word)


def _hash_structs(array: pa.Array) -> Hashes:
    fields = [(field.name, array.field(i)) for i, field in enumerate(array.type)]
    return _hash_fields(len(array), fields) + _STRUCT


def _hash_lists(array: pa.Array) -> Hashes:
    return _sum_of_elements(array, _hash_values(array.flatten()))


def _hash_maps(array: pa.Array) -> Hashes:
    pairs = pa.StructArray.from_arrays([array.keys, array.items], ["key", "value"])
    # the offsets are copied, for pyarrow takes no slice of them together with nulls
    offsets = pa.array(np.array(array.offsets))
    lists = pa.ListArray.from_arrays(offsets, pairs, mask=array.is_null() if array.null_count else None)
    keys, items = lists.flatten().flatten()
    return _sum_of_elements(lists, _hash_fields(len(keys), [("key", keys), ("value", items)]))


def _sum_of_elements(lists: pa.Array, elements: Hashes) -> Hashes:
    """Return the sum of the hashes of each list's elements, each keyed by its place in the list."""
    lengths = pc.list_value_length(lists).fill_null(0).to_numpy().astype(np.int64)
    ends = np.cumsum(lengths)
    places = np.arange(len(elements)) - np.repeat(ends - lengths, lengths)
    sums = np.zeros(len(elements) + 1, dtype=np.uint64)
    np.cumsum(mixed(elements ^ _keys_of_places(places.astype(np.uint64))), out=sums[1:])
    hashes: Hashes = sums[ends] - sums[ends - lengths]
    hashes += (lengths.astype(np.uint64) + np.uint64(1)) * _LIST
    return hashes


_KINDS: tuple[tuple[Callable[[pa.DataType], bool], Callable[[pa.Array], Hashes]], ...] = (
    (pa.types.is_boolean, _hash_booleans),
    (lambda type_: pa.types.is_integer(type_) or pa.types.is_temporal(type_), _hash_integers),
    (pa.types.is_floating, _hash_floats),
    (pa.types.is_decimal, _hash_decimals),
    (lambda type_: pa.types.is_string(type_) or pa.types.is_binary(type_), _hash_texts),
    (pa.types.is_struct, _hash_structs),
    (pa.types.is_map, _hash_maps),
    (pa.types.is_list, _hash_lists),
)
