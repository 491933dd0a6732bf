"""Patterns: which files a relation is made of, and which partition each of them holds."""

import datetime as dt
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import quote, unquote

import pyarrow as pa

from practicus_assets.errors import DeclarationError, SourceFailed, did_you_mean
from practicus_assets.lake.partitions.bounds import Bounds, Range
from practicus_assets.lake.partitions.values import Value, deserialized, is_null, parsed, serialized

_KEY = re.compile(r"\{(\w+)(?::([^{}]*))?\}")
_DIRECTIVES = {  # of strftime, with the text that each stands for, and what part of time it tells
    "%Y": (r"\d{4}", "year"),
    "%y": (r"\d\d", "year"),
    "%m": (r"\d\d", "month"),
    "%b": (r"[^\W\d]{3}", "month"),
    "%B": (r"[^\W\d]+", "month"),
    "%d": (r"\d\d", "day"),
    "%j": (r"\d{3}", "day"),
    "%H": (r"\d\d", "hour"),
    "%M": (r"\d\d", "minute"),
    "%S": (r"\d\d", "second"),
    "%%": ("%", ""),
}
_FINER = ("year", "month", "day", "hour", "minute", "second")
_DATES = {"year", "month", "day"}
_PLAIN = re.compile(r"[A-Za-z0-9._-]+")  # what nobody escapes in a folder's name
_SEPARATOR = "\x1f"
_NOT_HIDDEN = "(?![._])"


@dataclass(frozen=True)
class _Place:
    """One place of a key in the pattern: its name, its strftime format if any, and whether it is escaped."""

    key: str
    format: str | None
    escaped: bool


@dataclass(frozen=True)
class Pattern:
    """A path below a store's root with wildcards and keys.

    `*` and `?` stand for characters of one name, `**` for any folders, `[abc]` for one character of several,
    `{day}` for the value of a partition key, and `{day:%Y/%m/%d}` for a date or time that is written like
    this. Names that begin with `_` or `.` are hidden from wildcards. `{{` and `}}` are braces.

    Args:
        text: the pattern.

    Raises:
        DeclarationError: for what is no pattern.

    """

    text: str
    _parts: tuple[str | _Place, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Refuse what is no path below the root."""
        text = self.text
        if not isinstance(text, str) or not text.strip("/"):
            raise DeclarationError(f"the pattern {text!r} names no file.", 'Write e.g. "orders/*.parquet".')
        if "://" in text or text.startswith("/"):
            raise DeclarationError(
                f"the pattern {text!r} is no path below the root.",
                "Name the bucket or the folder in Files(…), and here the files below it.",
            )
        if any(part in {"", ".", ".."} for part in text.split("/")):
            raise DeclarationError(f"the pattern {text!r} has an empty part, '.' or '..'.", "Leave them out.")
        if any("**" in part and part != "**" for part in text.split("/")):
            raise DeclarationError(
                f"the pattern {text!r} has '**' within a name.", "Write it between slashes: a/**/*.csv."
            )
        object.__setattr__(self, "_parts", tuple(self._divided()))
        for key in self.keys:
            formats = {place.format is None for place in self._places(key)}
            if len(formats) > 1 or (formats == {True} and len(self._places(key)) > 1):
                raise DeclarationError(
                    f"the pattern {text!r} has the key {key!r} twice.",
                    "Only a date or time can be in pieces: year={day:%Y}/month={day:%m}/day={day:%d}.",
                )
        _ = self._regex

    def _divided(self) -> Iterator[str | _Place]:
        at = 0
        text = self.text.replace("{{", "\x00(").replace("}}", "\x00)")
        for match in _KEY.finditer(text):
            before = text[at : match.start()]
            yield self._unescaped(before)
            format_ = match[2]
            if format_ is not None:
                self._refuse_unknown_directive(format_)
            yield _Place(match[1], format_, before.endswith("="))
            at = match.end()
        yield self._unescaped(text[at:])

    def _unescaped(self, text: str) -> str:
        """Return a text between keys with its braces as they are in paths."""
        if "{" in text or "}" in text:
            raise DeclarationError(
                f"the pattern {self.text!r} has a brace that begins or ends no key.",
                "Write {day} for a key, and {{ or }} for a brace.",
            )
        return text.replace("\x00(", "{").replace("\x00)", "}")

    def _refuse_unknown_directive(self, format_: str) -> None:
        directives = re.findall(r"%.?", format_)
        unknown = [directive for directive in directives if directive not in _DIRECTIVES]
        if unknown or not directives:
            raise DeclarationError(
                f"the pattern {self.text!r} has the format {format_!r}, "
                + (
                    f"whose {unknown[0]!r} is not known."
                    if unknown
                    else "which has no part of a date or time."
                ),
                did_you_mean(unknown[0], _DIRECTIVES) if unknown else "Write e.g. {day:%Y-%m-%d}.",
            )

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """The names of the partition keys, in order."""
        return tuple(dict.fromkeys(part.key for part in self._parts if isinstance(part, _Place)))

    def _places(self, key: str) -> list[_Place]:
        return [part for part in self._parts if isinstance(part, _Place) and part.key == key]

    def natural_type(self, key: str) -> pa.DataType:
        """Return the type of a key that nobody declares: date or time if it is written so, else text."""
        parts = self._told(key)
        if not parts:
            return pa.string()
        return pa.date32() if parts <= _DATES else pa.timestamp("us")

    def _told(self, key: str) -> set[str]:
        """Return the parts of time that the pattern tells of a key."""
        formats = [place.format or "" for place in self._places(key)]
        told = {_DIRECTIVES[directive][1] for text in formats for directive in re.findall("%.", text)}
        return told - {""}

    @cached_property
    def _regex(self) -> re.Pattern[str]:
        pieces: list[str] = []
        begins = True
        for number, part in enumerate(self._parts):
            if isinstance(part, _Place):
                inside = "[^/]+" if part.format is None else _format_regex(part.format)
                hidden = _NOT_HIDDEN if begins and part.format is None else ""
                pieces.append(f"{hidden}(?P<k{number}>{inside})")
                begins = False
                continue
            text, begins = _glob_regex(part, begins, self.text)
            pieces.append(text)
        return re.compile("".join(pieces), re.DOTALL)

    def match(self, path: str) -> Mapping[str, tuple[str, ...]] | None:
        """Return the texts of the keys in a path below the root; None if the pattern does not match it."""
        match = self._regex.fullmatch(path)
        if match is None:
            return None
        texts: dict[str, tuple[str, ...]] = {}
        for number, part in enumerate(self._parts):
            if isinstance(part, _Place):
                text = match[f"k{number}"]
                text = unquote(text) if part.escaped else text
                texts[part.key] = (*texts.get(part.key, ()), text)
        return texts

    def value(self, key: str, texts: tuple[str, ...], type_: pa.DataType, path: str) -> Value | None:
        """Return the value of a key, from its texts in a path; None for the null of hive.

        Raises:
            SourceFailed: if it is none of the type; the error names the path.

        """
        places = self._places(key)
        if places[0].format is None and is_null(texts[0]):
            return None
        try:
            if places[0].format is None:
                if pa.types.is_timestamp(type_):
                    return deserialized(texts[0], type_)
                return parsed(texts[0], type_)
            format_ = _SEPARATOR.join(place.format or "" for place in places)
            moment = dt.datetime.strptime(_SEPARATOR.join(texts), format_)  # noqa: DTZ007 a wall time
        except ValueError as error:
            raise SourceFailed(
                f"{path}: {'/'.join(texts)!r} is no value of the key {key!r} of type {type_}: {error}.",
                "Rename the file, narrow the pattern, or declare the key's type in columns.",
            ) from None
        if pa.types.is_date(type_):
            return moment.date()
        if pa.types.is_timestamp(type_):
            return moment if type_.tz is None else moment.replace(tzinfo=dt.UTC)
        text = moment.date().isoformat() if self._told(key) <= _DATES else moment.isoformat(sep=" ")
        return parsed(text, type_)

    def folders(self, bounds: Bounds, most: int) -> dict[str, bool]:
        """Return the folders below the root in which files of a scope can be, and whether to look below them.

        Args:
            bounds: the scope.
            most: how many folders to name at most; of more, the one above all of them.

        """
        segments = list(self._segments())
        folders: dict[str, bool] = {}
        for part in bounds.parts if 0 < len(bounds.parts) <= most else [()]:
            conditions = dict(zip(bounds.columns, part, strict=False))
            known: list[str] = []
            for segment in segments[:-1]:
                text = self._literal(segment, conditions)
                if text is None:
                    break
                known.append(text)
            folders["/".join(known)] = len(known) < len(segments) - 1 or list(segments[-1]) == ["**"]
        return folders

    def path_of(self, bounds: Bounds) -> str | None:
        """Return the one path that the pattern gives a partition; None if there is none, or more than one.

        Args:
            bounds: one partition, on the keys of the pattern.

        """
        [part] = bounds.parts or [()]
        conditions = dict(zip(bounds.columns, part, strict=True))
        texts = []
        for piece in self._parts:
            if isinstance(piece, str):
                texts.append(piece)
                continue
            text = self._text(piece, conditions.get(piece.key))
            if text is None:
                return None
            texts.append(quote(text, safe="") if piece.escaped and piece.format is None else text)
        path = "".join(texts)
        return path if self._is_path_of(path, bounds) else None

    def _is_path_of(self, path: str, bounds: Bounds) -> bool:
        """Return whether a reader of the pattern finds the partition by its path."""
        found = self.match(path)
        if found is None:
            return False
        types = dict(zip(bounds.columns, bounds.types, strict=True))
        values = {key: self.value(key, texts, types[key], path) for key, texts in found.items()}
        return bounds.part_of(values) == 0

    def _segments(self) -> Iterator[Sequence[str | _Place]]:
        """Yield the parts of each name of the path; of a format with slashes, the names up to it."""
        segment: list[str | _Place] = []
        for part in self._parts:
            if isinstance(part, _Place) and "/" not in (part.format or ""):
                segment.append(part)
            elif isinstance(part, _Place):
                first, *others = (part.format or "").split("/")
                yield [*segment, _Place(part.key, first, part.escaped)]
                yield from ([_Place(part.key, text, part.escaped)] for text in others[:-1])
                segment = [_Place(part.key, others[-1], part.escaped)]
            else:
                first, *others = part.split("/")
                segment.append(first)
                for text in others:
                    yield segment
                    segment = [text]
        yield segment

    def _literal(self, segment: Sequence[str | _Place], conditions: Mapping[str, Any]) -> str | None:
        """Return the one text that a name of the path has under these conditions; None if there are more."""
        texts = []
        for part in segment:
            if isinstance(part, str):
                if re.search(r"[*?\[]", part):
                    return None
                texts.append(part)
                continue
            text = self._text(part, conditions.get(part.key))
            if text is None or not _PLAIN.fullmatch(text):
                return None
            texts.append(text)
        return "".join(texts)

    def _text(self, place: _Place, condition: Any) -> str | None:
        """Return how a key's condition is written at a place; None if more than one text satisfies it."""
        if isinstance(condition, Range):
            if place.format is None and condition.high - condition.low != dt.timedelta(1):
                return None
            if place.format is not None and _next(condition.low, self._told(place.key)) != condition.high:
                return None
            condition = condition.low
        if condition is None:
            return None
        if place.format is not None:
            return condition.strftime(place.format) if isinstance(condition, dt.date) else None
        return serialized(condition) if not isinstance(condition, dt.datetime) else None

    def __str__(self) -> str:
        return self.text


def _format_regex(format_: str) -> str:
    pieces = re.split("(%.)", format_)
    return "".join(_DIRECTIVES[p][0] if p.startswith("%") else re.escape(p) for p in pieces)


def _glob_regex(text: str, begins: bool, pattern: str) -> tuple[str, bool]:  # noqa: FBT001 a state
    """Return a glob as a regular expression, and whether a name begins after it."""
    pieces: list[str] = []
    at = 0
    while at < len(text):
        hidden = _NOT_HIDDEN if begins else ""
        begins = False
        if text.startswith("**/", at):
            pieces.append(f"(?:{_NOT_HIDDEN}[^/]+/)*")
            at, begins = at + 3, True
            continue
        if text[at:] == "**":
            pieces.append(f"(?:{_NOT_HIDDEN}[^/]+/)*{_NOT_HIDDEN}[^/]+")
            break
        if text[at] == "[":
            end = text.find("]", at + 2)
            if end < 0:
                raise DeclarationError(
                    f"the pattern {pattern!r} has a '[' without ']'.", "Write [[] for one."
                )
            inside = text[at + 1 : end].replace("\\", "\\\\").replace("^", "\\^").replace("[", "\\[")
            pieces.append(hidden + "[" + (f"^/{inside[1:]}" if inside.startswith("!") else inside) + "]")
            at = end + 1
            continue
        wild = {"*": "[^/]*", "?": "[^/]"}.get(text[at])
        pieces.append(hidden + wild if wild else re.escape(text[at]))
        begins = text[at] == "/"
        at += 1
    return "".join(pieces), begins


def _next(value: dt.date, told: set[str]) -> dt.date:
    """Return the value that follows another, where only these parts of time are told."""
    finest = max(told, key=_FINER.index)
    if finest == "year":
        return value.replace(year=value.year + 1)
    if finest == "month":
        return value.replace(year=value.year + value.month // 12, month=value.month % 12 + 1)
    return value + dt.timedelta(**{f"{finest}s": 1})
