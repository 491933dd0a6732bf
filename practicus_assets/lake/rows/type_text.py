"""Types as text: those that Arrow prints, and those of the Delta protocol."""

import re
from collections.abc import Callable
from typing import Any

import pyarrow as pa

from practicus_assets.errors import DeclarationError, did_you_mean

_WORDS: dict[str, pa.DataType] = {
    **{name: pa.type_for_alias(name) for name in ("bool", "int8", "int16", "int32", "int64")},
    **{name: pa.type_for_alias(name) for name in ("uint8", "uint16", "uint32", "uint64")},
    **{name: pa.type_for_alias(name) for name in ("float16", "float32", "float64")},
    **{name: pa.type_for_alias(name) for name in ("string", "large_string", "string_view")},
    **{name: pa.type_for_alias(name) for name in ("binary", "large_binary", "binary_view")},
    **{name: pa.type_for_alias(name) for name in ("date32", "date64", "halffloat", "float", "double")},
    "utf8": pa.string(),
    "null": pa.null(),
    # the Delta protocol, "Primitive Types", and how SQL calls them
    "boolean": pa.bool_(),
    "byte": pa.int8(),
    "short": pa.int16(),
    "integer": pa.int32(),
    "int": pa.int32(),
    "long": pa.int64(),
    "bigint": pa.int64(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us", "UTC"),
    "timestamp_ntz": pa.timestamp("us"),
}
_UNITS = "s", "ms", "us", "ns"
_IN_BRACKETS: dict[str, Callable[[str], pa.DataType]] = {
    "date32": lambda unit: {"day": pa.date32()}[unit],
    "date64": lambda unit: {"ms": pa.date64()}[unit],
    "time32": pa.time32,
    "time64": pa.time64,
    "duration": pa.duration,
    "fixed_size_binary": lambda width: pa.binary(int(width)),
}
_DECIMALS: dict[str, Callable[[int, int], pa.DataType]] = {
    "decimal": pa.decimal128,
    "decimal32": pa.decimal32,
    "decimal64": pa.decimal64,
    "decimal128": pa.decimal128,
    "decimal256": pa.decimal256,
}
_LISTS: dict[str, Callable[[pa.Field], pa.DataType]] = {
    "array": pa.list_,
    "list": pa.list_,
    "large_list": pa.large_list,
    "list_view": pa.list_view,
    "large_list_view": pa.large_list_view,
}
_EXAMPLES = (
    "int64 (long), int32 (int), int16 (short), int8 (byte), float64 (double), float32 (float), "
    "bool (boolean), string, binary, date32 (date), timestamp[us, tz=UTC] (timestamp), "
    "timestamp[us] (timestamp_ntz), "
    "decimal128(18, 2) (decimal(18,2)), list<int64> (array<long>), struct<a: int64, b: string>, "
    "map<string, int64>"
)


def as_type(declared: Any) -> pa.DataType:
    """Return the Arrow type that a declaration names.

    Args:
        declared: an Arrow type; its text as Arrow prints it, e.g. `"timestamp[us, tz=UTC]"` or
            `"struct<a: int64, b: list<item: string>>"`; the text of a Delta type, e.g. `"decimal(18,2)"` or
            `"array<string>"`; or a type of the package deltalake. In a text, a field's name that has a colon,
            or a space at its end, stands in backquotes.

    Raises:
        DeclarationError: if there is no such type.

    """
    if isinstance(declared, pa.DataType):
        return declared
    if isinstance(declared, str):
        return _Text(declared).whole()
    if type(declared).__module__.startswith("deltalake."):
        from deltalake import Field, Schema  # noqa: PLC0415 contracts need no Delta Lake otherwise

        return pa.schema(Schema([Field("x", declared)]).to_arrow()).field(0).type
    raise DeclarationError(
        f"{declared!r} is no type of a column.", f"Use an Arrow type, or its text: {_EXAMPLES}."
    )


class _Text:
    """The text of a type, read from left to right."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def whole(self) -> pa.DataType:
        """Return the type, if the text is one and nothing else."""
        type_ = self._type()
        if self._at < len(self._text):
            raise self._error()
        return type_

    def _error(self, word: str = "") -> DeclarationError:
        place = f" at {self._text[self._at :]!r}" if 0 < self._at < len(self._text) else ""
        names = [*_WORDS, *_DECIMALS, *_LISTS, *_IN_BRACKETS, "struct", "map"]
        nearest = did_you_mean(word, names) if word else ""
        return DeclarationError(
            f"the type {self._text!r} cannot be read{place}.",
            f"{nearest} Types are {_EXAMPLES}.".strip(),
        )

    def _take(self, pattern: str) -> str | None:
        """Return what matches here, without the spaces around it, and go on behind it."""
        match = re.compile(rf"\s*({pattern})\s*", re.IGNORECASE).match(self._text, self._at)
        if match is None:
            return None
        self._at = match.end()
        return match[1]

    def _expect(self, pattern: str) -> str:
        taken = self._take(pattern)
        if taken is None:
            raise self._error()
        return taken

    def _type(self) -> pa.DataType:
        start = self._at
        word = (self._take(r"\w+") or "").lower()
        try:
            if word in _LISTS and self._take("<"):
                element = self._element()
                self._expect(">")
                return _LISTS[word](element)
            if word == "fixed_size_list" and self._take("<"):
                element = self._element()
                self._expect(">")
                return pa.list_(element, int(self._expect(r"\[\d+\]")[1:-1]))
            if word == "struct" and self._take("<"):
                return self._struct()
            if word == "map" and self._take("<"):
                key = self._type()
                self._expect(",")
                item = self._part("value")
                self._expect(">")
                return pa.map_(key, item)
            return self._flat(word)
        except (KeyError, ValueError, TypeError, pa.ArrowException):
            self._at = start
            raise self._error(word) from None

    def _flat(self, word: str) -> pa.DataType:
        """Return a type that has none inside."""
        if word in _DECIMALS and self._take(r"\("):
            precision = int(self._expect(r"\d+"))
            scale = int(self._expect(r"-?\d+")) if self._take(",") else 0
            self._expect(r"\)")
            return _DECIMALS[word](precision, scale)
        if word == "timestamp" and self._take(r"\["):
            unit = self._expect("|".join(_UNITS))
            zone = self._expect(r"[^\]\s]+") if self._take(",\\s*tz=") else None
            self._expect(r"\]")
            return pa.timestamp(unit, zone)
        if word in _IN_BRACKETS and self._take(r"\["):
            unit = self._expect(r"\w+")
            self._expect(r"\]")
            return _IN_BRACKETS[word](unit)
        return _WORDS[word]

    def _part(self, name: str) -> pa.Field:
        type_ = self._type()
        return pa.field(name, type_, nullable=self._take(r"not\s+null") is None)

    def _element(self) -> pa.Field:
        """Return the element of a list, which Arrow prints with a name and Delta without."""
        named = self._take(r"\w+\s*:")
        return self._part(named.rstrip(": ") if named else "element")

    def _struct(self) -> pa.DataType:
        fields = []
        while True:
            quoted = self._take("`(?:[^`]|``)+`")
            name = quoted[1:-1].replace("``", "`") if quoted else self._expect("[^:`]+?(?=\\s*:)")
            self._expect(":")
            fields.append(self._part(name))
            if not self._take(","):
                self._expect(">")
                return pa.struct(fields)
