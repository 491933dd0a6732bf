"""Types as text: those that Arrow prints, those of the Delta protocol, and SQL's words for them."""

import re
import zoneinfo
from collections.abc import Callable, Iterator
from functools import cache

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
    # the Delta protocol, "Primitive Types", and how SQL and Python call them
    "boolean": pa.bool_(),
    "byte": pa.int8(),
    "tinyint": pa.int8(),
    "short": pa.int16(),
    "smallint": pa.int16(),
    "integer": pa.int32(),
    "int": pa.int32(),
    "long": pa.int64(),
    "bigint": pa.int64(),
    "real": pa.float32(),
    "double precision": pa.float64(),
    "varchar": pa.string(),
    "text": pa.string(),
    "str": pa.string(),
    "bytes": pa.binary(),
    "varbinary": pa.binary(),
    "blob": pa.binary(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us", "UTC"),
    "timestamp with time zone": pa.timestamp("us", "UTC"),
    "timestamptz": pa.timestamp("us", "UTC"),
    "timestamp_ltz": pa.timestamp("us", "UTC"),
    "timestamp without time zone": pa.timestamp("us"),
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
    "dec": pa.decimal128,
    "numeric": pa.decimal128,
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
TYPES = (
    "int64 (long), int32 (int), int16 (short), int8 (byte), float64 (double), float32 (float), "
    "bool (boolean), string, binary, date32 (date), timestamp[us, tz=UTC] (timestamp), "
    "timestamp[us] (timestamp_ntz), "
    "decimal128(18, 2) (decimal(18,2)), list<int64> (array<long>), struct<a: int64, b: string>, "
    "map<string, int64>"
)
EITHER_TIMESTAMP = "Write timestamp for moments with a time zone, or timestamp_ntz for times without one."
WITH_DIGITS = "Write decimal(18, 2): the number of its digits, 38 at most, and of those after the point."
NO_TIME = "Delta Lake has no times of day and no durations: write int64 or string, and convert the values."
_WRITE = {  # what to write where one word says too little, or what Delta Lake does not have
    **dict.fromkeys(_DECIMALS, WITH_DIGITS),
    **dict.fromkeys(("number", "bigdecimal"), f"{WITH_DIGITS} Or write int64 or float64."),
    **dict.fromkeys(_LISTS, "Write what is in it: list<int64>."),
    "struct": "Write its fields: struct<a: int64, b: string>.",
    **dict.fromkeys(("map", "dict"), "Write the types of its keys and values: map<string, int64>."),
    **dict.fromkeys(("datetime", "datetime64"), EITHER_TIMESTAMP),
    **dict.fromkeys(("char", "varchar", "nvarchar"), 'Write string; pattern=".{0,20}" promises a length.'),
    **dict.fromkeys(("object", "category", "json", "uuid", "enum"), "Write string, and convert the values."),
    **dict.fromkeys(("time", "time32", "time64", "duration", "interval", "timedelta64"), NO_TIME),
}
_BACKQUOTED = set(":`<>, \t\n")
_OFFSET = re.compile(r"[+-]\d{2}:?\d{2}")


class TypeText:
    """The text of a type, read from left to right.

    Args:
        text: the text.

    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def whole(self) -> pa.DataType:
        """Return the type, if the text is one and nothing else.

        Raises:
            DeclarationError: if it is not; the text says what to write.

        """
        phrase = " ".join(self._text.casefold().split())
        if phrase in _WORDS:
            return _WORDS[phrase]
        type_ = self._type()
        if self._at < len(self._text):
            raise self._error()
        refuse_unknown_zones(type_)
        return type_

    def _error(self, word: str = "") -> DeclarationError:
        rest = self._text[self._at :]
        place = f" at {rest!r}" if 0 < self._at < len(self._text) else ""
        word = word or (match[0] if (match := re.match(r"\w+", self._text)) else "")
        names = [*_WORDS, *_DECIMALS, *_LISTS, "struct", "map"]
        if rest.lower().split() == ["not", "null"]:
            advice = "Write nullable=False for a column that has a value in each row."
        elif word in _WRITE:
            advice = _WRITE[word]
        elif word in names and self._at > 0:
            advice = ""
        else:
            advice = did_you_mean(word, names)
        return DeclarationError(
            f"the type {self._text!r} cannot be read{place}.", f"{advice} Types are {TYPES}.".strip()
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
            if scale > precision:
                raise ValueError("more digits after the point than in all")
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


def refuse_unknown_zones(type_: pa.DataType) -> None:
    """Raise DeclarationError for a time zone, of a type or inside of it, that nobody knows."""
    for zone in _zones(type_):
        if zone != "UTC" and not _OFFSET.fullmatch(zone) and zone not in (existing := _time_zones()):
            if not existing:
                return
            raise DeclarationError(
                f"the type {type_} has the time zone {zone!r}, which does not exist.",
                did_you_mean(zone, existing, "Write UTC, or a name such as Europe/Istanbul."),
            )


@cache
def _time_zones() -> frozenset[str]:
    """Return the names of all time zones; none where the system has no list of them."""
    return frozenset(zoneinfo.available_timezones())


def _zones(type_: pa.DataType) -> Iterator[str]:
    if pa.types.is_timestamp(type_) and type_.tz is not None:
        yield type_.tz
    elif pa.types.is_nested(type_):
        for i in range(type_.num_fields):
            yield from _zones(type_.field(i).type)


def type_source(type_: pa.DataType) -> str:
    """Return the text of a type, which `as_type` reads as the same type; nested ones with quoted names.

    Args:
        type_: a type that a Delta table has.

    """
    if pa.types.is_struct(type_):
        return f"struct<{', '.join(f'{_quoted_name(part.name)}: {_part_source(part)}' for part in type_)}>"
    if pa.types.is_list(type_):
        return f"list<{_part_source(type_.value_field)}>"
    if pa.types.is_map(type_):
        return f"map<{type_source(type_.key_type)}, {_part_source(type_.item_field)}>"
    return _flat_source(type_)


def _part_source(field: pa.Field) -> str:
    return type_source(field.type) + ("" if field.nullable else " not null")


def _quoted_name(name: str) -> str:
    """Return the name of a part, in backquotes where it would not be read as one."""
    plain = name.isidentifier() and not _BACKQUOTED & set(name)
    return name if plain else f"`{name.replace('`', '``')}`"


def _flat_source(type_: pa.DataType) -> str:
    return {"date32[day]": "date32", "double": "float64", "float": "float32"}.get(str(type_), str(type_))
