"""Outcomes: what a log says became of a table, in a line, and errors without lines that say nothing."""

import logging
from collections.abc import Iterable, Sequence
from itertools import pairwise
from types import TracebackType

from practicus_assets.errors import AuditFailed, DataRefused, DeclarationError
from practicus_assets.lake.contracts.audit import AuditResult
from practicus_assets.lake.partitions.scope import Scope, Window
from practicus_assets.lake.transactions.commit import Commit
from practicus_assets.wording import enumerated, names_of, number_of

_NAMED_RULES = 5
_WITHOUT_AUTHORS = {"practicus_assets", "pyarrow", "deltalake"}  # packages whose lines tell an author nothing
_SHORT, _SHORTEST = 0.1, 0.001  # seconds


def committed(table: str, scope: Scope, commit: Commit) -> str:
    """Return the line of a transaction that succeeded.

        orders [2026-03-01…31]: committed version 3, 31 rows, 26 checks passed, 0.4 s

    Args:
        table: the table's name.
        scope: the partitions of the run.
        commit: the transaction's commit.

    """
    rows = number_of(commit.rows, "row")
    what = f"committed version {commit.version}, {rows}"
    if commit.recovered:
        what = f"an earlier attempt committed version {commit.version}, {rows}"
    elif commit.reused is not None:
        run, version = commit.reused.run_id[:8], commit.reused.version
        what = f"nothing is computed, for run {run} committed the same {rows} as version {version}"
    elif not commit.changed:
        what = f"nothing changed, version {commit.version} has the same {rows}"
    if commit.rejected is not None and commit.rejected.rows:
        what = f"{what}, {number_of(commit.rejected.rows, 'row')} rejected"
    filled = [f"{names_of('column', commit.filled)} filled in, which the output lacks"] * bool(commit.filled)
    parts = [what, *filled, *_checks(commit.audits), _duration(commit.seconds)]
    return f"{_place(table, scope)}: {', '.join(parts)}"


def failed(table: str, scope: Scope, error: Exception) -> str:
    """Return the line of a transaction that failed; what to do about it is in the error."""
    reason = [type(error).__name__]
    if isinstance(error, AuditFailed):
        reason = _checks(error.results)
    return f"{_place(table, scope)}: not committed, {', '.join(reason)}"


def unsettled(table: str, why: str) -> str:
    """Return the line of a commit that stands, while rejected rows that it superseded are still there."""
    return (
        f"{table}: the rows that earlier runs rejected are still beside those of this one, in the table of "
        f"rejected rows; the next run of these partitions removes them. {why}"
    )


def nothing_new(table: str, scope: Scope) -> str:
    """Return the line of a function that returned nothing, where it need not."""
    return f"{_place(table, scope)}: the function returned no rows, so the table stays as it is"


def cut_own_frames(error: Exception) -> None:
    """Let the traceback of an error end where this package was entered, if its text says all.

    What an author declared or returned wrongly is in the text; lines of this package, and of libraries that
    it called, would only move the text away from the end of a log.
    """
    link: BaseException | None = error if isinstance(error, DeclarationError | DataRefused) else None
    while link is not None:
        link.__traceback__ = _of_authors(link.__traceback__)
        link = link.__cause__


def _checks(audits: Sequence[AuditResult]) -> list[str]:
    broken = [audit.name for audit in audits if audit.blocks]
    warnings = [audit.name for audit in audits if not audit.passed and not audit.blocks]
    passed = len(audits) - len(broken) - len(warnings)
    texts = [f"{number_of(len(broken), 'check')} failed: {_listed(broken)}"] if broken else []
    texts += [f"{number_of(len(warnings), 'check')} warned: {_listed(warnings)}"] if warnings else []
    return [*texts, *([f"{number_of(passed, 'check')} passed"] if passed else [])]


def _listed(rules: list[str]) -> str:
    more = len(rules) - _NAMED_RULES
    return ", ".join(rules[:_NAMED_RULES]) + f" and {more} more" if more > 0 else enumerated(rules)


def _duration(seconds: float) -> str:
    """Return a duration as `2.4 s`; below a tenth of a second with two significant figures, as `0.035 s`."""
    return f"{seconds:.1f} s" if seconds >= _SHORT else f"{max(seconds, _SHORTEST):.2g} s"


def _place(table: str, scope: Scope) -> str:
    """Return a table's name with its partitions; neighbours in time as `[2026-03-01…31]`."""
    if scope.is_whole_table:
        return table
    return f"{table} [{_span(scope) or scope}]"


def _span(scope: Scope) -> str:
    """Return the first and the last key of time windows that follow each other; empty for other scopes."""
    windows = [part[0] for part in scope.parts if len(part) == 1 and isinstance(part[0], Window)]
    follow = all(one.end == other.start for one, other in pairwise(windows))
    if len(windows) < max(2, len(scope.parts)) or not follow:
        return ""
    first, last = scope.keys[0], scope.keys[-1]
    shared = 0
    while first[: shared + 1] == last[: shared + 1]:
        shared += 1
    return f"{first}…{last[first.rfind('-', 0, shared) + 1 :]}"


def _of_authors(frames: TracebackType | None) -> TracebackType | None:
    """Return a traceback without the frames of this package and its libraries at its end."""
    kept, frame = [], frames
    while frame is not None:
        kept.append(frame)
        frame = frame.tb_next
    while kept and kept[-1].tb_frame.f_globals.get("__name__", "").partition(".")[0] in _WITHOUT_AUTHORS:
        kept.pop()
    if kept:
        kept[-1].tb_next = None
    return kept[0] if kept else None


def warn_of_properties(log: logging.Logger, table: str, differences: Iterable[object]) -> None:
    """Say which declared properties a table does not have, for a run does not change them."""
    for difference in differences:
        log.warning(
            "%s: %s. A run sets properties only when it creates the table; deltalake's "
            "DeltaTable(…).alter.set_table_properties changes them.",
            table,
            difference,
        )
