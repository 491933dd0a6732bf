"""Fields: the columns of a result as the server describes them, and the Arrow types of their values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from practicus_assets.errors import SchemaMismatch

# types of the protocol
TINY, SHORT, LONG, FLOAT, DOUBLE, NULL, TIMESTAMP, LONGLONG, INT24 = range(1, 10)
DATE, TIME, DATETIME, YEAR = range(10, 14)
BIT, JSON, DECIMAL, GEOMETRY = 16, 245, 246, 255
_TEXTS = {15, 247, 248, 249, 250, 251, 252, 253, 254}  # char, varchar, text, blob, enum, set
_NAMES = {TIME: "time", GEOMETRY: "geometry", 242: "vector"}

_UNSIGNED = 32  # a flag
_BINARY = 63  # the number of the character set of bytes
_MAX_DIGITS = 38

_SIGNED_TYPES = {
    TINY: pa.int8(),
    SHORT: pa.int16(),
    INT24: pa.int32(),
    LONG: pa.int32(),
    LONGLONG: pa.int64(),
}
_UNSIGNED_TYPES = {
    TINY: pa.int16(),
    SHORT: pa.int32(),
    INT24: pa.int32(),
    LONG: pa.int64(),
    LONGLONG: pa.decimal128(20, 0),
}
_OTHER_TYPES = {
    FLOAT: pa.float32(),
    DOUBLE: pa.float64(),
    DATE: pa.date32(),
    DATETIME: pa.timestamp("us"),
    TIMESTAMP: pa.timestamp("us", "UTC"),  # the session's time zone is UTC
    YEAR: pa.int16(),
    JSON: pa.string(),
}


@dataclass(frozen=True)
class Field:
    """One column of a result.

    Attributes:
        name: the column's name in the result.
        code: the type's number in the protocol.
        length: how many characters its values have at most when they are shown.
        decimals: digits behind the point.
        flags: bits, e.g. for unsigned numbers.
        charset: the number of the character set, of which one stands for bytes.

    """

    name: str
    code: int
    length: int
    decimals: int
    flags: int
    charset: int

    @classmethod
    def of(cls, packet: Any) -> "Field":
        """Return the field that PyMySQL has read."""
        return cls(packet.name, packet.type_code, packet.length, packet.scale, packet.flags, packet.charsetnr)

    @property
    def is_unsigned(self) -> bool:
        """Whether its numbers are never negative."""
        return bool(self.flags & _UNSIGNED)

    @property
    def digits(self) -> int:
        """How many digits a decimal has."""
        return self.length - (self.decimals > 0) - (not self.is_unsigned)

    def type_for(  # noqa: PLR0911 a table of types
        self, declared: pa.DataType | None = None
    ) -> pa.DataType:
        """Return the type in which its values are read, exactly and whatever rows there are.

        Args:
            declared: the type that the author declares. It decides whether a `tinyint` is a boolean, which
                is otherwise one that is shown with one digit, and which decimal holds more than 38 digits.

        Raises:
            SchemaMismatch: if Delta Lake has no counterpart; the message says what to write instead.

        """
        if self.code == TINY and not self.is_unsigned:
            is_flag = self.length == 1 if declared is None else pa.types.is_boolean(declared)
            return pa.bool_() if is_flag else pa.int8()
        if self.code in _SIGNED_TYPES:
            return (_UNSIGNED_TYPES if self.is_unsigned else _SIGNED_TYPES)[self.code]
        if self.code in _OTHER_TYPES:
            return _OTHER_TYPES[self.code]
        if self.code in _TEXTS:
            return pa.binary() if self.charset == _BINARY else pa.string()
        if self.code == BIT:
            return _bits_type(self.length)
        if self.code == DECIMAL and self.digits <= _MAX_DIGITS:
            return pa.decimal128(self.digits, self.decimals)
        if self.code == DECIMAL and declared is not None and pa.types.is_decimal(declared):
            return declared
        raise self._refusal()

    def is_readable(self) -> bool:
        """Whether Delta Lake has a type for its values."""
        try:
            self.type_for()
        except SchemaMismatch:
            return False
        return True

    def _refusal(self) -> SchemaMismatch:
        if self.code == NULL:
            return SchemaMismatch(
                f"column {self.name!r} holds only nulls, so its type is unknown.",
                "Write CAST(NULL AS …) in the query.",
            )
        if self.code == DECIMAL:
            return SchemaMismatch(
                f"column {self.name!r} is decimal({self.digits},{self.decimals}), and Delta Lake's decimals "
                f"have at most {_MAX_DIGITS} digits.",
                f'Declare what its values fit into, columns={{"{self.name}": '
                f'"decimal({_MAX_DIGITS},{min(self.decimals, _MAX_DIGITS)})"}} or "string", or write '
                f"CAST(… AS DECIMAL({_MAX_DIGITS},{min(self.decimals, _MAX_DIGITS)})) in a query.",
            )
        kind = _NAMES.get(self.code, f"of the type with number {self.code}")
        advice = "Read a query with ST_AsBinary(…), or leave the column out of one."
        if self.code != GEOMETRY:
            advice = f'Declare it as text, columns={{"{self.name}": "string"}}, or leave it out of a query.'
        return SchemaMismatch(f"column {self.name!r} is {kind}, which Delta Lake cannot hold.", advice)


def schema_of(fields: Sequence[Field], declared: Mapping[str, pa.DataType]) -> pa.Schema:
    """Return the schema in which rows with these fields are read.

    Args:
        fields: the columns of a result.
        declared: the types that the author declares, by column.

    Raises:
        SchemaMismatch: for a type that Delta Lake cannot hold, and for two columns of one name.

    """
    names = [field.name.lower() for field in fields]
    doubled = [field.name for field in fields if names.count(field.name.lower()) > 1]
    if doubled:
        raise SchemaMismatch(
            f"the result has more than one column {doubled[0]!r}, and Delta Lake tells no case apart.",
            "Give each a name of its own: SELECT … AS ….",
        )
    return pa.schema([pa.field(field.name, field.type_for(declared.get(field.name))) for field in fields])


def _bits_type(bits: int) -> pa.DataType:
    if bits == 1:
        return pa.bool_()
    return pa.int64() if bits < 64 else pa.decimal128(20, 0)  # noqa: PLR2004 the bits of an int64
