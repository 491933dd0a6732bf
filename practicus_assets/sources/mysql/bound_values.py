"""Values: what is bound to a statement's placeholders, as the binary protocol sends it."""

import datetime as dt
import struct
from collections.abc import Sequence
from decimal import Decimal

from practicus_assets.sources.mysql import fields as kinds

BoundValue = str | bytes | bool | int | float | Decimal | dt.date | dt.datetime | None

_TEXT, _BLOB = 253, 252
_UNSIGNED = 0x80
_INT64, _UINT64 = 1 << 63, 1 << 64


def encoded(values: Sequence[BoundValue]) -> bytes:
    """Return values as they follow the head of an execution; nothing for none.

    A time with a zone is sent in UTC, which is the session's time zone.
    """
    if not values:
        return b""
    nulls = sum(1 << number for number, value in enumerate(values) if value is None)
    parts = [_typed(value) for value in values]
    types = b"".join(struct.pack("<BB", code, flag) for code, flag, _ in parts)
    bits = nulls.to_bytes((len(values) + 7) // 8, "little")
    return bits + b"\1" + types + b"".join(part for _, _, part in parts)


def _typed(value: BoundValue) -> tuple[int, int, bytes]:  # noqa: C901, PLR0911 a table of types
    """Return a value's type, its flag, and its bytes."""
    if value is None:
        return kinds.NULL, 0, b""
    if isinstance(value, bool):
        return kinds.TINY, 0, bytes([value])
    if isinstance(value, int):
        if -_INT64 <= value < _INT64:
            return kinds.LONGLONG, 0, struct.pack("<q", value)
        if 0 <= value < _UINT64:
            return kinds.LONGLONG, _UNSIGNED, struct.pack("<Q", value)
        return kinds.DECIMAL, 0, _with_length(str(value).encode())
    if isinstance(value, float):
        return kinds.DOUBLE, 0, struct.pack("<d", value)
    if isinstance(value, Decimal):
        return kinds.DECIMAL, 0, _with_length(f"{value:f}".encode())
    if isinstance(value, dt.datetime):
        moment = value.astimezone(dt.UTC) if value.tzinfo is not None else value
        day = struct.pack("<HBB", moment.year, moment.month, moment.day)
        time = struct.pack("<BBBI", moment.hour, moment.minute, moment.second, moment.microsecond)
        return kinds.DATETIME, 0, _with_length(day + time)
    if isinstance(value, dt.date):
        return kinds.DATE, 0, _with_length(struct.pack("<HBB", value.year, value.month, value.day))
    if isinstance(value, bytes):
        return _BLOB, 0, _with_length(value)
    return _TEXT, 0, _with_length(value.encode())


def _with_length(data: bytes) -> bytes:
    size = len(data)
    if size <= 250:  # noqa: PLR2004 the protocol's limit for one byte
        return bytes([size]) + data
    for marker, width in ((252, 2), (253, 3), (254, 8)):
        if size < 1 << (8 * width):
            return bytes([marker]) + size.to_bytes(width, "little") + data
    raise OverflowError("no value is that long")
