"""The text of a CSV file: its header, and its rows as UTF-8 bytes for a parser."""

import codecs
import csv
import io
from dataclasses import dataclass

import pyarrow as pa

from practicus_assets.errors import DataRefused, SchemaMismatch

_HEAD = 2**20  # bytes within which the header ends
_CHUNK = 2**20
_BOMS = {codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


@dataclass(frozen=True)
class Dialect:
    """What tells values apart.

    Attributes:
        delimiter, quote, escape: characters of ASCII; None where there is none.
        encoding: how the text is encoded, by Python's name.
        skip_lines: how many lines come before the header or the first row.
        header: whether there is a header.

    """

    delimiter: str
    quote: str | None
    escape: str | None
    encoding: str
    skip_lines: int
    header: bool


class CSVText:
    """A readable file of the rows that follow the header, in UTF-8 and without a byte order mark.

    Args:
        stream: what the file holds.
        dialect: how it is written.
        file: the file's name, for errors.

    Attributes:
        header: the names of the columns; None if the file has none, or is empty.
        lines_before: how many lines stand before the rows.

    Raises:
        DataRefused: for a text of another encoding.

    """

    closed = False

    def __init__(self, stream: pa.NativeFile, dialect: Dialect, file: str) -> None:
        self._stream = stream
        self._dialect = dialect
        self._file = file
        utf8 = codecs.lookup(dialect.encoding).name in {"utf-8", "ascii", "utf-8-sig"}
        self._decoder = None if utf8 else codecs.getincrementaldecoder(dialect.encoding)()
        self._pending = self._next(_HEAD)
        self._refuse_other_encoding()
        self._pending = self._pending.removeprefix(codecs.BOM_UTF8)
        self._quotes = 0
        self._before_last_quote = b"\n"
        self._last_byte = b"\n"
        self.header: list[str] | None = None
        self.lines_before = 0
        for _ in range(dialect.skip_lines):
            self._take_line(quoted=False)
        if dialect.header:
            self.header = self._read_header()
        while self._pending[:1] in {b"\n", b"\r"}:
            self._pending = self._pending[1:]
            self.lines_before += 1

    @property
    def is_empty(self) -> bool:
        """Whether there are no rows."""
        return not self._pending

    def _read_header(self) -> list[str] | None:
        line = self._take_line(quoted=True)
        while not line.strip() and self._pending:
            line = self._take_line(quoted=True)
        try:
            text = line.decode()
        except UnicodeDecodeError:
            raise DataRefused(
                f"{self._file}: its header is not {self._dialect.encoding}.",
                "Name its encoding, e.g. encoding='latin-1' or 'cp1252'.",
            ) from None
        if not text.strip():
            return None
        rows = list(
            csv.reader(
                io.StringIO(text, newline=""),
                delimiter=self._dialect.delimiter,
                quotechar=self._dialect.quote,
                escapechar=self._dialect.escape,
                quoting=csv.QUOTE_NONE if self._dialect.quote is None else csv.QUOTE_MINIMAL,
            )
        )
        return rows[0] if rows else None

    def _take_line(self, *, quoted: bool) -> bytes:
        """Take a line off what is pending; a line break within quotes belongs to it if they count."""
        quote = (self._dialect.quote or "").encode() if quoted else b""
        inside = False
        at = 0
        while True:
            if at >= len(self._pending):
                more = self._next(_HEAD) if len(self._pending) < _HEAD else b""
                if not more:
                    if len(self._pending) >= _HEAD:
                        raise SchemaMismatch(
                            f"{self._file}: its header does not end within {_HEAD:,} bytes.",
                            "Correct the file, or name its format.",
                        )
                    line, self._pending = self._pending, b""
                    return line
                self._pending += more
            byte = self._pending[at : at + 1]
            if quote and byte == quote:
                inside = not inside
            elif byte in {b"\n", b"\r"} and not inside:
                break
            at += 1
        line, rest = self._pending[:at], self._pending[at:]
        if rest == b"\r":
            rest += self._next(1)
        self._pending = rest[2:] if rest.startswith(b"\r\n") else rest[1:]
        self.lines_before += 1 + line.count(b"\n")
        return line

    def _refuse_other_encoding(self) -> None:
        for mark, name in _BOMS.items():
            if self._decoder is None and self._pending.startswith(mark):
                raise DataRefused(f"{self._file} is {name}.", f"Declare it: encoding={name!r}.")

    def _next(self, size: int) -> bytes:
        """Return the next bytes, as UTF-8; none at the end."""
        while True:
            data = bytes(self._stream.read(size))
            if self._decoder is None:
                return data
            try:
                text = self._decoder.decode(data, final=not data)
            except UnicodeDecodeError as error:
                raise DataRefused(
                    f"{self._file} is not {self._dialect.encoding}: {error.reason}.",
                    "Name its encoding, or correct the file.",
                ) from None
            if text or not data:
                return text.encode()

    def read(self, size: int = -1) -> bytes:
        """Return at most so many bytes of rows; none at the end."""
        if self._pending:
            end = size if size > 0 else len(self._pending)
            data, self._pending = self._pending[:end], self._pending[end:]
        else:
            data = self._next(size if size > 0 and self._decoder is None else _CHUNK)
            if size > 0 and len(data) > size:
                data, self._pending = data[:size], data[size:]
        self._watch_quotes(data)
        return data

    def _watch_quotes(self, data: bytes) -> None:
        quote = (self._dialect.quote or "").encode()
        if not data or not quote:
            return
        count = data.count(quote)
        if count:
            self._quotes += count
            at = data.rindex(quote)
            self._before_last_quote = data[at - 1 : at] if at else self._last_byte
        self._last_byte = data[-1:]

    def refuse_open_quote(self) -> None:
        """Raise DataRefused if the file ends within a quoted value, which a parser takes for its end."""
        begins = {self._dialect.delimiter.encode(), b"\n", b"\r", (self._dialect.quote or "").encode()}
        if self._quotes % 2 and self._dialect.escape is None and self._before_last_quote in begins:
            raise DataRefused(
                f"{self._file} ends within a quoted value.",
                "It was cut off, or a quote is missing: bring it again.",
            )

    def readable(self) -> bool:
        """Return true: it can be read."""
        return True

    def seekable(self) -> bool:
        """Return false: it is read once."""
        return False

    def close(self) -> None:
        """Leave the stream open, which is not this object's."""
