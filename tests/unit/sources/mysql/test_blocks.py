"""Blocks and their decoding, on bytes as a server sends them, however they arrive."""

import random

import pyarrow as pa
import pytest
from pymysql import err

from practicus_assets.sources.mysql import fields as kinds
from practicus_assets.sources.mysql.blocks import blocks
from practicus_assets.sources.mysql.decoding import Decoder
from practicus_assets.sources.mysql.fields import Field, schema_of

LONGEST = 0xFFFFFF
FIELDS = (Field("n", kinds.LONG, 11, 0, 0, 63), Field("text", 253, 400, 0, 0, 45))
END = b"\x05\0\0\0" + b"\xfe\0\0\0\0"


class Pieces:
    """A socket that gives bytes in pieces of at most so many."""

    def __init__(self, data: bytes, most: int) -> None:
        self._data, self._most = memoryview(data), most

    def recv_into(self, buffer: memoryview) -> int:
        size = min(len(buffer), len(self._data), self._most)
        buffer[:size] = self._data[:size]
        self._data = self._data[size:]
        return size


def row(number: int, text: str | None) -> bytes:
    """Return a row as the binary protocol has it, in as many packets as it needs."""
    payload = bytes([0, 0 if text is not None else 8]) + number.to_bytes(4, "little", signed=True)
    if text is not None:
        data = text.encode()
        forms = ((b"", 1, 251), (b"\xfc", 2, 1 << 16), (b"\xfd", 3, 1 << 24), (b"\xfe", 8, 1 << 63))
        marker, width = next((marker, width) for marker, width, end in forms if len(data) < end)
        payload += marker + len(data).to_bytes(width, "little") + data
    return packets(payload)


def packets(payload: bytes) -> bytes:
    sent = b""
    while True:
        part, payload = payload[:LONGEST], payload[LONGEST:]
        sent += len(part).to_bytes(3, "little") + b"\x07" + part
        if len(part) < LONGEST:
            return sent


def read(data: bytes, most: int = 1 << 30, begin: int = 0, size: int = 1 << 10) -> pa.Table:
    decoder = Decoder(FIELDS, schema_of(FIELDS, {}))
    received = blocks(data[:begin], Pieces(data[begin:], most), size)
    batches = [decoder.batch(block, 0) for block in received]
    return pa.Table.from_batches(batches, decoder.schema)


@pytest.mark.parametrize("most", [1, 3, 7, 100, 5_000])
def test_rows_are_the_same_in_whatever_pieces_they_arrive(most: int) -> None:
    chance = random.Random(most)  # noqa: S311 for tests
    rows = [(i, chance.choice([None, "", "é", "x" * chance.randrange(600)])) for i in range(300)]
    sent = b"".join(row(*each) for each in rows) + END
    begin = chance.randrange(len(sent))
    found = read(sent, most, begin)
    assert list(zip(*(column.to_pylist() for column in found.columns), strict=True)) == rows


@pytest.mark.parametrize("length", [0, 1, 250, 251, 252, 253, 254, 255, 256, 65_535, 65_536])
def test_texts_of_every_form_of_length_are_read(length: int) -> None:
    found = read(row(1, "a" * length) + row(2, None) + row(3, "b") + END)
    assert found["text"].to_pylist() == ["a" * length, None, "b"]


@pytest.mark.parametrize("more", [-11, -10, 1])
def test_a_row_of_several_packets_is_put_together(more: int) -> None:
    text = "y" * (LONGEST + more)
    found = read(row(1, "a") + row(2, text) + row(3, "b") + END, most=1 << 22)
    assert found["n"].to_pylist() == [1, 2, 3]
    assert found["text"][1].as_py() == text


def test_blocks_are_of_bounded_size() -> None:
    sent = b"".join(row(i, "x" * 50) for i in range(2000)) + END
    sizes = [len(block.buffer) for block in blocks(b"", Pieces(sent, 4096), 4096)]
    assert len(sizes) > 20
    assert max(sizes) < 4200


def test_a_result_without_rows_has_no_block() -> None:
    assert read(END).num_rows == 0


def test_rows_that_end_before_their_end_is_said_are_lost() -> None:
    with pytest.raises(err.OperationalError, match="before the end"):
        read(row(1, "a") + row(2, "b"))


def test_an_error_among_the_rows_is_raised() -> None:
    said = packets(b"\xff" + (1317).to_bytes(2, "little") + b"#70100Query execution was interrupted")
    with pytest.raises(err.MySQLError, match="interrupted"):
        read(row(1, "a") + said)


def test_rows_that_do_not_add_up_are_no_rows() -> None:
    too_long = bytearray(row(1, "abc") + END)
    too_long[4 + 6] = 200
    with pytest.raises(AssertionError, match="longer than its row"):
        read(bytes(too_long) + bytes(300))
    too_short = bytearray(row(1, "abc") + END)
    too_short[4 + 6] = 2
    with pytest.raises(AssertionError, match="do not end with their last column"):
        read(bytes(too_short))


def test_decoded_rows_do_not_refer_to_the_buffer() -> None:
    decoder = Decoder(FIELDS, schema_of(FIELDS, {}))
    for block in blocks(b"", Pieces(row(1, "abc") + row(2, "a longer one than twelve") + END, 4096), 4096):
        batch = decoder.batch(block, 0)
        block.buffer[: block.end] = b"z" * block.end
        assert batch.to_pylist() == [{"n": 1, "text": "abc"}, {"n": 2, "text": "a longer one than twelve"}]
