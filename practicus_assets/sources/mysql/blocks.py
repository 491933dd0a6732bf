"""Blocks: rows of a result as the server sends them, a few megabytes at a time."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from pymysql import err
from pymysql.constants import CR

HEAD = 4  # bytes before each packet: three with its length, one with its number
PADDING = 16  # bytes that may be read behind the last row
_LONGEST = 0xFFFFFF  # what a packet holds at most; the row then goes on in the next one
_ROW, _END, _ERROR = 0x00, 0xFE, 0xFF

Bytes = np.ndarray[Any, np.dtype[np.uint8]]
Positions = np.ndarray[Any, np.dtype[np.int64]]


class Socket(Protocol):
    """What a connection is read from."""

    def recv_into(self, buffer: memoryview, /) -> int:
        """Read what is there, wait for at least one byte, and return how many there were; 0 at the end."""


@dataclass(frozen=True)
class Block:
    """Rows in a buffer, which is overwritten once the next block is asked for.

    Attributes:
        buffer: the bytes, with at least `PADDING` of them behind the last row.
        starts: where the packet of each row begins.
        end: where the last one ends.

    """

    buffer: bytearray
    starts: Positions
    end: int


def blocks(begin: bytes, socket: Socket, size: int) -> Iterator[Block]:
    """Yield the rows of a result, up to its end.

    Args:
        begin: what is read already of that which follows the columns of the result.
        socket: gives the rest.
        size: how many bytes a block has at most; one row that is longer is a block of its own.

    Raises:
        pymysql.err.MySQLError: if the server ends the result by an error, or the connection ends.
        OSError: if the connection fails.

    """
    received = _Received(begin, socket, size)
    while True:
        starts = received.take_rows()
        if starts:
            yield Block(received.buffer, np.array(starts, np.int64), received.position)
            received.drop_taken()
        if not received.is_other_next():
            continue
        payload = received.take_packet()
        if payload[0] == _END:
            return
        if payload[0] == _ERROR:
            err.raise_mysql_exception(bytes(payload))
        packet = bytearray(HEAD) + payload + bytearray(PADDING)
        yield Block(packet, np.zeros(1, np.int64), HEAD + len(payload))


class _Received:
    """Bytes that have come, and how far they are taken.

    Attributes:
        buffer: the bytes, and room for more.
        position: where the first packet begins that is not taken.

    """

    def __init__(self, begin: bytes, socket: Socket, size: int) -> None:
        self.buffer = bytearray(max(size, len(begin)) + PADDING)
        self.buffer[: len(begin)] = begin
        self.position = 0
        self._filled = len(begin)
        self._socket = socket

    def take_rows(self) -> list[int]:
        """Take rows until the buffer is full, or something else than a row in one packet is next.

        Returns:
            Where each of them begins.

        """
        starts: list[int] = []
        while True:
            self._walk(starts)
            if self.is_other_next() or (starts and self._is_full()):
                return starts
            self._receive()

    def take_packet(self) -> bytearray:
        """Take one packet with all that follow it as its parts, and return what is in it."""
        payload = bytearray()
        while True:
            while self._filled < self.position + self._length():
                self._receive()
            end = self.position + self._length()
            payload += memoryview(self.buffer)[self.position + HEAD : end]
            is_last = self._length() < HEAD + _LONGEST
            self.position = end
            self.drop_taken()
            if is_last:
                return payload

    def is_other_next(self) -> bool:
        """Whether the next packet has begun to come, and is no row or goes on in further packets."""
        if self._filled <= self.position + HEAD:
            return False
        return self.buffer[self.position + HEAD] != _ROW or self._length() == HEAD + _LONGEST

    def drop_taken(self) -> None:
        """Move what is not taken to the buffer's beginning."""
        rest = self._filled - self.position
        self.buffer[:rest] = self.buffer[self.position : self._filled]
        self.position, self._filled = 0, rest

    @property
    def _room(self) -> int:
        return len(self.buffer) - PADDING

    def _is_full(self) -> bool:
        """Whether there is hardly room for more, or none for all of the next packet."""
        return self._filled * 8 > self._room * 7 or self.position + self._length() > self._room

    def _length(self) -> int:
        """Return the length of the next packet with its head, or of the head, if that is not there yet."""
        if self._filled < self.position + HEAD:
            return HEAD
        return HEAD + int.from_bytes(self.buffer[self.position : self.position + 3], "little")

    def _walk(self, starts: list[int]) -> None:
        """Take the rows that are there as a whole."""
        buffer, position, filled = self.buffer, self.position, self._filled
        while position + HEAD < filled and not buffer[position + HEAD]:
            length = buffer[position] | buffer[position + 1] << 8 | buffer[position + 2] << 16
            following = position + HEAD + length
            if following > filled or length == _LONGEST:
                break
            starts.append(position)
            position = following
        self.position = position

    def _receive(self) -> None:
        """Wait for bytes, in a larger buffer if the next packet needs one."""
        missing = self.position + self._length() + HEAD - self._room
        if self._filled == self._room or missing > 0:
            self.buffer = self.buffer + bytearray(max(missing, HEAD))
        with memoryview(self.buffer) as view:
            received = self._socket.recv_into(view[self._filled : self._room])
        if not received:
            raise err.OperationalError(CR.CR_SERVER_LOST, "the server closed the connection before the end")
        self._filled += received
