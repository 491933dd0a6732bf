"""Decoding: rows of the binary protocol as Arrow batches, a column at a time."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from practicus_assets.errors import DataRefused
from practicus_assets.sources.mysql import fields as kinds
from practicus_assets.sources.mysql.blocks import HEAD, Block, Bytes, Positions
from practicus_assets.sources.mysql.calendar import Mask, moments
from practicus_assets.sources.mysql.fields import Field
from practicus_assets.wording import number_of

_NUMBERS = {  # how numbers of a fixed width are laid out, by type
    kinds.TINY: "i1",
    kinds.SHORT: "<i2",
    kinds.YEAR: "<i2",
    kinds.INT24: "<i4",
    kinds.LONG: "<i4",
    kinds.LONGLONG: "<i8",
    kinds.FLOAT: "<f4",
    kinds.DOUBLE: "<f8",
}
_MOMENTS = {kinds.DATE, kinds.DATETIME, kinds.TIMESTAMP}
_LENGTH_BYTES = {252: 2, 253: 3, 254: 8}  # how many bytes follow that say a length, by the first byte
_NULLS_OFFSET = 2  # the first bits of the list of nulls are reserved
_SHOWN = 3  # values in an error


@dataclass(frozen=True)
class Decoder:
    """Makes batches of the rows of one result.

    Args:
        fields: the columns of the result.
        schema: their Arrow types.
        zero_dates_are_null: whether dates that no calendar has are read as null; else they are refused.

    """

    fields: Sequence[Field]
    schema: pa.Schema
    zero_dates_are_null: bool = False

    def batch(self, block: Block, first_row: int) -> pa.RecordBatch:
        """Return the rows of a block; nothing of them refers to its buffer.

        Args:
            block: the rows.
            first_row: how many rows of the result came before, for errors.

        Raises:
            DataRefused: for values that the column's type cannot hold.

        """
        column = _Column(block, len(self.fields), first_row)
        arrays = []
        for number, (field, target) in enumerate(zip(self.fields, self.schema, strict=True)):
            column.begin(number)
            arrays.append(self._array(column, field, target.type))
        column.refuse_rest()
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)

    def _array(self, column: "_Column", field: Field, type_: pa.DataType) -> pa.Array:
        if field.code in _NUMBERS:
            numbers = column.numbers(_layout(field))
            if pa.types.is_boolean(type_):
                return _flags(column, field, numbers)
            if pa.types.is_decimal(type_):
                return _wide(numbers, column.null, type_)
            return pa.array(numbers, mask=column.mask).cast(type_)
        if field.code in _MOMENTS:
            return self._moments(column, field, type_)
        if field.code == kinds.BIT:
            return _bits(column, field, type_)
        return _checked(column.texts(), field, type_)

    def _moments(self, column: "_Column", field: Field, type_: pa.DataType) -> pa.Array:
        found = moments(column.data, column.at, column.null)
        null = column.null
        if found.impossible.any():
            if not self.zero_dates_are_null:
                raise _impossible(column, field, found.impossible)
            null = null | found.impossible
        column.at = column.at + found.sizes
        mask = null if null.any() else None
        if pa.types.is_date(type_):
            return pa.array(found.days.astype(np.int32), mask=mask).view(type_)
        return pa.array(found.since_epoch, mask=mask).view(type_)


class _Column:
    """The column of a block that is decoded next.

    Attributes:
        data: the block's bytes.
        at: where the value of each row begins.
        null: in which rows it is null.

    """

    def __init__(self, block: Block, columns: int, first_row: int) -> None:
        self.data: Bytes = np.frombuffer(block.buffer, np.uint8)
        self.at: Positions = block.starts + HEAD + 1 + (columns + 7 + _NULLS_OFFSET) // 8
        self.null: Mask = np.zeros(len(block.starts), np.bool_)
        self.first_row = first_row
        self._block = block
        self._ends: Positions = np.append(block.starts[1:], block.end)

    @property
    def mask(self) -> Mask | None:
        """In which rows the value is null, for Arrow."""
        return self.null if self.null.any() else None

    def begin(self, number: int) -> None:
        """Go on to a column, behind the one before it."""
        byte, bit = divmod(number + _NULLS_OFFSET, 8)
        self.null = (self.data[self._block.starts + HEAD + 1 + byte] >> bit & 1).astype(np.bool_)

    def numbers(self, layout: "np.dtype[Any]") -> Any:
        """Return the numbers of a fixed width, whatever where there is none."""
        places = len(self.data) - layout.itemsize + 1
        everywhere: Any = np.ndarray((places,), layout, self._block.buffer, strides=(1,))
        found = everywhere[self.at]
        self.at = self.at + np.where(self.null, 0, layout.itemsize)
        return found

    def texts(self) -> pa.Array:
        """Return the values that say their own length, as bytes."""
        first = np.where(self.null, 0, self.data[self.at])
        begin = self.at + ~self.null
        lengths = first.astype(np.int64)
        if (first > 250).any():  # noqa: PLR2004 lengths up to there are one byte
            for marker, width in _LENGTH_BYTES.items():
                rows = np.flatnonzero(first == marker)
                places = self.at[rows] + 1
                lengths[rows] = sum(self.data[places + i].astype(np.int64) << (8 * i) for i in range(width))
                begin[rows] += width
        self.at = begin + lengths
        if (self.at > self._ends).any():  # Arrow would read whatever is in memory there
            raise AssertionError("a text of the binary protocol is longer than its row")
        # one value, what is between it and the next row's, the next value …: every second one is wanted
        bounds = np.empty(2 * len(begin) + 1, np.int32)
        bounds[:-1:2], bounds[1::2] = begin, self.at
        bounds[-1] = self.at[-1]
        data = [None, pa.py_buffer(bounds), pa.py_buffer(self._block.buffer)]
        with_gaps = pa.Array.from_buffers(pa.binary(), 2 * len(begin), data)
        wanted = np.arange(0, 2 * len(begin), 2, dtype=np.int32)
        return with_gaps.take(pa.array(wanted, mask=self.mask))

    def refuse_rest(self) -> None:
        """Raise if rows do not end where their last column does: what was read would be wrong."""
        if not np.array_equal(self.at, self._ends):
            raise AssertionError("rows of the binary protocol do not end with their last column")

    def rows_where(self, mask: Mask) -> Any:
        """Return the first rows of a mask."""
        return np.flatnonzero(mask)[:_SHOWN]


def _layout(field: Field) -> "np.dtype[Any]":
    layout = _NUMBERS[field.code]
    return np.dtype(layout.replace("i", "u") if field.is_unsigned else layout)


def _flags(column: _Column, field: Field, numbers: Any) -> pa.Array:
    """Return a `tinyint(1)` as booleans, if it holds no other number."""
    other = ((numbers != 0) & (numbers != 1)) & ~column.null
    if other.any():
        rows = column.rows_where(other)
        sample = ", ".join(f"row {column.first_row + row}: {numbers[row]}" for row in rows)
        raise DataRefused(
            f"column {field.name!r} is read as a boolean, as tinyint(1) is, and has numbers beside 0 and 1 "
            f"in {number_of(int(other.sum()), 'row')} of a batch.",
            f'Declare what it is: columns={{"{field.name}": "int8"}}.',
            f"E.g. {sample}.",
        )
    return pa.array(numbers != 0, mask=column.mask)


def _wide(numbers: Any, null: Mask, type_: pa.DataType) -> pa.Array:
    """Return numbers that are beyond an int64 as decimals without a fraction."""
    halves = np.zeros((len(numbers), 2), np.uint64)
    halves[:, 0] = numbers
    valid = pa.py_buffer(np.packbits(~null, bitorder="little")) if null.any() else None
    return pa.Array.from_buffers(type_, len(numbers), [valid, pa.py_buffer(halves)])


def _bits(column: _Column, field: Field, type_: pa.DataType) -> pa.Array:
    """Return a bit field as the number that it is: its bytes begin with the highest."""
    first = column.at + 1
    width = (field.length + 7) // 8
    numbers = np.zeros(len(first), np.uint64)
    places = np.where(column.null, 0, first)
    for i in range(width):
        numbers = (numbers << np.uint64(8)) | column.data[places + i]
    column.at = column.at + np.where(column.null, 0, 1 + width)
    if pa.types.is_decimal(type_):
        return _wide(numbers, column.null, type_)
    if pa.types.is_boolean(type_):
        return pa.array(numbers != 0, mask=column.mask)
    return pa.array(numbers.astype(np.int64), mask=column.mask)


def _checked(values: pa.Array, field: Field, type_: pa.DataType) -> pa.Array:
    """Return bytes as text or decimals."""
    if pa.types.is_binary(type_):
        return values
    try:
        texts = values.cast(pa.string())
    except pa.ArrowInvalid:
        raise DataRefused(
            f"column {field.name!r} has bytes that are no text in UTF-8.",
            f"Declare it as bytes in a query: SELECT CAST({field.name} AS BINARY).",
        ) from None
    try:
        return texts.cast(type_)
    except pa.ArrowInvalid as error:
        raise DataRefused(
            f"column {field.name!r} is decimal({field.digits},{field.decimals}), and has values that do not "
            f"fit into the declared {type_}.",
            "Declare more digits, or round them in a query.",
            f"pyarrow says: {error}.",
        ) from None


def _impossible(column: _Column, field: Field, mask: Mask) -> DataRefused:
    shown = []
    for row in column.rows_where(mask):
        at, size = int(column.at[row]) + 1, int(column.data[column.at[row]])
        year, month, day = 0, 0, 0
        if size:
            year = int(column.data[at]) | int(column.data[at + 1]) << 8
            month, day = int(column.data[at + 2]), int(column.data[at + 3])
        shown.append(f"row {column.first_row + row}: {year:04}-{month:02}-{day:02}")
    return DataRefused(
        f"column {field.name!r} has dates that no calendar has in {number_of(int(mask.sum()), 'row')} of a "
        "batch.",
        'Correct them there, or read them as null with zero_dates="null".',
        f"E.g. {', '.join(shown)}.",
    )
