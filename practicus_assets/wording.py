"""Wording: counts, names and values as people read them in errors, checks and logs."""

import datetime as dt
import inspect
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

_LONGEST_VALUE = 120


def number_of(count: int, noun: str) -> str:
    """Return a count with its noun, of which there may be several: `1 row`, `2,000 rows`, `2 retries`."""
    several = f"{noun[:-1]}ies" if noun.endswith("ry") else f"{noun}s"
    return f"{count:,} {noun if count == 1 else several}"


def duration(seconds: float) -> str:
    """Return a duration as people say it, in its largest unit: `3 hours`, `1 day`."""
    for length, noun in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= length:
            return number_of(int(seconds // length), noun)
    return number_of(max(0, int(seconds)), "second")


def bytes_of(count: float) -> str:
    """Return bytes as people read them: `12 B`, `3.4 MB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:  # noqa: PLR2004 the step between the units
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def names_of(noun: str, names: Iterable[object]) -> str:
    """Return names after their noun, which gets an s unless there is one: `columns 'a' and 'b'`."""
    texts = [repr(name) for name in names]
    return f"{noun if len(texts) == 1 else f'{noun}s'} {enumerated(texts)}"


def enumerated(texts: Sequence[str], conjunction: str = "and") -> str:
    """Return texts as a sentence lists them: `a, b and c`."""
    *first, last = texts or [""]
    return f"{', '.join(first)} {conjunction} {last}" if first else last


def in_short(text: str, longest: int) -> str:
    """Return a text in one line of at most so many characters, cut between two words."""
    line = " ".join(text.split())
    if len(line) <= longest:
        return line
    cut = line[: longest - 2]
    words, _, broken = cut.rpartition(" ")
    return f"{words if len(broken) < len(words) else cut} …"  # a word may be longer than a line


def printable(text: str) -> str:
    """Return a text in one line; characters that are not printed are written as Python does."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def readable(value: object) -> str:
    """Return a value as people read it: `2026-01-06`, `1.50`, `'text'`, and null for None."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{name}: {readable(part)}" for name, part in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(readable, value)) + "]"
    if isinstance(value, dt.datetime):
        return value.isoformat(sep=" ")
    if isinstance(value, dt.date | dt.time | dt.timedelta | Decimal):
        return str(value)
    if inspect.isroutine(value) or inspect.ismodule(value):
        return f"the {'module' if inspect.ismodule(value) else 'function'} {value.__name__}"
    text = "null" if value is None else repr(value.item() if hasattr(value, "item") else value)
    return text if len(text) <= _LONGEST_VALUE else in_short(text, _LONGEST_VALUE)


def readable_row(row: Mapping[str, Any]) -> str:
    """Return a row's columns with their values: `day=2026-01-06, n=-1`."""
    return ", ".join(f"{name}={readable(value)}" for name, value in row.items())
