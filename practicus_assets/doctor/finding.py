"""Findings: what a check found, and what to do about it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

_SHOWN = 3

Status = Literal["ok", "warning", "failed", "not checked"]


@dataclass(frozen=True)
class Finding:
    """What one check found.

    Attributes:
        check: the name of the check.
        status: "failed" if steps will fail, "warning" if some may.
        found: what the check found, as a phrase.
        advice: what to do about it; empty if nothing has to be done.

    """

    check: str
    status: Status
    found: str
    advice: str = ""


def ok(check: str, found: str) -> Finding:
    """Return that all is well."""
    return Finding(check, "ok", found)


def warning(check: str, found: str, advice: str) -> Finding:
    """Return that something may go wrong."""
    return Finding(check, "warning", found, advice)


def failed(check: str, found: str, advice: str) -> Finding:
    """Return that steps will fail."""
    return Finding(check, "failed", found, advice)


def not_checked(check: str, why: str, advice: str = "") -> Finding:
    """Return that nothing is known."""
    return Finding(check, "not checked", why, advice)


def listed(steps: Sequence[str]) -> str:
    """Return the names of steps as people read them."""
    names = sorted(set(steps))
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


@dataclass(frozen=True)
class Section:
    """Findings about one place.

    Attributes:
        title: the name of the place.
        findings: the findings; each check runs when its finding is taken.

    """

    title: str
    findings: Iterable[Finding]
